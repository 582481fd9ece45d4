"""`search(question)`: what we know that bears on a question, best first, within a time budget.

One SQL statement (`rag/statement.py`) chooses and ranks, by words and by vectors. Importing this
module is cheap: models, pandas and the embedding engine are loaded by those who need them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connections

from ai.base import ProviderError
from carehelp.database.identity import login, run_as
from carehelp.errors import Unavailable
from rag import embedding, vectors
from rag.guidance import BETWEEN
from rag.intent import UNSAID, asks, asks_for_whole_section, only_asks, sections_asked
from rag.language import as_english, detect, in_english
from rag.likeness import likeness, meant
from rag.models import QUESTIONS
from rag.statement import (
    BESIDE,
    DENSE_WEIGHT,
    NAMED,
    parameters,
    passages,
    topic,
    tuning,
)

logger = logging.getLogger(__name__)

GUIDANCE = "guidance"
LOCAL_STATISTICS = "local_statistics"
RELEVANT = 0.5
"""The least score that counts as found: see docs/answers.md for the questions behind it."""

IN_DOUBT = 0.1
"""What must be added for a common question where somebody tells that they are unwell and no section of
its topic was found, where nothing is asked, and twice where a whole section is asked for."""

LIKELY = 0.4
"""The least score of a common question that answers what is asked where no section was found, or the
first one that was is of its topic: beside it a wrong one costs little."""

NAMED_ADDS, NAMED_IS = 0.3, 0.75
"""What it adds to a passage's score that the question names its topic, and what that alone is worth,
times the share of the question."""

CONTRADICTS = 0.15
"""What a common question loses where the asker names another topic more, times the share of the
question by which they do."""

OWN_LANGUAGE = 0.1
"""By how much better a common question in another language must fit."""

NEARLY = 0.2
"""By how much less probable a second common question may be, to be told as well."""

LIMIT = 5
"""Passages that a model is given, and that are shown as found."""

KEPT = 4_000
"""Texts of which what is made of them is remembered: all of the guidance."""

LONGEST_QUESTION = 4_000
LONGEST_SNIPPET = 240
FOR_THE_VECTOR = 0.6
"""Share of the time budget that the question's vector may take before words alone must do."""

LONGEST_MS = 3000
"""After so long, or the time budget where that is longer, nothing is found."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One section of a document, ready to be read and cited.

    `score` says how far it bears on the question, 0 to 1; under `RELEVANT` it hardly does. `sources`
    are what the document rests on, `{"title", "publisher", "year", "url", "read"}`; `url` is the
    first one's. `kind` is `guidance`, or `local_statistics`, which is never evidence and never the
    reader's own record.
    """

    id: int
    topic: str
    section: str
    title: str
    heading: str
    text: str
    snippet: str
    language: str
    url: str
    sources: tuple[dict[str, Any], ...]
    kind: str
    signed: bool
    score: float


async def search(
    query: str,
    *,
    language: str = "auto",
    limit: int = LIMIT,
    budget_ms: float = 150,
) -> list[Passage]:
    """At most `limit` passages in `language` where they exist, guidance before local statistics.

    `budget_ms` is what it should take: a vector that is late is done without.

    Never raises for a database that is down, busy or late: it then finds nothing, and says so in the
    log.
    """
    question = query[:LONGEST_QUESTION].replace("\0", " ").encode(errors="replace").decode()
    wanted = detect(question) if language == "auto" else language
    question, *ways = ways_to_ask(question, wanted)
    start = time.monotonic()
    vector = await _vector([question, *ways], FOR_THE_VECTOR * budget_ms / 1000)
    left = max(budget_ms, LONGEST_MS) / 1000 - (time.monotonic() - start)
    return await _or_nothing(left, find, question, language=wanted, limit=limit, vector=vector)


async def beside(passages: Sequence[Passage], language: str) -> list[Passage]:
    """What else the topic that was found says, to compose an answer from: score 0. Never raises."""
    return await _or_nothing(LONGEST_MS / 1000, rest_of_topic, passages, language)


async def _or_nothing(
    seconds: float, ask: Callable[..., list[Passage]], *args: Any, **more: Any
) -> list[Passage]:
    try:
        # Not wait_for: in Python 3.11 it swallows a cancelling that comes with the result, and the
        # stopped turn would go on.
        async with asyncio.timeout(seconds):
            return await run_as(ask, *args, **more)
    except TimeoutError:
        logger.warning("search took too long: answering without passages")
    except (DatabaseError, Unavailable) as error:
        bug = not isinstance(error, OperationalError | InterfaceError | Unavailable)
        logger.warning("search is not possible: %s", type(error).__name__, exc_info=bug)
    return []


def ways_to_ask(question: str, language: str) -> list[str]:
    """The question as its words are searched, then other ways to say it, for its vector alone."""
    if language != "pcm":
        return [question]
    return [in_english(question), as_english(question)]


def between(found: Sequence[Sequence[float]]) -> Sequence[float]:
    """The vector between several ways to ask; only its direction counts."""
    return found[0] if len(found) == 1 else [sum(parts) for parts in zip(*found, strict=True)]


async def _vector(ways: list[str], seconds: float) -> Sequence[float] | None:
    """The question's vector, or None where there is none in time: words alone must then do."""
    if not ways[0].strip() or not embedding.enabled():
        return None
    try:
        async with asyncio.timeout(seconds):
            return between(await embedding.embed(ways, "query"))
    except TimeoutError:
        logger.info("the question's vector took more than %d ms", 1000 * seconds)
    except ProviderError as error:
        logger.warning("no vector for the question: %s", error)
    return None


def find(
    question: str,
    *,
    language: str,
    limit: int,
    vector: Sequence[float] | None = None,
) -> list[Passage]:
    """The search itself, inside a transaction of the caller's."""
    found = [_passage(row) for row in rank(question, language, vector)]
    sections = [p for p in found if p.section != QUESTIONS]
    common = _common(question, found, language)
    asked = sections_asked(question) or UNSAID
    return common + _chosen(sections, asked, limit - len(common))


def _common(question: str, found: Sequence[Passage], language: str) -> list[Passage]:
    """The common question that was asked, if one was, in the reader's language before another; and the
    next of its topic where that is nearly as probable.
    """
    common = [p for p in found if p.section == QUESTIONS]
    common.sort(key=lambda p: -p.score - OWN_LANGUAGE * (p.language == language))
    found_topic = next((p.topic for p in found if _counts(p) and p.section != QUESTIONS), None)
    of_topic = [p for p in common if p.topic == found_topic]
    first = next(
        (
            p
            for p in (*common[:1], *of_topic[:1])
            if p.score >= _least(question, found_topic, p.topic == found_topic)
        ),
        None,
    )
    if first is None:
        return []
    same = (first.topic, first.language)
    others = [p for p in common if p is not first and (p.topic, p.language) == same]
    leading = replace(first, score=max(first.score, RELEVANT))
    return [leading, *(p for p in others[:1] if p.score >= first.score - NEARLY)]


def _counts(passage: Passage) -> bool:
    return passage.kind == GUIDANCE and passage.score >= RELEVANT


def _least(question: str, found_topic: str | None, agreed: bool) -> float:
    """The score from which a common question answers."""
    if not asks(question) or asks_for_whole_section(question):
        doubts = (not agreed and not only_asks(question)) + (not asks(question))
        return RELEVANT + IN_DOUBT * (doubts + 2 * asks_for_whole_section(question))
    if agreed or found_topic is None:
        return LIKELY
    return RELEVANT + IN_DOUBT * (not only_asks(question))


def rest_of_topic(chosen: Sequence[Passage], language: str) -> list[Passage]:
    """`beside` itself, inside a transaction of the caller's."""
    best = next((p for p in chosen if p.kind == GUIDANCE and p.score >= RELEVANT), None)
    if best is None:
        return []
    asked = topic(best.topic, language, signed_only=settings.UNSIGNED_CONTENT == "hide")
    with connections[login()].cursor() as cursor:
        cursor.execute(BESIDE, asked)
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    known = {passage.id for passage in chosen}
    return [_passage(row | {"fit": 0.0}) for row in rows if row["id"] not in known]


def rank(question: str, language: str, vector: Sequence[float] | None) -> list[dict[str, Any]]:
    """Everything the statement found, best first, with its scores."""
    model = vectors.active() if vector is not None else None
    if model is None or vector is None or model.name != embedding.model_name():
        model = vector = None
    asked = parameters(
        question,
        language,
        signed_only=settings.UNSIGNED_CONTENT == "hide",
        model=model,
        vector=vector,
    )
    with connections[login()].cursor() as cursor:
        cursor.execute(tuning(model))
        cursor.execute(passages(model.dimensions if model else None), asked)
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    least_cosine = model.least_cosine if model else 0
    _stand_in(rows, least_cosine)
    for row in rows:
        fit = row["relevance"] if row["compared"] else row["coverage"]
        row["fit"] = max(fit + NAMED_ADDS * row["named"], NAMED_IS * row["named"])
        row["score"] += NAMED * row["named"]
    _liken(question, rows, least_cosine)
    return sorted(rows, key=lambda row: -row["score"])


def _liken(question: str, rows: list[dict[str, Any]], least_cosine: float) -> None:
    """A common question fits as far as it is the one that is asked, whatever its answer's words."""
    common = [row for row in rows if row["section"] == QUESTIONS]
    named = max((row["named"] for row in rows), default=0)
    ways = [(row["heading"], *filter(None, row["keywords"].split(BETWEEN))) for row in common]
    for row, cues in zip(common, likeness(question, ways), strict=True):
        if row["compared"]:
            cues["closeness"] = max(0, row["cosine"] - least_cosine) / (1 - least_cosine)
        row["cues"] = cues
        row["fit"] = meant(cues) - CONTRADICTS * (named - row["named"])


def _stand_in(rows: list[dict[str, Any]], least_cosine: float) -> None:
    """Guidance that has no vector yet counts as close as the closest, times its share of the words.

    Otherwise what was published a minute ago would come after everything that has one.
    """
    closest = max((row["cosine"] for row in rows), default=0) - least_cosine
    closeness = DENSE_WEIGHT * max(0, closest) / (1 - least_cosine)
    for row in rows:
        if row["kind"] == GUIDANCE and not row["compared"] and row["relevance"]:
            row["score"] *= 1 + closeness * row["coverage"] / row["relevance"]


def _passage(row: dict[str, Any]) -> Passage:
    sources = _sources(row["sources"] or "[]")
    return Passage(
        id=row["id"],
        topic=row["topic"],
        section=row["section"],
        title=row["title"],
        heading=row["heading"],
        text=row["text"],
        snippet=snippet(row["text"]),
        language=row["language"],
        url=next((source["url"] for source in sources if source["url"]), ""),
        sources=sources,
        kind=row["kind"],
        signed=row["signed"],
        score=round(min(1.0, float(row["fit"])), 4),
    )


def _chosen(found: Sequence[Passage], sections: Sequence[str], limit: int) -> list[Passage]:
    """The best, guidance first, with what the best one's topic says to the question.

    At most one of the local statistics, and after all guidance.
    """
    guidance = [p for p in found if p.kind == GUIDANCE]
    statistics = [p for p in found[:limit] if p.kind == LOCAL_STATISTICS][:1]
    room = limit - len(statistics)
    due = _due(guidance, sections)[: max(0, room - 1)]
    best = [p for p in guidance if p not in due]
    return sorted(best[: room - len(due)] + due, key=guidance.index) + statistics


def _due(guidance: Sequence[Passage], sections: Sequence[str]) -> list[Passage]:
    """Of the first one's topic: the section that was asked for, and when to go for care."""
    by_section = {p.section: p for p in reversed(guidance) if p.topic == guidance[0].topic}
    asked = next((by_section[section] for section in sections if section in by_section), None)
    also = by_section.get("when_to_go")
    return [p for p in (asked, also if also is not asked else None) if p is not None]


@lru_cache(KEPT)
def _sources(said: str) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(said))


@lru_cache(KEPT)
def snippet(text: str) -> str:
    """The first sentences of a text, at most `LONGEST_SNIPPET` characters."""
    flat = " ".join(text.split())
    if len(flat) <= LONGEST_SNIPPET:
        return flat
    cut = flat[:LONGEST_SNIPPET]
    end = max(cut.rfind(". "), cut.rfind("; "))
    return cut[: end + 1] if end > LONGEST_SNIPPET // 2 else cut[: cut.rfind(" ")] + "…"
