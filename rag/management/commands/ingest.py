from __future__ import annotations

import sys
from argparse import ArgumentParser
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from rag.ingest import Bar, Result, ingest
from rag.records import Report


class Command(BaseCommand):
    help = (
        "Take in guidance (Markdown) and case records (CSV, JSON); without PATH those of the "
        "settings. Doing it again changes nothing; it is safe while serving."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
        parser.add_argument("--no-embed", action="store_true", help="leave vectors for another run")

    def handle(self, *args: Any, **options: Any) -> None:
        paths: list[Path] = options["paths"]
        for path in paths:
            if not path.exists():
                raise CommandError(f"{path}: no such file or folder")
        self.quiet = options["verbosity"] == 0
        result = ingest(paths or None, embed=not options["no_embed"], progress=self._progress)
        self._tell(result)
        if result.problems and paths:
            raise CommandError("\n".join(result.problems))
        for problem in result.problems:
            self.stderr.write(f"WARNING: {problem}")

    def _progress(self, name: str, total: int, unit: str) -> AbstractContextManager[Bar]:
        interval = 0.2 if sys.stderr.isatty() else 10
        return tqdm(
            desc=name,
            total=total,
            unit=unit,
            unit_scale=unit == "B",
            mininterval=interval,
            disable=self.quiet,
        )

    def _tell(self, result: Result) -> None:
        if self.quiet:
            return
        for report in result.reports:
            self._tell_report(report)
        told = ", ".join(f"{count} {outcome}" for outcome, count in result.outcomes.items())
        self.stdout.write(f"Documents: {told or 'none'}")

    def _tell_report(self, report: Report) -> None:
        self.stdout.write(f"{report.name}: {report.kept} rows kept")
        for note in report.notes:
            self.stdout.write(f"  {note}")
        for heading, reasons in (
            ("rows dropped", report.dropped),
            ("values repaired", report.repaired),
            ("values missing", report.missing),
        ):
            self.stdout.write(f"  {heading}: {sum(reasons.values())}")
            for reason, count in reasons.most_common():
                self.stdout.write(f"    {count:7} {reason}")
