from __future__ import annotations

import asyncio
import json
import random
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from conversations.compose import Composed, advice_of, compose
from conversations.rendering import triage_json
from rag.search import beside, search
from triage import rulebook
from triage.engine import assess
from triage.levels import Level

PATIENCE_MS = 10_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """A question, and what its writer would read where no model answers."""

    text: str
    language: str
    composed: Composed


class Command(BaseCommand):
    help = (
        "Draw questions at random, compose their answers without a model, and write a sheet to grade "
        "them blind: question, answer and what it cites, nothing else. The same seed draws the same."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("questions", type=Path, help="JSON lines with text and language")
        parser.add_argument("--seed", type=int, required=True)
        parser.add_argument("--count", type=int, default=50)

    def handle(self, *args: Any, **options: Any) -> None:
        lines = options["questions"].read_text(encoding="utf-8").splitlines()
        asked = [json.loads(line) for line in lines]
        random.Random(options["seed"]).shuffle(asked)
        drawn, emergencies = asyncio.run(_draw(asked, options["count"]))
        self.stdout.write(
            f"Seed {options['seed']}: {len(drawn)} answers. Passed over: {emergencies} emergencies, "
            "which get their rule's advice and no composed answer.\n"
        )
        for number, one in enumerate(drawn, 1):
            self.stdout.write(_entry(number, one))


async def _draw(asked: list[dict[str, str]], count: int) -> tuple[list[Drawn], int]:
    drawn: list[Drawn] = []
    emergencies = 0
    for question in asked:
        if len(drawn) == count:
            break
        answer = await _answer(question["text"], question["language"])
        if answer is None:
            emergencies += 1
        else:
            drawn.append(Drawn(question["text"], question["language"], answer))
    return drawn, emergencies


async def _answer(text: str, language: str) -> Composed | None:
    """As `conversations.turn` would, without storing anything; None for an emergency."""
    assessment, _ = assess(text, rulebook.current(), language=language)
    if assessment.level is Level.EMERGENCY:
        return None
    asked = rulebook.written_out(text)
    passages = await search(asked, language=language, budget_ms=PATIENCE_MS)
    passages += await beside(passages, language)
    advice = advice_of(assessment, triage_json(assessment, language)["advice"])
    return compose(asked, passages, language=language, advice=advice)


def _entry(number: int, one: Drawn) -> str:
    cited = [
        f"[{place}] {passage.title}, {passage.heading}: "
        + " ".join(passage.text.split())
        + f" ({', '.join(source['publisher'] for source in passage.sources if source['read'])})"
        for place, passage in enumerate(one.composed.cited, 1)
    ]
    quoted = "\n".join(f"> {line}".rstrip() for line in one.composed.text.splitlines())
    sources = "\n".join(f"- {source}" for source in cited) or "- nothing cited"
    return f"\n### {number}. ({one.language}) {one.text}\n\n{quoted}\n\n{sources}\n"
