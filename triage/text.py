"""Make one spelling out of the many in which people type. Pure.

`normalise` gives the canonical words of a text: lower case, no accents, elongations undone,
digits read as letters where a word is meant, SMS forms written out, one typing error a word
repaired. French `ne` is dropped, since half the writers drop it anyway: "ne respire pas" and
"respire pas" are one thing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

LONGEST = 4_000
"""Characters read of a message; the doors refuse longer ones."""

_MARKS = dict.fromkeys(range(0x300, 0x370))
_SIGNS = str.maketrans(
    {
        "’": "'", "‘": "'", "`": "'", "´": "'", "ʼ": "'", "œ": "oe", "æ": "ae", "…": " , ",
        ";": ".", "!": ".", "(": ",", ")": ",", "[": ",", "]": ",", "\u2013": ",", "\u2014": ",",
        "+": " plus ", "%": " percent ", "&": " et ", "ß": "ss", "º": "°",
    }
)  # fmt: skip
_ASCII_SIGNS = re.compile(r"[;!()\[\]+%&]|\.\.")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_MIXED = re.compile(r"\b(?:[a-z]+\d|\d+[a-z])[a-z0-9]*")
_LETTER_DIGIT = re.compile(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])")
_DEGREES = re.compile(r"(\d) ?(?:°|deg|c(?=\d)|degres?(?= ?\d)) ?(\d)(?!\d)")
_DECIMAL = re.compile(r"(?<=\d),(?=\d)")
_OVER = re.compile(r"(\d{1,3}) ?(?:/|sur|over) ?(\d{1,3})")
_TOKEN = re.compile(r"[^\W\d_]+|\d+(?:[./]\d+)*|[.,?]")
_DIGIT = re.compile(r"[0-9]")
_LEET = str.maketrans("013457@$", "oieastas")
_BORN = re.compile(r"\bn(?:é|e\u0301)e?s?\b")
_NEWBORN = re.compile(r"\bnouve(?:au|aux|lle)[ -]?(?:ne|nee|nes|nees|born)\b")
_DROPPED = frozenset({"ne", "n"})


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set to look them up in."""
    return frozenset(text.split())


class Spell(Protocol):
    """What knows the canonical form of a folded word (`triage.spelling.Spelling`)."""

    def __call__(self, word: str, /) -> str: ...
    def knows(self, word: str, /) -> bool: ...


def fold(text: str) -> str:
    """Lower case without accents; apostrophes and dashes of one kind, `!;` as full stops."""
    text = text[:LONGEST].casefold()
    if not text.isascii():
        text = _BORN.sub("born", text)
        text = unicodedata.normalize("NFKD", text.translate(_SIGNS)).translate(_MARKS)
        text = text.replace("\u2044", "/")
    if _ASCII_SIGNS.search(text):
        text = text.replace("...", " , ").replace("..", " , ").translate(_SIGNS)
    if "nouve" in text:
        text = _NEWBORN.sub("newborn", text)
    return text


@dataclass(frozen=True, slots=True)
class Words:
    """The canonical words of a text, and where each came from.

    `source[i]` is the index of the token of the original text that `words[i]` was read from.
    """

    words: tuple[str, ...]
    joined: bytes

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Word indices [first, after) of a byte span of `joined`."""
        first = self.joined.count(b" ", 0, start + 1) - 1
        return max(first, 0), self.joined.count(b" ", 0, end)

    @property
    def text(self) -> str:
        return self.joined.decode("ascii").strip()

    def between(self, first: int, after: int) -> str:
        return " ".join(self.words[first:after])


def normalise(text: str, spell: Spell | None = None) -> str:
    """The canonical text, words separated by single spaces.

    >>> normalise("Mon bébé a 39°5, il NE respiiiire pas!")
    'mon bebe a 39.5 , il respire pas .'
    """
    return " ".join(tokens(text, spell))


def tokens(text: str, spell: Spell | None = None) -> list[str]:
    """Canonical words and the boundaries `.`, `,` and `?`.

    `spell` gives the canonical form of one folded word (possibly several words, possibly none).
    """
    text = fold(text)
    if "'" in text:
        text = without_contractions(text)
    if _STRETCHED.search(text):
        text = _STRETCHED.sub(r"\1", text)
    if _DIGIT.search(text):
        text = _digits(text, spell)
    found = _TOKEN.findall(text)
    if spell is None:
        return [word for word in found if word not in _DROPPED]
    return " ".join(map(spell, found)).split()


def without_contractions(text: str) -> str:
    """ "can't" is "cannot", "isn't" is "is not"."""
    return text.replace("can't", "cannot").replace("won't", "will not").replace("n't", " not")


def _digits(text: str, spell: Spell | None) -> str:
    text = _DECIMAL.sub(".", text)
    text = _DEGREES.sub(r"\1.\2", text).replace("°", " degres ")
    text = _OVER.sub(r"\1/\2", text)
    return _MIXED.sub(lambda found: _unmixed(found.group(), spell), text)


def _unmixed(word: str, spell: Spell | None) -> str:
    """ "f1evre" is "fievre", "3semaines" "3 semaines", "2m1" what the SMS forms say."""
    if spell is not None:
        for form in (word, word.translate(_LEET)):
            if spell.knows(form):
                return spell(form)
    return _LETTER_DIGIT.sub(" ", word)


def as_words(found: Sequence[str]) -> Words:
    joined = " " + " ".join(found) + " "
    return Words(tuple(found), joined.encode("ascii", "replace"))
