"""When a rule holds: conditions as data, compiled to clauses over bits. Pure.

Everything that can be true of a patient (a sign, or a comparison with a fact) is one bit. A
condition becomes a conjunction of clauses, each satisfied by one bit that is set or one that is
not; what is missing for a rule is then what its single unsatisfied clause asks for.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

MOST_CLAUSES = 600

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
    "is": operator.eq,
}


class BadCondition(ValueError):
    """A condition that does not exist, or is not written as it must be."""


@dataclass(frozen=True, slots=True)
class Clause:
    """Satisfied when one of `wanted` is there, or one of `unwanted` is not."""

    wanted: int
    unwanted: int = 0

    def holds(self, present: int) -> bool:
        return bool(present & self.wanted or self.unwanted & ~present)


Clauses = tuple[Clause, ...]


class Bits:
    """Numbers everything that can be true of a patient."""

    def __init__(self) -> None:
        self._signs: dict[str, int] = {}
        self._names: list[str] = []
        self._facts: dict[str, list[tuple[Callable[[Any, Any], bool], Any, int]]] = {}

    def sign(self, name: str) -> int:
        """The bit of a sign, as a mask."""
        if name not in self._signs:
            self._signs[name] = self._next(name)
        return self._signs[name]

    def fact(self, name: str, comparison: str, value: Any) -> int:
        known = self._facts.setdefault(name, [])
        compare = _OPERATORS[comparison]
        for other, bound, bit in known:
            if other is compare and bound == value:
                return bit
        bit = self._next(f"{name} {comparison} {value}")
        known.append((compare, value, bit))
        return bit

    def _next(self, name: str) -> int:
        self._names.append(name)
        return 1 << (len(self._names) - 1)

    def mask(self, signs: Iterable[str]) -> int:
        mask = 0
        for name in signs:
            mask |= self._signs.get(name, 0)
        return mask

    def of_facts(self, facts: Mapping[str, Any]) -> int:
        mask = 0
        for name, value in facts.items():
            for compare, bound, bit in self._facts.get(name, ()):
                if compare(value, bound):
                    mask |= bit
        return mask

    def names(self, mask: int) -> list[str]:
        found = []
        while mask:
            low = mask & -mask
            found.append(self._names[low.bit_length() - 1])
            mask ^= low
        return found


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What conditions may name; `says` gives inline expressions the name of a sign."""

    bits: Bits
    signs: frozenset[str]
    facts: frozenset[str]
    says: Callable[[Mapping[str, Sequence[str]]], str]


def compile_condition(when: Any, known: Vocabulary) -> Clauses:
    """The clauses of a condition. Raises `BadCondition` naming what is wrong."""
    clauses = _compile(when, known)
    if len(clauses) > MOST_CLAUSES:
        raise BadCondition(f"too many combinations ({len(clauses)} clauses)")
    return tuple(sorted(clauses, key=lambda c: c.wanted.bit_count() + 1000 * bool(c.unwanted)))


def _compile(when: Any, known: Vocabulary) -> list[Clause]:
    if not isinstance(when, Mapping) or len(when) != 1:
        raise BadCondition(
            f"a condition is one of all, any, not, says, sign, fact, count: {when!r}"
        )
    match dict(when):
        case {"all": [*parts]} if parts:
            return [clause for part in parts for clause in _compile(part, known)]
        case {"any": [*parts]} if parts:
            return _either([_compile(part, known) for part in parts])
        case {"not": part}:
            return _not(_compile(part, known))
        case {"says": Mapping() as says}:
            return [Clause(known.bits.sign(known.says(says)))]
        case {"sign": str(name)}:
            return [_sign([name], known)]
        case {"sign": [*names]} if names:
            return [_sign(names, known)]
        case {"fact": Mapping() as comparisons}:
            return _facts(comparisons, known)
        case {"count": {"at_least": int(least), "of": [*parts]}} if 0 < least <= len(parts):
            return _at_least(least, [_compile(part, known) for part in parts])
    raise BadCondition(f"unknown condition {when!r}")


def _sign(names: Sequence[str], known: Vocabulary) -> Clause:
    for name in names:
        if name not in known.signs:
            raise BadCondition(f"unknown sign {name!r}")
    wanted = 0
    for name in names:
        wanted |= known.bits.sign(name)
    return Clause(wanted)


def _facts(comparisons: Mapping[str, Any], known: Vocabulary) -> list[Clause]:
    clauses = []
    for name, bounds in comparisons.items():
        if name not in known.facts:
            raise BadCondition(f"unknown fact {name!r}")
        if not isinstance(bounds, Mapping) or not bounds or set(bounds) - set(_OPERATORS):
            raise BadCondition(f"a fact is compared with {', '.join(_OPERATORS)}: {bounds!r}")
        clauses += [Clause(known.bits.fact(name, how, value)) for how, value in bounds.items()]
    return clauses


def _either(alternatives: list[list[Clause]]) -> list[Clause]:
    """Any of the alternatives: every clause of one joined with every clause of the others."""
    joined = alternatives[0]
    for other in alternatives[1:]:
        joined = _tidy(
            Clause(a.wanted | b.wanted, a.unwanted | b.unwanted) for a in joined for b in other
        )
        if len(joined) > MOST_CLAUSES:
            raise BadCondition("too many combinations")
    return joined


def _at_least(least: int, parts: list[list[Clause]]) -> list[Clause]:
    """At least k of n hold when of any n-k+1 of them one does."""
    clauses: list[Clause] = []
    for some in combinations(parts, len(parts) - least + 1):
        clauses += _either(list(some))
    return _tidy(clauses)


def _not(clauses: list[Clause]) -> list[Clause]:
    """De Morgan: some clause fails, so each of its bits is the other way round."""
    alternatives = [
        [Clause(0, bit) for bit in _each(clause.wanted)]
        + [Clause(bit) for bit in _each(clause.unwanted)]
        for clause in clauses
    ]
    return _either(alternatives)


def _each(mask: int) -> list[int]:
    found = []
    while mask:
        found.append(mask & -mask)
        mask &= mask - 1
    return found


def _tidy(clauses: Iterable[Clause]) -> list[Clause]:
    """Without clauses that another one already implies."""
    kept: list[Clause] = []
    for clause in sorted(set(clauses), key=lambda c: (c.wanted | c.unwanted).bit_count()):
        if clause.wanted & clause.unwanted:
            continue
        if not any(
            k.wanted & clause.wanted == k.wanted and k.unwanted & clause.unwanted == k.unwanted
            for k in kept
        ):
            kept.append(clause)
    return kept
