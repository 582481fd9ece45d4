from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from triage import rulebook, signal, training

FOLDER = rulebook.FIXTURES / "triage_messages"
MESSAGES = [
    FOLDER / f"{part}development.jsonl" for part in ("", "frames_", "fresh_", "calm_", "wide_")
]


class Command(BaseCommand):
    help = "Train the learned signal on the development messages, with the rules as they are now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--messages", type=Path, nargs="+", default=MESSAGES, metavar="FILE")
        parser.add_argument("--out", type=Path, default=signal.FILE, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        lessons = training.lessons(options["messages"], rulebook.shipped())
        opinions, measured = training.train(lessons)
        signal.write(
            options["out"],
            opinions,
            {"messages": " ".join(path.name for path in options["messages"])},
        )
        for name, found in zip(signal.NAMES, measured, strict=True):
            for kind, counts in found.items():
                self.stdout.write(
                    f"{name}, held out, {kind}: {counts['rules']} of {counts['of']} by the rules "
                    f"alone, {counts['both']} by both"
                )
