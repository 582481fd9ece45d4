from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from triage import evaluation, rulebook
from triage.evaluation import LEVELS, BadLine, Case, Judged

RATES = {
    "right": "right",
    "emergencies_caught": "caught",
    "under_triage": "under-triage",
    "emergencies_called_self_care": "E as self-care",
    "low_risk_called_emergency": "low risk as E",
}


def share(text: str) -> float:
    """0.95 and 95 are the same."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise ArgumentTypeError(f"a share (0.95) or a percentage (95), not {text!r}")
    return value / 100 if value > 1 else value


class Command(BaseCommand):
    help = "Measure triage on messages whose level is known: JSONL with text or turns, and gold."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--json", type=Path, metavar="OUT", help="write every message there")
        parser.add_argument(
            "--by", action="append", default=[], metavar="KEY", help="another key to group by"
        )
        parser.add_argument(
            "--fail-under",
            type=share,
            metavar="SHARE",
            help="fail where a file has fewer of its emergencies caught",
        )
        parser.add_argument("--rules-only", action="store_true", help="without the learned signal")
        parser.add_argument("--quiet", action="store_true", help="do not list the misses")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cases = [case for file in _named(options["files"]) for case in file]
        except BadLine as error:
            raise CommandError(str(error)) from error
        rules = rulebook.shipped() if options["rules_only"] else rulebook.current()
        judged = evaluation.judge(cases, rules)
        found = {
            name: evaluation.figures(group)
            for name, group in evaluation.groups(judged, options["by"]).items()
        }
        self._tell(found)
        if not options["quiet"]:
            self._tell_misses(judged)
        if options["json"]:
            out = {"messages": [one.as_json() for one in judged], "summary": found}
            text = json.dumps(out, ensure_ascii=False, indent=1) + "\n"
            options["json"].write_text(text, encoding="utf-8")
        if options["fail_under"] is not None:
            _insist(found, {case.file for case in cases}, options["fail_under"])

    def _tell(self, found: dict[str, dict[str, Any]]) -> None:
        width = max(map(len, found), default=0)
        head = "".join(f"{name:>20}" for name in RATES.values())
        self.stdout.write(f"{'':{width}} {'n':>5}{head}{'precision':>11}{'µs':>9}{'p99':>9}")
        for name, figures in found.items():
            rates = "".join(f"{_percent(figures[key]):>20}" for key in RATES)
            precision, us = figures["precision_at_2_percent"], figures["us"]
            self.stdout.write(
                f"{name:{width}} {figures['messages']:5}{rates}"
                f"{_number(precision):>11}{_number(us['median']):>9}{_number(us['p99']):>9}"
            )
        self.stdout.write("% with Wilson 95 % intervals; precision at 2 % prevalence.")
        for name, figures in found.items():
            self._tell_confusion(name, figures["confusion"])

    def _tell_confusion(self, name: str, table: dict[str, dict[str, int]]) -> None:
        self.stdout.write(f"\n{name}: expected down, called across")
        self.stdout.write(f"{'':11}" + "".join(f"{level:>11}" for level in LEVELS))
        for gold, row in table.items():
            self.stdout.write(f"{gold:11}" + "".join(f"{row[level]:11}" for level in LEVELS))

    def _tell_misses(self, judged: list[Judged]) -> None:
        for heading, low in (("Too low", True), ("Too high", False)):
            misses = [one for one in judged if not one.right and one.too_low is low]
            self.stdout.write(f"\n{heading}: {len(misses)}")
            for one in misses:
                fired = ", ".join(one.rules) or "no rule"
                case = one.case
                self.stdout.write(f"{case.file} {case.id}: {case.gold} as {one.level} ({fired})")


def _named(paths: list[Path]) -> Iterator[Iterator[Case]]:
    """Each file's cases, under its name, or its whole path where two files are called alike."""
    names = [path.name for path in paths]
    for path in paths:
        name = path.name if names.count(path.name) == 1 else str(path)
        yield evaluation.read_cases(path, name)


def _insist(found: dict[str, dict[str, Any]], files: set[str], least: float) -> None:
    rates = {file: found[file]["emergencies_caught"]["rate"] for file in sorted(files)}
    short = [f"{file} {rate}" for file, rate in rates.items() if rate is not None and rate < least]
    if short:
        raise CommandError(f"Emergencies caught below {least:g}: {', '.join(short)}")


def _percent(rate: dict[str, Any]) -> str:
    if rate["rate"] is None:
        return "–"
    return f"{100 * rate['rate']:.1f} ({100 * rate['low']:.1f}–{100 * rate['high']:.1f})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
