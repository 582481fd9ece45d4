"""Repair spelling towards the words that matter. Pure.

A word that is neither in the lexicon nor ordinary is compared with the lexicon: same letters
with one missing, added, changed or two swapped (found with the deletions of SymSpell, W. Garbe
2012), or the same when written by ear. Ordinary words are never changed: "soigne" is not "saigne".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

from triage.text import unstretched

_SHORTEST = 5
_LONGEST = 18
_STEM = 4
_MEMO = 50_000
_ALIKE = 0.72
_ELIDED = "jldms"
_EAR = (
    (re.compile(r"ph"), "f"),
    (re.compile(r"qu?|ck|c(?=[aouklrt])|x"), "k"),
    (re.compile(r"ss|c(?=[eiy])|z|ç"), "s"),
    (re.compile(r"eaux?|aux?"), "o"),
    (re.compile(r"ai|ei|ez\b|er\b|ee?\b"), "e"),
    (re.compile(r"en|em|am"), "an"),
    (re.compile(r"ou|oo"), "u"),
    (re.compile(r"y"), "i"),
    (re.compile(r"h"), ""),
    (re.compile(r"(.)\1"), r"\1"),
    (re.compile(r"(?<=..)[est]+\b"), ""),
)


def by_ear(word: str) -> str:
    """A rough key of how a word sounds to a French or English ear."""
    for pattern, sound in _EAR:
        word = pattern.sub(sound, word)
    return word


class Spelling(dict[str, str]):
    """From one folded word to its canonical form, worked out when first met: one word, several, or none.

    `forms` are SMS and local spellings written out, `targets` the words worth repairing towards,
    `stems` beginnings of words that are right as they are, `ordinary` the words left alone.
    """

    def __init__(
        self,
        forms: Mapping[str, str],
        targets: Iterable[str],
        stems: Iterable[str],
        ordinary: Iterable[str],
    ) -> None:
        super().__init__()
        self._stems = frozenset(stem for stem in stems if len(stem) >= _STEM)
        targets = frozenset(targets)
        self._known = {word: word for word in ordinary} | {word: word for word in targets}
        self._known |= {**forms, "ne": "", "n": ""}
        self.targets = targets
        self._near: dict[str, tuple[str, ...]] = {}
        self._sounds: dict[str, str] = {}
        for word in sorted(targets):
            if len(word) >= _SHORTEST - 1:
                self._sounds.setdefault(by_ear(word), word)
            if _SHORTEST <= len(word) <= _LONGEST:
                for part in _deletions(word):
                    self._near[part] = (*self._near.get(part, ()), word)

    def __missing__(self, word: str) -> str:
        if len(self) >= _MEMO:
            self.clear()
        plain = unstretched(word)
        known = self._known.get(plain)
        form = self[word] = self._repair(plain) if known is None else known
        return form

    def knows(self, word: str) -> bool:
        return word in self._known or word.isdigit()

    def written_out(self, word: str) -> str:
        """A folded word as it would be written in full, by its listed forms alone: nothing is guessed."""
        plain = unstretched(word)
        known = self._known.get(plain)
        if known is not None:
            return known or word
        return (self._parted(plain) if plain.startswith("j") else None) or word

    def _repair(self, word: str) -> str:
        if not 4 <= len(word) <= _LONGEST or not word.isalpha():
            return word
        if any(word[:end] in self._stems for end in range(_STEM, len(word) + 1)):
            return word
        near = self._nearest(word) if len(word) >= _SHORTEST - 1 else None
        if near is None and (parted := self._parted(word)):
            return parted
        if near is None and (heard := self._sounds.get(by_ear(word))) and _alike(word, heard):
            return heard
        return near or word

    def _parted(self, word: str) -> str | None:
        """ "jvomi" is "j vomi", "leau" is "l eau"."""
        rest = word[1:]
        if word[0] not in _ELIDED or len(rest) < _SHORTEST - 2 or rest not in self._known:
            return None
        if word[0] != "j" and rest[0] not in "aeiouh":
            return None
        return f"{word[0]} {self._known[rest]}"

    def _nearest(self, word: str) -> str | None:
        candidates = set(self._near.get(word, ()))
        for part in _deletions(word):
            if part in self.targets and len(part) >= _SHORTEST - 1:
                candidates.add(part)
            candidates.update(self._near.get(part, ()))
        close = [(cost, other) for other in candidates if (cost := _typing_error(word, other))]
        return min(close)[1] if close else None


def _alike(typed: str, meant: str) -> bool:
    """Not too far apart to be one word written by ear: "segne" and "saigne", not "oozing", "housing"."""
    return typed[0] == meant[0] and SequenceMatcher(None, typed, meant).ratio() >= _ALIKE


def _deletions(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i in range(len(word))]


def _typing_error(typed: str, meant: str) -> int:
    """1 swapped or doubled, 2 missing or added, 3 changed; 0 when they differ by more.

    Short words must keep their first letter, and very short ones may only have letters swapped.
    """
    if typed[0] != meant[0] and (len(meant) < 7 or sorted(typed) != sorted(meant)):
        return 0
    if len(typed) == len(meant):
        wrong = [i for i, (a, b) in enumerate(zip(typed, meant, strict=True)) if a != b]
        if len(wrong) == 1:
            return 3 if len(meant) > _SHORTEST else 0
        swapped = len(wrong) == 2 and wrong[1] == wrong[0] + 1
        return int(
            swapped and typed[wrong[0]] == meant[wrong[1]] and typed[wrong[1]] == meant[wrong[0]]
        )
    return 2 if len(meant) >= _SHORTEST and abs(len(typed) - len(meant)) == 1 else 0
