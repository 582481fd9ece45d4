from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from django.core.management.base import BaseCommand
from django.db import transaction

from carehelp.database.identity import login
from rag import embedding
from rag.language import in_full
from rag.likeness import WEIGHTS
from rag.models import QUESTIONS
from rag.search import between, rank, ways_to_ask
from triage.rulebook import written_out

if TYPE_CHECKING:
    import numpy as np

CUES = {"vectors and words": ("alike", "closeness", "spelt"), "words alone": ("alike", "spelt")}
ROUNDS = 4
RIDGE = 0.1
RIGHT_COUNTS = 1.5
"""A wrong answer of the right topic costs less than none: a section seldom has the fact. So the
score is 0.5 where four in ten are right, and `RELEVANT` is the threshold of all passages.
"""


class Command(BaseCommand):
    help = (
        "Choose how much each cue says of which common question is meant, on labelled questions, and "
        "write it to rag/data/likeness.yaml. Wants the guidance ingested, with its vectors."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("labelled", type=Path, help="JSON lines: text, language, questions")

    def handle(self, *args: Any, **options: Any) -> None:
        lines = options["labelled"].read_text(encoding="utf-8").splitlines()
        asked = [_candidates(json.loads(line)) for line in lines]
        weights = {name: _learn([a for a in asked if a], cues) for name, cues in CUES.items()}
        text = "# Made by `manage.py learn_likeness`.\n" + yaml.safe_dump(weights)
        WEIGHTS.write_text(text, encoding="utf-8")
        self.stdout.write(text)


Candidate = tuple[dict[str, float], bool]
"""Its cues, and whether it is right."""


def _candidates(labelled: dict[str, Any]) -> list[Candidate]:
    """What the search finds for a question."""
    ways = ways_to_ask(in_full(written_out(labelled["text"])), labelled["language"])
    question, vector = ways[0], between(embedding.embed_now(ways, "query"))
    with transaction.atomic(using=login()):
        rows = rank(question, labelled["language"], vector)
    return [
        (row["cues"], row["heading"] in labelled["questions"])
        for row in rows
        if row["section"] == QUESTIONS
    ]


def _learn(asked: list[list[Candidate]], cues: tuple[str, ...]) -> dict[str, float]:
    """Logistic regression on all candidates, then on the best of each question, as it chooses them."""
    import numpy as np

    tables = [
        (
            np.array([[found[cue] for cue in cues] for found, _ in one]),
            np.array([y for _, y in one]),
        )
        for one in asked
    ]
    weights = _logistic(np.vstack([x for x, _ in tables]), np.concatenate([y for _, y in tables]))
    for _ in range(ROUNDS):
        best = [(x[place], y[place]) for x, y in tables for place in [(x @ weights[1:]).argmax()]]
        weights = _logistic(np.array([x for x, _ in best]), np.array([y for _, y in best]))
    return {n: round(float(w), 3) for n, w in zip(("constant", *cues), weights, strict=True)}


def _logistic(x: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The constant and the weights, by Newton's method."""
    import numpy as np

    x = np.column_stack([np.ones(len(x)), x])
    counts = np.where(right, RIGHT_COUNTS, 1.0)
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (counts * (p - right)) + RIDGE * weights
        curvature = (x.T * (counts * p * (1 - p))) @ x + RIDGE * np.eye(len(weights))
        weights -= np.linalg.solve(curvature, gradient)
    return weights
