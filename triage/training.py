"""Makes the learned signal: plain logistic regression, the same weights each time. Needs numpy.

Learns from the development messages and the rules' own examples. Thresholds are set on messages
whose authored files the model had not seen: what shares a letter is held out together, since its
situations recur in all four languages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triage import engine, signal
from triage.rules import RuleSet

STEPS, RATE, PENALTY = 160, 0.1, 0.02
MORE_FALSE_ALARMS = (0.02, 0.03)
"""What each opinion may cost: of the low-risk messages, so many more raised than by the rules."""

MORE_URGENT_RAISED = 0.08
"""Of the urgent messages, so many more may be called emergencies than by the rules."""

_RANKS = {"none": 0, "self_care": 0, "unknown": 1, "routine": 1, "urgent": 2, "emergency": 3}
_URGENT = 2
_FIRST_LETTERS = "abcdef"
_FROM = (3, _URGENT)
"""What each opinion looks for: an emergency; urgent or worse."""

LOW_COUNTS = 3.0
"""How much a low-risk message counts: what the signal may cost is counted in them, and there are few."""

Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A message as the model sees it. `called` is the rules' own verdict; `group` is held out together."""

    features: list[tuple[int, int]]
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
    """What is held out with it: a to f, by one author, together, and so all fresh or calm batches."""
    letter = str(case["authored"]).rpartition("_")[2]
    if letter in _FIRST_LETTERS:
        return _FIRST_LETTERS
    return letter if letter.startswith("wide") else letter.rstrip("0123456789") or letter


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
    """All features of all lessons, end to end, each weighing what it counts over the root of their number.

    `table` holds the features that occur, `index` where in it each stands; `order` sorts them by feature.
    """

    table: Numbers
    index: Numbers
    row: Numbers
    value: Numbers
    rows: Numbers
    order: Numbers
    columns: Numbers

    @classmethod
    def of(cls, lessons: Sequence[Lesson]) -> Matrix:
        sizes = np.array([len(one.features) for one in lessons])
        features, counts = np.concatenate([np.array(one.features) for one in lessons]).T
        table, index = np.unique(features, return_inverse=True)
        row = np.repeat(np.arange(len(lessons)), sizes)
        value = (counts / signal.WHOLE / np.sqrt(sizes[row])).astype(np.float32)
        order = np.argsort(index, kind="stable")
        columns = np.searchsorted(index[order], np.arange(len(table)))
        return cls(table, index, row, value, np.cumsum(sizes) - sizes, order, columns)

    def scores(self, weights: Numbers) -> Numbers:
        return np.add.reduceat(weights[self.index] * self.value, self.rows)

    def gradient(self, errors: Numbers) -> Numbers:
        weighed = errors[self.row] * self.value
        return np.add.reduceat(weighed[self.order], self.columns)


def fit(lessons: Sequence[Lesson], at_least: int) -> tuple[Numbers, float]:
    """Weights and bias that tell messages of at least this rank from the others (Adam, full batch)."""
    matrix = Matrix.of(lessons)
    wanted = np.array([one.gold >= at_least for one in lessons], np.float32)
    counts = np.array([LOW_COUNTS if one.gold < _URGENT else 1.0 for one in lessons], np.float32)
    counts /= counts.sum()
    weights: Numbers = np.zeros(len(matrix.table), np.float32)
    first: Numbers = np.zeros_like(weights)
    second: Numbers = np.zeros_like(weights)
    bias = 0.0
    for step in range(1, STEPS + 1):
        errors = (1 / (1 + np.exp(-matrix.scores(weights) - bias)) - wanted) * counts
        gradient = matrix.gradient(errors) + PENALTY * weights / len(lessons)
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient * gradient
        pace = np.sqrt(second / (1 - 0.99**step)) + 1e-8
        weights -= RATE * first / (1 - 0.9**step) / pace
        bias -= 2 * float(errors.sum())
    table = np.zeros(1 << signal.BITS, np.float32)
    table[matrix.table] = weights
    return table, bias


def held_out(lessons: Sequence[Lesson], at_least: int) -> Numbers:
    """Each message's score from a model that has not seen its group."""
    found = np.full(len(lessons), -np.inf)
    for group in sorted({one.group for one in lessons} - {""}):
        table, bias = fit([one for one in lessons if one.group != group], at_least)
        at = [i for i, one in enumerate(lessons) if one.group == group]
        seen = Matrix.of([lessons[i] for i in at])
        found[at] = seen.scores(table[seen.table]) + bias
    return found


def threshold(
    lessons: Sequence[Lesson], scores: Numbers, at_least: int, cost: float, golds: Sequence[int]
) -> float:
    """The lowest score to act on, so that of messages of these ranks at most this share more is raised."""
    of = [i for i, one in enumerate(lessons) if one.group and one.gold in golds]
    raised = sorted((float(scores[i]) for i in of if lessons[i].called < at_least), reverse=True)
    return raised[min(int(cost * len(of)), len(raised) - 1)] if raised else -np.inf


def _affordable(lessons: Sequence[Lesson], scores: Numbers, at_least: int, cost: float) -> float:
    """The lowest score that costs no more low-risk messages than it may, nor, for emergencies, urgent ones."""
    low = threshold(lessons, scores, at_least, cost, range(_URGENT))
    if at_least == _URGENT:
        return low
    return max(low, threshold(lessons, scores, at_least, MORE_URGENT_RAISED, [_URGENT]))


def train(lessons: Sequence[Lesson]) -> tuple[list[signal.Weights], list[dict[str, Any]]]:
    """The opinions, and what each was measured to do on messages held out."""
    opinions, measured = [], []
    for at_least, cost in zip(_FROM, MORE_FALSE_ALARMS, strict=True):
        scores = held_out(lessons, at_least)
        least = _affordable(lessons, scores, at_least, cost)
        opinions.append(_quantised(*fit(lessons, at_least), least))
        raised = (scores > least) | np.array([one.called >= at_least for one in lessons])
        measured.append(_measured(lessons, raised, at_least))
    return opinions, measured


def _quantised(table: Numbers, bias: float, least: float) -> signal.Weights:
    unit = 127 / float(np.abs(table).max())
    whole = np.round(table * unit).astype(np.int8)
    bias, least = (round(value * unit * signal.WHOLE, 3) for value in (bias, least))
    return signal.Weights(whole.tobytes(), bias, least)


def _measured(lessons: Sequence[Lesson], raised: Numbers, at_least: int) -> dict[str, Any]:
    """How many messages, of each kind, and how many of them the rules alone and both call this."""
    found: dict[str, Any] = {}
    for kind, holds in _KINDS.items():
        seen = [i for i, one in enumerate(lessons) if one.group and holds(one.gold, at_least)]
        found[kind] = {
            "of": len(seen),
            "rules": sum(lessons[i].called >= at_least for i in seen),
            "both": int(raised[seen].sum()),
        }
    return found


_KINDS: dict[str, Callable[[int, int], bool]] = {
    "meant": lambda gold, at_least: gold >= at_least,
    "urgent": lambda gold, at_least: at_least > gold == _URGENT,
    "low-risk": lambda gold, at_least: gold < _URGENT,
}
