"""Why a question finds what it finds: the words it is read as, and what each passage scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from ai.base import ProviderError
from carehelp.database.identity import login, run_as
from rag import embedding, search, statement, vectors
from rag.intent import sections_asked
from rag.language import detect
from rag.models import Chunk
from rag.vectors import Active

_SQL = Path(__file__).parent / "sql"
_EXPLAINED = (_SQL / "explained.sql").read_text(encoding="utf-8")
_WORDS = (_SQL / "words.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the question that counts, with the lexemes it is searched as; none: in no passage."""

    lexemes: tuple[str, ...]
    weight: float
    corrected: bool
    written: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was ranked.

    `keyword` is its topic's that the question names; `cosine` is None where no vector was compared.
    """

    id: int
    document: int
    topic: str
    title: str
    heading: str
    section: str
    language: str
    kind: str
    signed: bool
    words: tuple[str, ...]
    keyword: str
    coverage: float
    cosine: float | None
    fit: float
    score: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """`read` is the question as it was searched, with the meaning of its Pidgin."""

    language: str
    read: str
    sections: tuple[str, ...]
    by_vector: bool
    words: list[Word]
    hits: list[Hit]


async def explain(question: str, *, language: str = "auto", limit: int = 10) -> Explanation:
    """The same statement as a search's, without its time budget."""
    wanted = detect(question) if language == "auto" else language
    ways = search.ways_to_ask(question, wanted)
    read, vector = ways[0], await _vector(ways)
    return await run_as(_explained, read, wanted, vector, limit)


async def _vector(ways: list[str]) -> Sequence[float] | None:
    if not embedding.enabled():
        return None
    try:
        return search.between(await embedding.embed(ways, "query"))
    except ProviderError:
        return None


def _explained(
    question: str, language: str, vector: Sequence[float] | None, limit: int
) -> Explanation:
    model = vectors.active() if vector is not None else None
    asked = statement.parameters(
        question,
        language,
        signed_only=settings.UNSIGNED_CONTENT == "hide",
        model=model,
        vector=vector if model else None,
    )
    ranked = search.rank(question, language, vector)[:limit]
    matched = {row["id"]: row["words"] for row in _rows(_EXPLAINED, asked, model)}
    owners = dict(
        Chunk.objects.filter(pk__in=[row["id"] for row in ranked]).values_list("pk", "document")
    )
    return Explanation(
        language=language,
        read=question,
        sections=sections_asked(question),
        by_vector=model is not None,
        words=[_word(row) for row in _rows(_WORDS, asked, model)],
        hits=[_hit(row, owners[row["id"]], matched.get(row["id"], ())) for row in ranked],
    )


def _rows(sql: str, asked: dict[str, Any], model: Active | None) -> list[dict[str, Any]]:
    with connections[login()].cursor() as cursor:
        cursor.execute(statement.tuning(model))
        cursor.execute(statement.candidates(model.dimensions if model else None) + sql, asked)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _word(row: dict[str, Any]) -> Word:
    return Word(
        lexemes=tuple(row["lexemes"] or ()),
        weight=round(row["weight"] or 0, 2),
        corrected=bool(row["lexemes"]) and not row["known"],
        written=row["written"],
    )


def _hit(row: dict[str, Any], document: int, words: Sequence[str]) -> Hit:
    return Hit(
        **{name: row[name] for name in ("id", "topic", "title", "heading", "section")},
        **{name: row[name] for name in ("language", "kind", "signed")},
        document=document,
        words=tuple(words),
        keyword=row["keyword"] or "",
        coverage=round(row["coverage"], 2),
        cosine=round(row["cosine"], 3) if row["cosine"] else None,
        fit=round(min(1.0, row["fit"]), 2),
        score=round(row["score"], 2),
    )
