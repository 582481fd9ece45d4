"""How a sign that a message names may stand. Pure."""

from enum import StrEnum


class Standing(StrEnum):
    PRESENT = "present"
    NEGATED = "negated"
    PAST = "past"
    ASKED = "asked"
    SUPPOSED = "supposed"
    ELSEWHERE = "elsewhere"
    IDIOM = "idiom"


SPOKEN_OF = (Standing.ASKED, Standing.SUPPOSED)
"""A sign told around an "if you" or "what if" is told of nobody, unless "that is me" comes after it."""
