"""Find what a text says: signs and marks, with where they stand. Pure.

A `Prefilter` says which expressions the words of a clause leave possible; only those are run, by
`google-re2`, so no text can stall it. A sign is something about a patient ("chest_pain"); a mark
is something about the telling ("past", "asks", "idiom").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from triage import expressions, text, worked_out
from triage.prefilter import Prefilter
from triage.spelling import Spelling
from triage.text import Words, word_set

_MOST = 6
_WINDOW, _OVERLAP = 60, 24
_ENDS = frozenset(".,?")
_NEGATIVE_WORDS = word_set(
    "pas plus no not sans without aucun aucune ni jamais never neva non rien cannot nor"
)
_DENYING = _NEGATIVE_WORDS - {"plus"}
"""Words that can only deny; "plus" may also be "more"."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An expression found: word indices [first, after). `negating`: it brought its own "not"."""

    name: str
    first: int
    after: int
    negating: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One expression of a sign or mark. `find` gives the bytes it matches from `pos` to `end`."""

    name: str
    is_mark: bool
    negating: bool
    find: Callable[[bytes, int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in a text. `marks` maps a mark's name to its hits."""

    words: Words
    signs: tuple[Hit, ...]
    marks: Mapping[str, tuple[Hit, ...]]


class Reader:
    """Reads texts with the expressions of a lexicon.

    `signs` and `marks` map names to expressions, `groups` names to alternations used by them;
    `sample` are messages that tell common words from rare ones.
    """

    def __init__(
        self,
        signs: Mapping[str, Sequence[str]],
        marks: Mapping[str, Sequence[str]],
        groups: Mapping[str, str],
        forms: Mapping[str, str],
        ordinary: Iterable[str],
        sample: Iterable[str] = (),
    ) -> None:
        folded = {text.fold(word): form for word, form in forms.items()}
        writer = expressions.Writer(groups, folded)
        memory = worked_out.memory(writer.groups)
        self.entries: list[Entry] = []
        outlines: list[str] = []
        for names, is_mark in ((signs, False), (marks, True)):
            for name, says in names.items():
                for expression in dict.fromkeys(_written_out(says)):
                    outlines.append(writer.outline(expression))
                    compiled = writer.pattern(outlines[-1])
                    find = expressions.Finder(compiled, expression, proven=outlines[-1] in memory)
                    self.entries.append(Entry(name, is_mark, _negates(compiled), find))
        self.spelling = _spelling((*signs.values(), *marks.values()), groups, folded, ordinary)
        self._prefilter = Prefilter(
            outlines,
            writer.groups,
            (text.normalise(message, self.spelling) for message in sample),
            memory,
        )
        self.groups = writer.groups

    def read(self, message: str) -> Found:
        words = text.as_words(text.tokens(message, self.spelling))
        signs: dict[Hit, None] = {}
        marks: dict[str, dict[Hit, None]] = {}
        read: dict[tuple[str, ...], list[tuple[Entry, Hit]]] = {}
        for first, after, start, end in _stretches(words):
            said = words.words[first:after]
            if said not in read:
                read[said] = list(self._hits(words.joined, said, start, end))
            for entry, hit in read[said]:
                kept = marks.setdefault(entry.name, {}) if entry.is_mark else signs
                kept[_moved(hit, first)] = None
        return Found(words, tuple(signs), {name: tuple(hits) for name, hits in marks.items()})

    def _hits(
        self, joined: bytes, said: tuple[str, ...], start: int, end: int
    ) -> Iterator[tuple[Entry, Hit]]:
        """What stands in one stretch; its hits count from the stretch's first word."""
        for index in self._prefilter.candidates(said):
            entry = self.entries[index]
            for hit in _locate(entry, joined, said, start, end):
                yield entry, hit

    def strangers(self, words: Words) -> tuple[int, int]:
        """How many words nobody here knows, of how many."""
        typed = [word for word in words.words if word.isalpha()]
        return sum(not self.spelling.knows(word) for word in typed), len(typed)


def _written_out(says: Sequence[str]) -> list[str]:
    """Every alternative by itself. What one cannot do one may also do hardly ({hardly})."""
    found = [one for expression in says for one in expressions.alternatives(expression)]
    return found + [one.replace("{cannot}", "{hardly}") for one in found if "{cannot}" in one]


def _negates(compiled: bytes) -> bool:
    spelled = compiled.replace(b"(?:", b" ").translate(_SEPARATORS).split()
    return any(word.decode() in _NEGATIVE_WORDS for word in spelled)


_SEPARATORS = bytes.maketrans(b"()|?", b"    ")


def _stretches(words: Words) -> Iterator[tuple[int, int, int, int]]:
    """What no expression reaches beyond: from one stop or comma to the next, or so many words.

    As word indices and as bytes of `joined`, the spaces around it included.
    """
    first, start = 0, 0
    for i, word in enumerate((*words.words, ".")):
        if word in _ENDS:
            if i > first:
                yield from _windows(words.words, first, i, start)
            start += sum(map(len, words.words[first : i + 1])) + i + 1 - first
            first = i + 1


def _windows(
    words: Sequence[str], first: int, after: int, start: int
) -> Iterator[tuple[int, int, int, int]]:
    """A stretch of words, or where it is long windows over it that overlap."""
    while True:
        last = min(first + _WINDOW, after)
        length = sum(map(len, words[first:last])) + last - first
        yield first, last, start, start + length + 1
        if last == after:
            return
        step = _WINDOW - _OVERLAP
        start += sum(map(len, words[first : first + step])) + step
        first += step


def _locate(
    entry: Entry, joined: bytes, said: Sequence[str], start: int, end: int
) -> Iterator[Hit]:
    """Where an expression stands in the stretch between two bytes."""
    begin = start
    for _ in range(_MOST):
        found, stop = entry.find(joined, start, end)
        if found < 0:
            return
        at = joined.count(b" ", begin, found + 1) - 1
        after = joined.count(b" ", begin, stop)
        negating = entry.negating and _brings_its_own_no(entry, said[at:after])
        yield Hit(entry.name, at, after, negating)
        start = stop


def _brings_its_own_no(entry: Entry, said: Sequence[str]) -> bool:
    """Not so in "neck no stiff", where a gap let the "no" in: without it the same is found."""
    if _NEGATIVE_WORDS.isdisjoint(said):
        return False
    left = [word for word in said if word not in _DENYING]
    if len(left) == len(said) or not left:
        return True
    without = f" {' '.join(left)} ".encode("ascii", "replace")
    first, after = entry.find(without, 0, len(without))
    return not (0 <= first <= 1 and after >= len(without) - 1)


def _moved(hit: Hit, by: int) -> Hit:
    return Hit(hit.name, hit.first + by, hit.after + by, hit.negating) if by else hit


def _spelling(
    all_says: Iterable[Sequence[str]],
    groups: Mapping[str, str],
    forms: Mapping[str, str],
    ordinary: Iterable[str],
) -> Spelling:
    spelled: set[str] = set()
    for name in groups:
        spelled |= expressions.vocabulary(f"{{{name}}}", groups)
    for says in all_says:
        for expression in says:
            spelled |= expressions.vocabulary(expression, dict.fromkeys(groups, ""))
    stems = {word[:-1] for word in spelled if word.endswith("~")}
    return Spelling(forms, spelled - {f"{stem}~" for stem in stems}, stems, ordinary)
