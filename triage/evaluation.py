"""How well triage reads messages whose level is known: counted, with intervals, and timed.

`none` counts as self_care and `unknown` as routine, in what was expected and in what was found.
Every file is read twice and timed the second time: the first reading warms the automata, as the
messages of a running server do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any

from triage.engine import State, assess
from triage.levels import Level, worst
from triage.rules import RuleSet

LEVELS = ("emergency", "urgent", "routine", "self_care")
PREVALENCE = 0.02
"""Of the messages of a real day, how many are taken to be emergencies."""

_COUNTED_AS = {"none": "self_care", "unknown": "routine"}
_LOW_RISK = ("routine", "self_care")
_Z = 1.959964


class BadLine(ValueError):
    """A line that says nothing to measure with; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Case:
    """A message, or the turns of one person, and the levels that would be right.

    `keys` are all other keys of the line, to group by.
    """

    file: str
    id: str
    turns: tuple[str, ...]
    gold: str
    acceptable: frozenset[str]
    language: str
    keys: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Judged:
    """A case as triage saw it: the worst level that any turn reached, and what fired."""

    case: Case
    level: str
    rules: tuple[str, ...]
    us: float

    @property
    def counted(self) -> str:
        return _COUNTED_AS.get(self.level, self.level)

    @property
    def right(self) -> bool:
        return self.counted in self.case.acceptable

    @property
    def too_low(self) -> bool:
        """Below everything that would have been acceptable."""
        return _rank(self.counted) > max(map(_rank, self.case.acceptable))

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.case.file,
            "id": self.case.id,
            "gold": self.case.gold,
            "level": self.level,
            "language": self.case.language,
            "rules": list(self.rules),
            "us": self.us,
        }


def _rank(level: str) -> int:
    """0 is the worst."""
    return LEVELS.index(_COUNTED_AS.get(level, level))


def read_cases(path: Path, name: str = "") -> Iterator[Case]:
    """The cases of a JSONL file; `name` is what it is called in figures. Raises `BadLine`."""
    name = name or path.name
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadLine(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _case(json.loads(line), name, number)
            except ValueError as error:
                raise BadLine(f"{path}:{number}: {error}") from error


def _case(found: Any, file: str, number: int) -> Case:
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    gold = _level(found.get("gold"), "gold")
    return Case(
        file=file,
        id=str(found.get("id") or number),
        turns=_turns(found),
        gold=gold,
        acceptable=frozenset((gold, *_acceptable(found.get("gold_acceptable")))),
        language=str(found.get("language") or ""),
        keys=found,
    )


def _turns(found: Mapping[str, Any]) -> tuple[str, ...]:
    turns = found["turns"] if "turns" in found else [found.get("text")]
    if not isinstance(turns, list) or not turns:
        raise ValueError("turns is a list of messages, with at least one")
    return tuple(_text(turn.get("text") if isinstance(turn, dict) else turn) for turn in turns)


def _text(said: Any) -> str:
    if not isinstance(said, str):
        raise ValueError("has neither text nor turns, or one that is no text")
    return said


def _acceptable(levels: Any) -> list[str]:
    if levels is None:
        return []
    listed = levels if isinstance(levels, list) else [levels]
    return [_level(level, "gold_acceptable") for level in listed]


def _level(level: Any, key: str) -> str:
    known = (*LEVELS, *_COUNTED_AS)
    if level not in known:
        raise ValueError(f"{key} is one of {', '.join(known)}, not {level!r}")
    return str(level)


def judge(cases: Sequence[Case], rules: RuleSet) -> list[Judged]:
    for case in cases:
        judge_once(case, rules)
    return [judge_once(case, rules) for case in cases]


def judge_once(case: Case, rules: RuleSet) -> Judged:
    state, level, fired = State(), Level.NONE, []
    started = perf_counter_ns()
    for text in case.turns:
        assessment, state = assess(text, rules, state=state)
        level = worst(level, assessment.level)
        fired += [match.id for match in assessment.matches]
    us = (perf_counter_ns() - started) / 1000 / len(case.turns)
    return Judged(case, str(level), tuple(dict.fromkeys(fired)), round(us, 1))


def figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """What is reported of a group of cases. A rate is a mapping, see `rate`."""
    emergencies = [one for one in judged if one.case.gold == "emergency"]
    low = [one for one in judged if _COUNTED_AS.get(one.case.gold, one.case.gold) in _LOW_RISK]
    calm = [one for one in judged if "emergency" not in one.case.acceptable]
    caught = rate(emergencies, lambda one: one.level == "emergency")
    false_alarms = rate(calm, lambda one: one.level == "emergency")
    return {
        "messages": len(judged),
        "right": rate(judged, lambda one: one.right),
        "emergencies_caught": caught,
        "under_triage": rate(judged, lambda one: one.too_low),
        "emergencies_called_self_care": rate(emergencies, lambda one: one.counted == "self_care"),
        "low_risk_called_emergency": rate(low, lambda one: one.level == "emergency"),
        "precision_at_2_percent": _precision(caught["rate"], false_alarms["rate"]),
        "us": _times([one.us for one in judged]),
        "confusion": confusion(judged),
    }


def confusion(judged: Iterable[Judged]) -> dict[str, dict[str, int]]:
    """How often each expected level (outer) was called each level (inner)."""
    counts = Counter((one.case.gold, one.counted) for one in judged)
    table = {gold: dict.fromkeys(LEVELS, 0) for gold in LEVELS}
    for (gold, level), count in counts.items():
        table[_COUNTED_AS.get(gold, gold)][level] += count
    return table


def rate(of: Sequence[Judged], holds: Callable[[Judged], bool]) -> dict[str, Any]:
    """How many it holds of, the share, and its Wilson 95 % interval; null where there are none."""
    hits, n = sum(map(holds, of)), len(of)
    low, high = wilson(hits, n)
    share = round(hits / n, 4) if n else None
    return {"hits": hits, "of": n, "rate": share, "low": low, "high": high}


def wilson(hits: int, of: int) -> tuple[float, float]:
    if not of:
        return 0.0, 1.0
    p, z2 = hits / of, _Z * _Z
    middle = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z * sqrt(p * (1 - p) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def _precision(caught: float | None, false_alarms: float | None) -> float | None:
    """Of the emergencies that would be announced on a real day, the share that are some."""
    if caught is None or false_alarms is None:
        return None
    true, false = PREVALENCE * caught, (1 - PREVALENCE) * false_alarms
    return round(true / (true + false), 3) if true + false else None


def _times(us: Sequence[float]) -> dict[str, float | None]:
    if not us:
        return {"median": None, "p99": None}
    p99 = quantiles(us, n=100, method="inclusive")[98] if len(us) > 1 else us[0]
    return {"median": round(median(us), 1), "p99": round(p99, 1)}


def groups(judged: Sequence[Judged], keys: Sequence[str]) -> dict[str, list[Judged]]:
    """The cases by file, by file and language, and by file and each of `keys`."""
    found: dict[str, list[Judged]] = {}
    for one in judged:
        found.setdefault(one.case.file, []).append(one)
    for key in dict.fromkeys(("language", *keys)):
        for one in sorted(judged, key=lambda one: (one.case.file, _said(one.case.keys.get(key)))):
            label = f"{one.case.file} {key}={_said(one.case.keys.get(key))}"
            found.setdefault(label, []).append(one)
    return found


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
