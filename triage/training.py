"""Makes the learned signal: plain logistic regression, the same weights each time. Needs numpy.

Learns from the development messages and the rules' own examples. Thresholds are set on messages
whose authored files the model had not seen: a letter at a time is held out, since the situations of
one letter recur in all four languages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triage import engine, signal
from triage.rules import RuleSet

STEPS, RATE, PENALTY = 160, 0.1, 0.1
MORE_FALSE_ALARMS = (0.015, 0.03)
"""What each opinion may cost: of the low-risk messages, so many more raised than by the rules."""

_RANKS = {"none": 0, "self_care": 0, "unknown": 1, "routine": 1, "urgent": 2, "emergency": 3}
_URGENT = 2
_FROM = (3, _URGENT)
"""What each opinion looks for: an emergency; urgent or worse."""

LOW_COUNTS = 3.0
"""How much a low-risk message counts: what the signal may cost is counted in them, and there are few."""

Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A message as the model sees it. `called` is the rules' own verdict; `group` is held out together."""

    features: list[int]
    gold: int
    called: int
    group: str


def lessons(paths: Iterable[Path], rules: RuleSet) -> list[Lesson]:
    """The messages of the files, then the examples of the rules, which are never held out."""
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    found = [
        _lesson(case["text"], case["gold"], _letter(case), rules) for case in map(json.loads, lines)
    ]
    return found + [_lesson(text, level, "", rules) for text, level in _examples(rules)]


def _letter(case: dict[str, Any]) -> str:
    return str(case["authored"]).rpartition("_")[2]


def _examples(rules: RuleSet) -> Iterator[tuple[str, str]]:
    for one in rules.compiled:
        if not one.learned:
            yield from ((text, str(one.rule.level)) for text in one.rule.examples["match"])


def _lesson(text: str, gold: str, group: str, rules: RuleSet) -> Lesson:
    words, tellings = engine.as_heard(text, rules)
    called = engine.assess(text, rules)[0].level
    return Lesson(signal.features(words, tellings), _RANKS[gold], _RANKS[called], group)


@dataclass(frozen=True, slots=True)
class Matrix:
    """All features of all lessons, end to end, each weighing one over the root of their number."""

    index: Numbers
    row: Numbers
    value: Numbers
    rows: int

    @classmethod
    def of(cls, lessons: Sequence[Lesson]) -> Matrix:
        sizes = np.array([len(one.features) for one in lessons])
        index = np.concatenate([np.array(one.features) for one in lessons])
        row = np.repeat(np.arange(len(lessons)), sizes)
        return cls(index, row, 1 / np.sqrt(sizes[row]), len(lessons))

    def scores(self, table: Numbers) -> Numbers:
        return np.bincount(self.row, table[self.index] * self.value, minlength=self.rows)

    def gradient(self, errors: Numbers) -> Numbers:
        weights = errors[self.row] * self.value
        return np.bincount(self.index, weights, minlength=1 << signal.BITS)


def fit(lessons: Sequence[Lesson], at_least: int) -> tuple[Numbers, float]:
    """Weights and bias that tell messages of at least this rank from the others (Adam, full batch)."""
    matrix, wanted = Matrix.of(lessons), np.array([one.gold >= at_least for one in lessons], float)
    counts = np.array([LOW_COUNTS if one.gold < _URGENT else 1.0 for one in lessons])
    counts /= counts.sum()
    table, bias = np.zeros(1 << signal.BITS), 0.0
    first, second = np.zeros_like(table), np.zeros_like(table)
    for step in range(1, STEPS + 1):
        errors = (1 / (1 + np.exp(-matrix.scores(table) - bias)) - wanted) * counts
        gradient = matrix.gradient(errors) + PENALTY * table / len(lessons)
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient * gradient
        pace = np.sqrt(second / (1 - 0.99**step)) + 1e-8
        table -= RATE * first / (1 - 0.9**step) / pace
        bias -= 2 * errors.sum()
    return table, bias


def held_out(lessons: Sequence[Lesson], at_least: int) -> Numbers:
    """Each message's score from a model that has not seen its group."""
    found = np.full(len(lessons), -np.inf)
    for group in sorted({one.group for one in lessons} - {""}):
        table, bias = fit([one for one in lessons if one.group != group], at_least)
        at = [i for i, one in enumerate(lessons) if one.group == group]
        found[at] = Matrix.of([lessons[i] for i in at]).scores(table) + bias
    return found


def threshold(lessons: Sequence[Lesson], scores: Numbers, at_least: int, cost: float) -> float:
    """The lowest score to act on, so that at most this share of low-risk messages is raised more."""
    low = [i for i, one in enumerate(lessons) if one.group and one.gold < 2]
    raised = sorted((float(scores[i]) for i in low if lessons[i].called < at_least), reverse=True)
    return raised[min(int(cost * len(low)), len(raised) - 1)]


def train(lessons: Sequence[Lesson]) -> tuple[list[signal.Weights], list[dict[str, Any]]]:
    """The opinions, and what each was measured to do on messages held out."""
    opinions, measured = [], []
    for at_least, cost in zip(_FROM, MORE_FALSE_ALARMS, strict=True):
        scores = held_out(lessons, at_least)
        least = threshold(lessons, scores, at_least, cost)
        opinions.append(_quantised(*fit(lessons, at_least), least))
        measured.append(_measured(lessons, scores > least, at_least))
    return opinions, measured


def _quantised(table: Numbers, bias: float, least: float) -> signal.Weights:
    unit = 127 / np.abs(table).max()
    whole = np.round(table * unit).astype(np.int8)
    return signal.Weights(whole.tobytes(), round(bias * unit, 3), round(least * unit, 3))


def _measured(lessons: Sequence[Lesson], heard: Numbers, at_least: int) -> dict[str, Any]:
    seen = [(one, bool(h)) for one, h in zip(lessons, heard, strict=True) if one.group]
    meant = [(one, h) for one, h in seen if one.gold >= at_least]
    low = [(one, h) for one, h in seen if one.gold < 2]
    return {
        "meant": len(meant),
        "rules": sum(one.called >= at_least for one, _ in meant),
        "both": sum(one.called >= at_least or h for one, h in meant),
        "low": len(low),
        "low_rules": sum(one.called >= at_least for one, _ in low),
        "low_both": sum(one.called >= at_least or h for one, h in low),
    }
