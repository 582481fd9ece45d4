"""Measure triage on messages with known levels, per file and language."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from triage import rulebook
from triage.engine import State, assess
from triage.levels import Level, worst

_AS = {"none": "self_care", "unknown": "routine"}
_RANK = {"none": 0, "unknown": 1, "self_care": 0, "routine": 1, "urgent": 2, "emergency": 3}


def read(path: Path) -> Iterator[dict[str, Any]]:
    """One judged message a line; of a dialogue the worst level that any subject reached."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        case = json.loads(line)
        started = perf_counter_ns()
        level, fired = _judged(case.get("turns") or [case["text"]])
        yield {
            "file": path.name,
            "id": case.get("id", number),
            "gold": case.get("gold", "routine"),
            "acceptable": [case.get("gold", "routine"), *case.get("gold_acceptable", [])],
            "level": str(level),
            "language": case.get("language", ""),
            "rules": fired,
            "us": (perf_counter_ns() - started) / 1000,
        }


def _judged(turns: list[Any]) -> tuple[Level, list[str]]:
    state, level, fired = State(), Level.NONE, []
    for turn in turns:
        text = turn if isinstance(turn, str) else turn["text"]
        assessment, state = assess(text, rulebook.current(), state=state)
        level = worst(level, assessment.level)
        fired += [match.id for match in assessment.matches]
    return level, list(dict.fromkeys(fired))


def summary(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """Rates with Wilson 95 % intervals; `none` counts as self_care and `unknown` as routine."""
    taken = [(c, _AS.get(c["level"], c["level"])) for c in cases]
    emergencies = [level for c, level in taken if c["gold"] == "emergency"]
    low = [level for c, level in taken if c["gold"] in ("routine", "self_care")]
    under = sum(_RANK[lv] < min(_RANK[g] for g in c["acceptable"]) for c, lv in taken)
    caught = rate(emergencies.count("emergency"), len(emergencies))
    over = rate(low.count("emergency"), len(low))
    times = [c["us"] for c in cases]
    hit, false = 0.02 * caught["rate"], 0.98 * over["rate"]
    return {
        "messages": len(cases),
        "confusion": {f"{g} as {lv}": n for (g, lv), n in sorted(_confusion(taken).items())},
        "emergencies_caught": caught,
        "emergencies_called_self_care": rate(emergencies.count("self_care"), len(emergencies)),
        "low_risk_called_emergency": over,
        "under_triage": rate(under, len(cases)),
        "precision_at_2_percent": round(hit / (hit + false), 3) if hit + false else None,
        "us_median": round(median(times), 1),
        "us_p99": round(quantiles(times, n=100)[98], 1) if len(times) > 1 else times[0],
    }


def _confusion(taken: list[tuple[dict[str, Any], str]]) -> Counter[tuple[str, str]]:
    return Counter((case["gold"], level) for case, level in taken)


def rate(hits: int, of: int) -> dict[str, Any]:
    if not of:
        return {"hits": 0, "of": 0, "rate": 0.0, "low": 0.0, "high": 1.0}
    p, z = hits / of, 1.96
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    low, high = round(middle - half, 4), round(middle + half, 4)
    return {"hits": hits, "of": of, "rate": round(p, 4), "low": low, "high": high}


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path)
        parser.add_argument("--json", type=Path)
        parser.add_argument("--fail-under", type=float, help="share of emergencies to be caught")
        parser.add_argument("--quiet", action="store_true", help="print no misses")

    def handle(self, *args: Any, **options: Any) -> None:
        rulebook.current()
        cases = [case for path in options["files"] for case in read(path)]
        groups: dict[str, list[dict[str, Any]]] = {}
        for case in cases:
            groups.setdefault(case["file"], []).append(case)
            groups.setdefault(f"{case['file']} {case['language']}", []).append(case)
        found = {name: summary(group) for name, group in groups.items()}
        self.stdout.write(json.dumps(found, ensure_ascii=False, indent=1))
        if not options["quiet"]:
            self._misses(cases)
        if options["json"]:
            out = {"messages": cases, "summary": found}
            options["json"].write_text(json.dumps(out, ensure_ascii=False), encoding="utf-8")
        least, whole = options["fail_under"], summary(cases)["emergencies_caught"]["rate"]
        if least is not None and whole < least:
            raise CommandError(f"emergencies caught {whole} < {least}")

    def _misses(self, cases: list[dict[str, Any]]) -> None:
        for case in cases:
            if _AS.get(case["level"], case["level"]) not in case["acceptable"]:
                fired = ", ".join(case["rules"]) or "no rule"
                self.stdout.write(f"{case['id']}: {case['gold']} as {case['level']} ({fired})")
