"""Which expressions a stretch of text can match at all, judged by its words alone. Pure.

An automaton over every expression at once never gets warm: each new message is a new combination
of half-matched expressions. So each expression is reduced to a few sets of words of which the
text must have one each (the idea of RE2's `FilteredRE2`); only those that pass are run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_DEMANDS = 3
_MEMO = 8_192
_EDGE = "\0"
"""Stands in strings for a place where a word begins or ends."""

Atom = tuple[str, str]
"""How a word is compared ("is", "starts", "has"), and with what. Any digit is `_NUMBER`."""
_NUMBER: Atom = ("has", "\\d")
Demand = frozenset[Atom]
"""A text must have a word that satisfies one of these."""
Memory = dict[str, list[Demand]]
"""What patterns demand, as far as that has been worked out."""


class Prefilter:
    """`candidates(words)` are the indices of the patterns that may match a text of these words.

    In the patterns single characters may stand for the expressions of `groups`.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        groups: Mapping[str, str],
        sample: Iterable[str],
        memory: Memory,
    ) -> None:
        work_out(patterns, groups, memory)
        commonness = _Commonness(sample)
        self._size = len(patterns)
        self._all = (1 << self._size) - 1
        self._atoms: dict[Atom, int] = {}
        self._always = 0
        self._memo: dict[str, int] = {}
        for index, pattern in enumerate(patterns):
            found = sorted(set(memory[pattern]), key=commonness)
            self._require(index, found[:_DEMANDS])
        self._longest = max((len(what) for _, what in self._atoms), default=0)
        self._pieces = [
            (what, bits)
            for (how, what), bits in self._atoms.items()
            if how == "has" and (how, what) != _NUMBER
        ]

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
        left = met & self._all
        for nth in range(1, _DEMANDS):
            left &= met >> nth * self._size
        while left:
            low = left & -left
            yield low.bit_length() - 1
            left ^= low

    def _met(self, word: str) -> int:
        """The demands that a word meets, as bits."""
        mask, atoms = self._atoms.get(("is", word), 0), self._atoms
        for end in range(1, min(len(word), self._longest) + 1):
            mask |= atoms.get(("starts", word[:end]), 0)
        for piece, bits in self._pieces:
            if piece in word:
                mask |= bits
        if not word.isalpha() and any(letter.isdigit() for letter in word):
            mask |= atoms.get(_NUMBER, 0)
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
            if any(letter.isdigit() for letter in word):
                parts.add(_NUMBER)
            for atom in parts:
                self._met[atom] += count

    def __call__(self, demand: Demand) -> float:
        return sum(self._met[atom] + 1 / len(atom[1]) for atom in demand)


Groups = Mapping[str, "list[Demand]"]
"""What is demanded of a text by the expression that a character stands for."""


def work_out(patterns: Sequence[str], groups: Mapping[str, str], memory: Memory) -> None:
    """Add to `memory` what it lacks of these patterns."""
    missing = [pattern for pattern in patterns if pattern not in memory]
    if missing:
        known = {sign: demands(rf"\b(?:{one})\b", {}) for sign, one in groups.items()}
        memory.update({pattern: demands(pattern, known) for pattern in missing})


def demands(pattern: str, groups: Groups) -> list[Demand]:
    """Sets of words of which every text that matches has one each."""
    return _Reading(groups, at_edge=False).sequence(parser.parse(pattern), closed=True).finish()


class _Reading:
    """One pass over a pattern: the letters since the last choice or gap, and the demands so far.

    `closed` says that a word ends where a part ends, `at_edge` that one begins where it begins.
    """

    def __init__(self, groups: Groups, *, at_edge: bool) -> None:
        self.groups = groups
        self.letters = _EDGE if at_edge else ""
        self.found: list[Demand] = []

    def sequence(self, nodes: Any, *, closed: bool) -> _Reading:
        for i, (op, argument) in enumerate(nodes):
            self._node(op, argument, _begins_closed(nodes, i + 1, closed))
        if closed:
            self.letters += _EDGE
        return self

    def finish(self) -> list[Demand]:
        self._flush(at_edge=False)
        return self.found

    def _node(self, op: Any, argument: Any, closed: bool) -> None:
        match op:
            case code.LITERAL if chr(argument) in self.groups:
                self._choice([self.groups[chr(argument)]])
            case code.LITERAL:
                self.letters += chr(argument)
            case code.AT:
                self.letters += _EDGE
            case code.SUBPATTERN:
                self.sequence(argument[-1], closed=closed)
            case code.BRANCH:
                self._choice([self._part(one, closed) for one in argument[1]])
            case code.IN if all(
                op is code.LITERAL and chr(one) in self.groups for op, one in argument
            ):
                self._choice([self.groups[chr(one)] for _, one in argument])
            case code.IN if argument == [(code.CATEGORY, code.CATEGORY_DIGIT)]:
                self._flush(at_edge=False)
                self.found.append(frozenset({_NUMBER}))
            case code.MAX_REPEAT | code.MIN_REPEAT:
                least, most, inner = argument
                self._repeat(least, most, inner, closed)
            case _:
                self._flush(at_edge=False)

    def _part(self, nodes: Any, closed: bool) -> list[Demand]:
        return _Reading(self.groups, at_edge=self._edge()).sequence(nodes, closed=closed).finish()

    def _choice(self, readings: Sequence[list[Demand]]) -> None:
        """One of several: what the best demand of each asks for, and the second best."""
        self._flush(at_edge=False)
        ranked = [sorted(reading, key=_rough) for reading in readings]
        for nth in range(min(2, *map(len, ranked)) if len(ranked) > 1 else len(ranked[0])):
            self.found.append(frozenset().union(*(reading[nth] for reading in ranked)))

    def _repeat(self, least: int, most: int, inner: Any, closed: bool) -> None:
        edge = self._edge() and _ends_a_word(inner)
        if least:
            self._choice([self._part(inner, closed and most == 1)])
        self._flush(at_edge=edge)

    def _edge(self) -> bool:
        return self.letters[-1:] in (" ", _EDGE)

    def _flush(self, *, at_edge: bool) -> None:
        self.found += [frozenset({atom}) for atom in _atoms(self.letters)]
        self.letters = _EDGE if at_edge else ""


def _begins_closed(nodes: Any, at: int, closed: bool) -> bool:
    """Whether what follows surely begins with the end of a word."""
    if at == len(nodes):
        return closed
    op, argument = nodes[at]
    match op:
        case code.LITERAL:
            return chr(argument) == " "
        case code.AT:
            return True
        case code.SUBPATTERN:
            return _begins_closed(argument[-1], 0, _begins_closed(nodes, at + 1, closed))
        case code.MAX_REPEAT if argument[0] == 0:
            following = _begins_closed(nodes, at + 1, closed)
            return following and _begins_closed(argument[2], 0, following)
        case code.BRANCH:
            following = _begins_closed(nodes, at + 1, closed)
            return all(_begins_closed(one, 0, following) for one in argument[1])
    return False


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
    """What the words of a string demand; the outer ones may go on where no edge is known.

    A number may go on anyway: "38" is an edge in "38.5" to re2, but not a word of the text.
    """
    words = re.sub(f"[ {_EDGE}]*[ {_EDGE}][ {_EDGE}]*", " ", string).split(" ")
    atoms: list[Atom] = []
    for i, word in enumerate(words):
        if word:
            starts, ends = i > 0, i + 1 < len(words)
            whole = starts and not word[-1].isdigit()
            atoms.append(("is" if whole and ends else "starts" if whole else "has", word))
    return atoms


def _rough(demand: Demand) -> tuple[int, int]:
    """Long words in few ways are rare; good enough to choose within one alternative."""
    return -min(len(atom[1]) for atom in demand), len(demand)
