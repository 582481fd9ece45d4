"""Make one spelling out of the many in which people type. Pure.

`normalise` gives the canonical words of a text: lower case, no accents, elongations undone,
digits read as letters where a word is meant, SMS forms written out, one typing error a word
repaired. French `ne` is dropped, since half the writers drop it anyway: "ne respire pas" and
"respire pas" are one thing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

LONGEST = 4_000
"""Characters read of a message; the doors refuse longer ones."""

_MARKS = dict.fromkeys(range(0x300, 0x370))
_SIGNS = str.maketrans(
    {
        "’": "'", "‘": "'", "`": "'", "´": "'", "ʼ": "'", "œ": "oe", "æ": "ae", "…": " , ",
        ";": ".", "!": ".", "(": ",", ")": ",", "[": ",", "]": ",", "\u2013": ",", "\u2014": ",",
        "+": " et ", "%": " percent ", "&": " et ", "ß": "ss", "º": "°",
        "😂": " mdr ", "🤣": " mdr ",
    }
)  # fmt: skip
_MOST_KNOWN = 4_096
_STRANGE = re.compile(r"[^\x00-\x7f]+")
_ASCII_SIGNS = re.compile(r"[;!()\[\]+%&]|\.\.")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_TOUCHING = re.compile(r"[0-9](?:[a-z]|(?<=[a-z].))")
_MIXED = re.compile(r"\b(?:[a-z]+\d|\d+[a-z])[a-z0-9]*")
_LETTER_DIGIT = re.compile(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])")
_DEGREES = re.compile(r"(\d) ?(?:°|deg|c(?=\d)|degres?(?= ?\d)) ?(\d)(?!\d)")
_DECIMAL = re.compile(r"(?<=\d),(?=\d)")
_OVER = re.compile(r"(\d{1,3}) ?(?:/|sur|over) ?(\d{1,3})")
_LETTERS = re.compile(r"[^\W\d_]+")
_TOKEN = re.compile(r"[^\W\d_]+|\d+(?:[./]\d+)*|[.,?]")
_ASCII_TOKEN = re.compile(r"[a-z]+|[0-9]+(?:[./][0-9]+)*|[.,?]")
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

    def __getitem__(self, word: str, /) -> str: ...
    def knows(self, word: str, /) -> bool: ...


def fold(text: str) -> str:
    """Lower case without accents; apostrophes and dashes of one kind, `!;` as full stops."""
    text = text[:LONGEST].casefold()
    if not text.isascii():
        text = _BORN.sub("born", text)
        text = _STRANGE.sub(_plain, text)
        if _ASCII_SIGNS.search(text):
            text = text.translate(_SIGNS)
    if _ASCII_SIGNS.search(text):
        text = text.replace("...", " , ").replace("..", " , ").translate(_SIGNS)
    if "nouve" in text:
        text = _NEWBORN.sub("newborn", text)
    return text


def _plain(found: re.Match[str]) -> str:
    """Letters without their accents, and signs of one kind."""
    strange = found.group()
    plain = _known.get(strange)
    if plain is None:
        spread = unicodedata.normalize("NFKD", strange.translate(_SIGNS))
        plain = spread.translate(_MARKS).replace("\u2044", "/")
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[strange] = plain
    return plain


_known: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Words:
    """The canonical words of a text."""

    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words).encode("ascii", "replace").decode("ascii")

    def between(self, first: int, after: int) -> str:
        return " ".join(self.words[first:after])


def written_out(text: str, spell: Callable[[str], str]) -> str:
    """The text as typed, but for SMS and local spellings: « g le palu c koi » is « j ai le palu c quoi ».

    `spell` gives a folded word's form in full.
    """

    def meant(found: re.Match[str]) -> str:
        typed = fold(found[0])
        whole = spell(typed)
        return found[0] if whole == typed else whole

    return _LETTERS.sub(meant, text[:LONGEST])


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
    if _DIGIT.search(text):
        text = _digits(unstretched(text), spell)
    found = (_ASCII_TOKEN if text.isascii() else _TOKEN).findall(text)
    if spell is None:
        return [word for word in map(unstretched, found) if word not in _DROPPED]
    return " ".join(map(spell.__getitem__, found)).split()


def unstretched(text: str) -> str:
    """ "respiiiire" is "respire"."""
    return _STRETCHED.sub(r"\1", text)


def without_contractions(text: str) -> str:
    """ "can't" is "cannot", "isn't" is "is not"."""
    return text.replace("can't", "cannot").replace("won't", "will not").replace("n't", " not")


def _digits(text: str, spell: Spell | None) -> str:
    if "," in text:
        text = _DECIMAL.sub(".", text)
    if "°" in text or "deg" in text or _TOUCHING.search(text):
        text = _DEGREES.sub(r"\1.\2", text).replace("°", " degres ")
    if "/" in text or "sur" in text or "over" in text:
        text = _OVER.sub(r"\1/\2", text)
    if _TOUCHING.search(text):
        text = _MIXED.sub(lambda found: _unmixed(found.group(), spell), text)
    return text


def _unmixed(word: str, spell: Spell | None) -> str:
    """ "f1evre" is "fievre", "3semaines" "3 semaines", "2m1" what the SMS forms say."""
    if spell is not None:
        for form in (word, word.translate(_LEET)):
            if spell.knows(form):
                return spell[form]
    return _LETTER_DIGIT.sub(" ", word)
