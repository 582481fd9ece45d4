"""Find what a text says: signs and marks, with where they stand. Pure.

A `Prefilter` says which expressions the words of a clause leave possible; only those are run, by
`google-re2`, so no text can stall it. A sign is something about a patient ("chest_pain"); a mark
is something about the telling ("past", "asks", "idiom").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from triage import expressions, text, worked_out
from triage.prefilter import Prefilter
from triage.spelling import Spelling
from triage.text import Words, word_set

_MOST = 6
_REMEMBERED = 4_096
_WINDOW, _OVERLAP = 60, 24
_ENDS = frozenset(".,?")
_NEGATIVE_WORDS = word_set(
    "pas plus no not sans without aucun aucune ni jamais never neva non rien cannot nor zero "
    "none nothing"
)
_DENYING = _NEGATIVE_WORDS - {"plus"}
"""Words that can only deny; "plus" may also be "more"."""
_TURNS = word_set("mais but however cependant")
"""A sign is not told across these: in "nausea every morning but water stays" no water is vomited."""


class Hit(NamedTuple):
    """An expression found: word indices [first, after). `negating`: it brought its own "not"."""

    name: str
    first: int
    after: int
    negating: bool


_Part = tuple[bool, str, int, int, bool]
"""What stands in a stretch: whether it is a mark, and what a `Hit` says."""


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
        # By the hash of the words, which is keyed anew in each process: what patients wrote is not kept.
        self._read: dict[int, tuple[_Part, ...]] = {}

    def read(self, message: str) -> Found:
        words = tuple(text.tokens(message, self.spelling))
        signs: dict[Hit, None] = {}
        marks: dict[str, dict[Hit, None]] = {}
        for first, after in _stretches(words):
            said = words[first:after]
            found = self._read.get(hash(said))
            for is_mark, name, at, end, negating in self._meet(said) if found is None else found:
                hit = Hit(name, first + at, first + end, negating)
                if is_mark:
                    marks.setdefault(name, {})[hit] = None
                else:
                    signs[hit] = None
        return Found(
            text.Words(words), tuple(signs), {name: tuple(hits) for name, hits in marks.items()}
        )

    def _meet(self, said: tuple[str, ...]) -> tuple[_Part, ...]:
        """What stands in a stretch, counted from its first word, and remembered."""
        joined = f" {' '.join(said)} ".encode("ascii", "replace")
        found: dict[_Part, None] = {}
        for index in self._prefilter.candidates(said):
            found.update(dict.fromkeys(_locate(self.entries[index], joined, said)))
        if len(self._read) >= _REMEMBERED:
            self._read.clear()
        parts = self._read[hash(said)] = tuple(found)
        return parts

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


def _stretches(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """What no expression reaches beyond: from one stop or comma to the next, or so many words."""
    first = 0
    for end in [i for i, word in enumerate(words) if word in _ENDS] + [len(words)]:
        while end - first > _WINDOW:
            yield first, first + _WINDOW
            first += _WINDOW - _OVERLAP
        if end > first:
            yield first, end
        first = end + 1


def _locate(entry: Entry, joined: bytes, said: Sequence[str]) -> Iterator[_Part]:
    """Where an expression stands in a stretch."""
    start, end = 0, len(joined)
    for _ in range(_MOST):
        found, stop = entry.find(joined, start, end)
        if found < 0:
            return
        at = joined.count(b" ", 0, found + 1) - 1
        after = joined.count(b" ", 0, stop)
        start = stop
        if not entry.is_mark and not _TURNS.isdisjoint(said[at + 1 : after - 1]):
            continue
        negating = entry.negating and _brings_its_own_no(entry, said[at:after])
        yield entry.is_mark, entry.name, at, after, negating


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
