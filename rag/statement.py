"""The one SQL statement of a search, put together from `rag/sql`.

`candidates.sql` chooses and scores chunks, `near.sql` is its part for vectors, `passages.sql` turns
what was chosen into what is shown. The weights below say what a point of each score is worth;
docs/retrieval.md says on which data they were chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rag.intent import sections_asked
from rag.language import ignored_words
from rag.vectors import Active, as_text

CANDIDATES = 2_000
"""Chunks ranked by words at most: ranking every match of a common word takes a second at 10⁶."""

DEPTH = 50
MOST_WORDS = 40
LIKENESS = 0.45
LEXICAL_WEIGHT = 2.0
DENSE_WEIGHT = 1.0
OTHER_LANGUAGE = 0.9
SECTION_BOOST = 0.3
NAMED = 0.7
"""What a topic's passages gain where the question has all words of one of the topic's keywords, times
the share of the question that these words are; a keyword of several words counts `PHRASE` times."""

PHRASE = 1.5
READ = {"fr": ["fr"], "en": ["en"], "pcm": ["pcm", "en"]}
"""Languages that somebody who writes in one can read, best first; French for all others."""

EF_SEARCH, EF_SEARCH_MANY, MANY = 200, 600, 200_000
"""How many vectors the index keeps in sight, and how many where it holds more than `MANY`: more find
more of what is nearest and take longer. docs/retrieval.md has the curves."""

_SQL = Path(__file__).parent / "sql"
_NO_VECTOR = "SELECT NULL::bigint AS id, NULL::float8 AS cosine WHERE false"
_COMPARED = (
    "EXISTS (SELECT FROM rag_vector AS v WHERE v.model = %(model)s AND v.digest = hit.digest)"
)


MOST_BESIDE = 30
_CITED = (_SQL / "cited.sql").read_text(encoding="utf-8")
BESIDE = (_SQL / "beside.sql").read_text(encoding="utf-8").replace("{cited}", _CITED)


def topic(name: str, language: str, *, signed_only: bool) -> dict[str, Any]:
    """What `BESIDE` is executed with."""
    return {
        "topic": name,
        "languages": READ.get(language, ["fr"]),
        "signed_only": signed_only,
        "most": MOST_BESIDE,
    }


def tuning(model: Active | None) -> str:
    """For the transaction of a search: its plan is costly on paper, which would wake the compiler."""
    return (
        "SELECT set_config('jit', 'off', true), "
        f"set_config('hnsw.ef_search', '{ef_search(model)}', true), "
        "set_config('hnsw.iterative_scan', 'strict_order', true)"
    )


def ef_search(model: Active | None) -> int:
    return EF_SEARCH_MANY if model is not None and model.size > MANY else EF_SEARCH


@cache
def candidates(dimensions: int | None) -> str:
    """CTEs that end in `ranked (id, coverage, cosine, score)`; None: by words alone."""
    near = _NO_VECTOR
    if dimensions is not None:
        near = (_SQL / "near.sql").read_text(encoding="utf-8").replace("{d}", str(dimensions))
    return (_SQL / "candidates.sql").read_text(encoding="utf-8").replace("{near}", near)


@cache
def passages(dimensions: int | None) -> str:
    """The whole search; `compared` says of each passage whether it has a vector to compare."""
    shown = (_SQL / "passages.sql").read_text(encoding="utf-8")
    compared = "false" if dimensions is None else _COMPARED
    return candidates(dimensions) + shown.replace("{compared}", compared).replace("{cited}", _CITED)


@dataclass(frozen=True, slots=True)
class Weights:
    lexical: float = LEXICAL_WEIGHT
    dense: float = DENSE_WEIGHT


def parameters(
    question: str,
    language: str,
    *,
    signed_only: bool,
    model: Active | None = None,
    vector: Sequence[float] | None = None,
    weights: Weights = Weights(),
) -> dict[str, Any]:
    """What `candidates` and `passages` are executed with."""
    return {
        "question": question,
        "languages": READ.get(language, ["fr"]),
        "other_language": OTHER_LANGUAGE,
        "sections": list(sections_asked(question)),
        "section_boost": SECTION_BOOST,
        "phrase": PHRASE,
        "ignored": ignored_words(),
        "signed_only": signed_only,
        "cap": CANDIDATES,
        "depth": DEPTH,
        "most_words": MOST_WORDS,
        "likeness": LIKENESS,
        "lexical_weight": weights.lexical,
        "dense_weight": weights.dense,
        "least_cosine": model.least_cosine if model else 0,
        "model": model.name if model else None,
        "vector": as_text(vector) if vector is not None else None,
    }
