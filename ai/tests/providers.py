"""Someone else's providers, known to the ladder by their dotted paths alone."""

from ai.providers.openai_style import OpenAI


class FarAway(OpenAI):
    name = "faraway"

    @classmethod
    def goes_abroad(cls, verb, model):
        return True


class Nearby(OpenAI):
    name = "nearby"
