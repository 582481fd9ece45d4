"""Which expressions a stretch of text can match at all, judged by its words alone. Pure.

An automaton over every expression at once never gets warm: each new message is a new combination
of half-matched expressions. So each expression is reduced to a few sets of words of which the
text must have one each (the idea of RE2's `FilteredRE2`); only those that pass are run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_DEMANDS = 3
_MOST_STRINGS = 400
_MEMO = 8_192
_EDGE = "\0"
"""Stands in strings for a place where a word begins or ends."""

Atom = tuple[str, str]
"""How a word is compared ("is", "starts", "has"), and with what."""
Demand = frozenset[Atom]
"""A text must have a word that satisfies one of these."""


class Prefilter:
    """`candidates(words)` are the indices of the patterns that may match a text of these words.

    In the patterns single characters may stand for the expressions of `groups`.
    """

    def __init__(
        self, patterns: Sequence[str], groups: Mapping[str, str], sample: Iterable[str]
    ) -> None:
        known = {sign: _strings(parser.parse(written), {}) for sign, written in groups.items()}
        commonness = _Commonness(sample)
        self._size = len(patterns)
        self._all = (1 << self._size) - 1
        self._atoms: dict[Atom, int] = {}
        self._always = 0
        self._memo: dict[str, int] = {}
        for index, pattern in enumerate(patterns):
            found = sorted(set(demands(pattern, known)), key=commonness)
            self._require(index, found[:_DEMANDS])

    def _require(self, index: int, found: Sequence[Demand]) -> None:
        for nth in range(_DEMANDS):
            bit = 1 << (index + nth * self._size)
            if nth >= len(found):
                self._always |= bit
                continue
            for atom in found[nth]:
                self._atoms[atom] = self._atoms.get(atom, 0) | bit

    def candidates(self, words: Iterable[str]) -> Iterator[int]:
        memo, met = self._memo, self._always
        for word in set(words):
            mask = memo.get(word)
            met |= self._met(word) if mask is None else mask
        left = met & (met >> self._size) & (met >> 2 * self._size) & self._all
        while left:
            low = left & -left
            yield low.bit_length() - 1
            left ^= low

    def _met(self, word: str) -> int:
        """The demands that a word meets, as bits."""
        mask, atoms = self._atoms.get(("is", word), 0), self._atoms
        for end in range(1, len(word) + 1):
            mask |= atoms.get(("starts", word[:end]), 0)
            for start in range(end):
                mask |= atoms.get(("has", word[start:end]), 0)
        if len(self._memo) >= _MEMO:
            self._memo.clear()
        self._memo[word] = mask
        return mask


class _Commonness:
    """How often a demand will be met, judged by a sample of texts."""

    def __init__(self, sample: Iterable[str]) -> None:
        self._met: Counter[Atom] = Counter()
        for word, count in Counter(word for text in sample for word in text.split()).items():
            parts = {("is", word)} | {("starts", word[:end]) for end in range(1, len(word) + 1)}
            parts |= {
                ("has", word[start:end]) for end in range(1, len(word) + 1) for start in range(end)
            }
            for atom in parts:
                self._met[atom] += count

    def __call__(self, demand: Demand) -> float:
        return sum(self._met[atom] + 1 / len(atom[1]) for atom in demand)


Groups = Mapping[str, "frozenset[str] | None"]
"""The strings a character stands for; None where there are too many."""


def demands(pattern: str, groups: Groups) -> list[Demand]:
    """Sets of words of which every text that matches has one each."""
    return _Reading(groups, False).sequence(parser.parse(pattern)).finish()


class _Reading:
    """One pass over a sequence: strings that must stand here, and the demands made so far.

    `strings` are all the ways to write the stretch since the last gap; None after one that
    could be written in too many ways.
    """

    def __init__(self, groups: Groups, at_edge: bool) -> None:
        self.groups = groups
        self.strings = frozenset({_EDGE if at_edge else ""})
        self.found: list[Demand] = []

    def sequence(self, nodes: Any) -> _Reading:
        for op, argument in nodes:
            self._node(op, argument)
        return self

    def finish(self) -> list[Demand]:
        self._flush(False)
        return self.found

    def _node(self, op: Any, argument: Any) -> None:
        exact = _piece(op, argument, self.groups)
        if exact is not None:
            self._append(exact)
        elif op is code.SUBPATTERN:
            self.sequence(argument[-1])
        elif op is code.BRANCH:
            self._branch(argument[1])
        elif op in (code.MAX_REPEAT, code.MIN_REPEAT):
            self._repeat(*argument)
        else:
            self._flush(False)

    def _append(self, more: frozenset[str]) -> None:
        if len(self.strings) * len(more) > _MOST_STRINGS:
            self._flush(self._edge())
        if len(self.strings) * len(more) <= _MOST_STRINGS:
            self.strings = frozenset(a + b for a, b in product(self.strings, more))
        else:
            self._flush(False)

    def _branch(self, branches: Sequence[Any]) -> None:
        edge = self._edge()
        self._flush(edge)
        readings = [_Reading(self.groups, edge).sequence(one).finish() for one in branches]
        if all(readings):
            self.found.append(frozenset().union(*(min(r, key=_rough) for r in readings)))
        self.strings = frozenset({""})

    def _repeat(self, least: int, most: int, inner: Any) -> None:
        edge = self._edge() and _ends_a_word(inner)
        if least:
            self._flush(self._edge())
            self.found += _Reading(self.groups, self._edge()).sequence(inner).finish()
        self._flush(edge)

    def _edge(self) -> bool:
        return all(string[-1:] in (" ", _EDGE) for string in self.strings)

    def _flush(self, at_edge: bool) -> None:
        options = [_atoms(string) for string in self.strings]
        for nth in range(min(len(atoms) for atoms in options)):
            self.found.append(frozenset(atoms[nth] for atoms in options))
            self.found.append(frozenset(atoms[-1 - nth] for atoms in options))
        self.strings = frozenset({_EDGE if at_edge else ""})


def _strings(nodes: Any, groups: Groups) -> frozenset[str] | None:
    """Every string that a part can be, if they are few."""
    strings = frozenset({""})
    for op, argument in nodes:
        more = _piece(op, argument, groups)
        if more is None or len(strings) * len(more) > _MOST_STRINGS:
            return None
        strings = frozenset(a + b for a, b in product(strings, more))
    return strings


def _piece(op: Any, argument: Any, groups: Groups) -> frozenset[str] | None:
    match op:
        case code.LITERAL:
            letter = chr(argument)
            return groups.get(letter, frozenset({letter}))
        case code.AT:
            return frozenset({_EDGE})
        case code.SUBPATTERN:
            return _strings(argument[-1], groups)
        case code.BRANCH:
            return _union([_strings(branch, groups) for branch in argument[1]])
        case code.MAX_REPEAT if argument[:2] == (0, 1):
            return _union([frozenset({""}), _strings(argument[2], groups)])
        case code.IN:
            return _letters(argument, groups)
    return None


def _union(parts: Sequence[frozenset[str] | None]) -> frozenset[str] | None:
    known = [part for part in parts if part is not None]
    return frozenset().union(*known) if len(known) == len(parts) else None


def _letters(members: Any, groups: Groups) -> frozenset[str] | None:
    """A set of characters; an alternation of word groups is one too."""
    if any(op is not code.LITERAL for op, _ in members):
        return None
    return _union([groups.get(chr(one), frozenset({chr(one)})) for _, one in members])


def _ends_a_word(nodes: Any) -> bool:
    """Whether every repetition ends with a space, so that what follows begins a word."""
    if not len(nodes):
        return False
    op, argument = nodes[-1]
    if op is code.SUBPATTERN:
        return _ends_a_word(argument[-1])
    if op is code.BRANCH:
        return all(_ends_a_word(branch) for branch in argument[1])
    return op is code.LITERAL and chr(argument) == " "


def _atoms(string: str) -> list[Atom]:
    """What the words of a string demand; the outer ones may go on where no edge is known."""
    words = re.sub(f"[ {_EDGE}]*[ {_EDGE}][ {_EDGE}]*", " ", string).split(" ")
    atoms: list[Atom] = []
    for i, word in enumerate(words):
        if word:
            starts, ends = i > 0, i + 1 < len(words)
            atoms.append(("is" if starts and ends else "starts" if starts else "has", word))
    return atoms


def _rough(demand: Demand) -> tuple[int, int]:
    """Long words in few ways are rare; good enough to choose within one alternative."""
    return -min(len(atom[1]) for atom in demand), len(demand)
