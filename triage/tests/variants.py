"""Other ways of writing the same message, and frames that turn a sentence into no complaint."""

from __future__ import annotations

import random
import re
import unicodedata

_PUNCTUATION = re.compile(r"[^\w\s'’/,.°%-]|[,.](?!\d)")
_KEYBOARD = dict(zip("azertyuiopqsdfghjklmwxcvbn", "zertyuiopqsdfghjklmwxcvbna", strict=True))


def without_accents(text: str, chance: random.Random) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def in_capitals(text: str, chance: random.Random) -> str:
    return text.upper()


def run_on(text: str, chance: random.Random) -> str:
    """As dictated: no punctuation, no capitals."""
    return " ".join(_PUNCTUATION.sub(" ", text).lower().split())


def mistyped(text: str, chance: random.Random) -> str:
    """One slip in one long word: a letter dropped, doubled, swapped or hit beside."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if long:
        at = chance.choice(long)
        words[at] = _slip(words[at], chance)
    return " ".join(words)


def _slip(word: str, chance: random.Random) -> str:
    i = chance.randrange(1, len(word) - 1)
    return chance.choice(
        [
            word[:i] + word[i + 1 :],
            word[:i] + word[i] + word[i:],
            word[:i] + word[i + 1] + word[i] + word[i + 2 :],
            word[:i] + _KEYBOARD.get(word[i], word[i]) + word[i + 1 :],
        ]
    )


_PLAYED_DOWN = {
    "fr": ("{}, mais ma tante dit que ce n'est rien", "mon mari trouve que j'exagère, {}"),
    "en": ("{}, but my aunt says it is nothing", "my husband thinks I exaggerate, {}"),
    "pcm": ("{}, but ma aunty say na nothing", "ma husband say a di exaggerate, {}"),
    "cfr": ("{}, mais la tata dit que c'est rien", "mon gars dit que je fais trop, {}"),
}
_SWITCHED = {
    "fr": ("please doctor, {}", "{} abeg help me"),
    "en": ("bonjour docteur svp, {}", "{} merci beaucoup"),
    "pcm": ("bonjour docteur, {}", "{} s'il vous plaît"),
    "cfr": ("please doctor I need help, {}", "{} thank you doctor"),
}


def played_down(text: str, chance: random.Random, language: str) -> str:
    return chance.choice(_PLAYED_DOWN[language]).format(text)


def code_switched(text: str, chance: random.Random, language: str) -> str:
    return chance.choice(_SWITCHED[language]).format(text)


def variants(text: str, language: str) -> dict[str, str]:
    """The message in each other way, by the way's name; the same each time."""
    chance = random.Random(text)
    ways = (without_accents, in_capitals, run_on, mistyped)
    found = {way.__name__: way(text, chance) for way in ways}
    for way in (played_down, code_switched):
        found[way.__name__] = way(text, chance, language)
    return found


DENIED = {
    "fr": (
        "aucun de ces signes : {}",
        "ce n'est pas vrai que {}",
        "si un jour {}, que faut-il faire ?",
        "il y a dix ans, {}, tout va bien depuis",
        "quels conseils donnez-vous en général quand {} ?",
    ),
    "en": (
        "none of these signs: {}",
        "it is not true that {}",
        "if one day {}, what should be done?",
        "ten years ago, {}, all is well since",
        "in general, what do you advise when {}?",
    ),
}
"""Frames that no rule was written with: the sentence in them complains of nothing now."""

BESIDE = {
    "fr": ("pas de toux, mais {}", "il n'y a pas de boutons. {}", "{}, aucun mal de dos"),
    "en": ("no cough, but {}", "there is no rash. {}", "{}, no back pain at all"),
}
"""Frames that deny something else: the sentence in them still complains."""
