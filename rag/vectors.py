"""Vectors beside the text: kept under content and model, filled in batches, switched when complete.

Changing the model fills a second set beside the first; `switch` makes it the one that is searched.
Without pgvector the table does not exist and all of this does nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from django.db import connections, transaction
from django.utils import timezone

from carehelp.database.identity import login
from rag.documents import embedding_text
from rag.guidance import BETWEEN, Section
from rag.models import QUESTIONS, EmbeddingModel
from rag.models import Vector as Kept

if TYPE_CHECKING:
    import numpy as np

Vector: TypeAlias = "Sequence[float] | np.ndarray"
BATCH = 16
REMEMBERED_SECONDS = 30.0
MEASURED = {"local/multilingual-e5-small": 0.75}
"""Models whose `least_cosine` was measured on questions: see docs/retrieval.md."""

# NOT EXISTS: Postgres compares every pair for a NOT IN whose list does not fit into its memory.
_MISSING = """
SELECT DISTINCT ON (digest) digest, title, section, heading, text, keywords FROM rag_chunk
WHERE live AND kind = 'guidance' AND NOT EXISTS (
    SELECT 1 FROM rag_vector WHERE model = %s AND rag_vector.digest = rag_chunk.digest
)
ORDER BY digest
"""
_PUT = """
INSERT INTO rag_vector (model, digest, embedding)
SELECT %s, digest, embedding::halfvec FROM unnest(%s::text[], %s::text[]) AS new (digest, embedding)
ON CONFLICT DO NOTHING
"""
_BACKGROUND = """
WITH drawn AS (
    SELECT digest, embedding FROM rag_vector WHERE model = %s ORDER BY md5(digest) LIMIT 200
)
SELECT percentile_cont(0.01) WITHIN GROUP (ORDER BY 1 - (one.embedding <=> other.embedding))
FROM drawn AS one JOIN drawn AS other ON one.digest < other.digest
"""
_DIMENSIONS = "SELECT vector_dims(embedding) FROM rag_vector WHERE model = %s LIMIT 1"
_UNUSED = """
DELETE FROM rag_vector WHERE NOT EXISTS (
    SELECT 1 FROM rag_chunk WHERE live AND rag_chunk.digest = rag_vector.digest
);
DELETE FROM rag_vector
WHERE model NOT IN (SELECT %s UNION ALL SELECT name FROM rag_embedding_model WHERE active)
"""
# An index that does not fit into memory is built many times slower. Parallel workers would want that
# memory as shared memory, of which a container has 64 MB.
_ROOM = """
SELECT set_config('maintenance_work_mem', '2GB', true),
       set_config('max_parallel_maintenance_workers', '0', true)
"""
_INDEX = """
CREATE INDEX IF NOT EXISTS {name} ON rag_vector
USING hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops)
WITH (m = 16, ef_construction = 64) WHERE model = {model}
"""


@dataclass(frozen=True, slots=True)
class Active:
    """The model that questions are compared in; see `rag.models.EmbeddingModel`."""

    name: str
    dimensions: int
    least_cosine: float = 0.0
    size: int = 0
    """About how many vectors are kept, as Postgres estimates."""


_remembered: dict[str, tuple[float, Active | None]] = {}


def active() -> Active | None:
    """The active model, looked up at most every `REMEMBERED_SECONDS`; touches the database."""
    alias = login()
    asked_at, known = _remembered.get(alias, (float("-inf"), None))
    if time.monotonic() - asked_at > REMEMBERED_SECONDS:
        row = EmbeddingModel.objects.filter(active=True).first() if available() else None
        known = Active(row.name, row.dimensions, row.least_cosine, _size()) if row else None
        _remembered[alias] = (time.monotonic(), known)
    return known


def _size() -> int:
    with connections[login()].cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = 'rag_vector'::regclass")
        return int(cursor.fetchone()[0])


def forget() -> None:
    """Look the active model up again at the next question."""
    _remembered.clear()


def available() -> bool:
    with connections[login()].cursor() as cursor:
        cursor.execute("SELECT to_regclass('rag_vector') IS NOT NULL")
        return bool(cursor.fetchone()[0])


def missing(model: str) -> list[tuple[str, str]]:
    """Digest, and what the vector is to be made from, of guidance that the model has not seen yet."""
    with connections[login()].cursor() as cursor:
        cursor.execute(_MISSING, [model])
        return [(digest, _text(*rest)) for digest, *rest in cursor.fetchall()]


def _text(title: str, section: str, heading: str, text: str, keywords: str) -> str:
    also = tuple(keywords.split(BETWEEN)) if section == QUESTIONS and keywords else ()
    return embedding_text(title, Section(section, heading, text, also))


def count(digests: Collection[str]) -> int | None:
    """How many of these texts are searched by meaning; None where nothing is."""
    model = active()
    if model is None:
        return None
    return Kept.objects.filter(model=model.name, digest__in=digests).count()


def put(model: str, digests: Sequence[str], vectors: Iterable[Vector]) -> None:
    written = [as_text(vector) for vector in vectors]
    with connections[login()].cursor() as cursor:
        cursor.execute(_PUT, [model, list(digests), written])


def as_text(vector: Vector) -> str:
    """A vector as pgvector reads it."""
    values = vector if isinstance(vector, Sequence) else vector.tolist()
    return "[" + ",".join(f"{value:.5g}" for value in values) + "]"


def switch(model: str) -> None:
    """Search in this model's vectors from now on; where it has none, nothing changes.

    The model before keeps its vectors until the next switch: other processes still ask in it for
    `REMEMBERED_SECONDS`.
    """
    with transaction.atomic(using=login()), connections[login()].cursor() as cursor:
        cursor.execute(_DIMENSIONS, [model])
        row = cursor.fetchone()
        if row is None:
            return
        dimensions = int(row[0])
        cursor.execute(_UNUSED, [model])
        cursor.execute(_ROOM)
        name = "rag_vector_" + hashlib.sha256(model.encode()).hexdigest()[:12]
        quoted = "'" + model.replace("'", "''") + "'"
        cursor.execute(_INDEX.format(name=name, dimensions=dimensions, model=quoted))
        EmbeddingModel.objects.exclude(name=model).update(active=False)
        EmbeddingModel.objects.update_or_create(
            name=model,
            defaults={
                "dimensions": dimensions,
                "least_cosine": least_cosine(model),
                "active": True,
                "activated_at": timezone.now(),
            },
        )
    forget()


def least_cosine(model: str) -> float:
    """How alike the model finds what is unrelated: as measured, or the least alike of its passages.

    Models differ widely in this: without it the cosines of most would count for nothing, or for
    too much.
    """
    if model in MEASURED:
        return MEASURED[model]
    with connections[login()].cursor() as cursor:
        cursor.execute(_BACKGROUND, [model])
        (found,) = cursor.fetchone()
    return min(max(float(found or 0), 0.0), 0.95)


def save_file(path: Path, vectors: Mapping[str, Vector]) -> None:
    """Write vectors by digest, a byte a dimension: what the repository ships for its guidance."""
    import numpy as np

    digests = sorted(vectors)
    matrix = np.array([vectors[digest] for digest in digests], np.float32)
    scale = np.abs(matrix).max(axis=1, keepdims=True) / 127
    keys = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(len(digests), 32)
    small = np.round(matrix / scale).astype(np.int8)
    np.savez_compressed(path, digests=keys, vectors=small, scale=scale.astype(np.float16))


def load_file(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Digest and vector of everything in a file that `save_file` wrote."""
    import numpy as np

    with np.load(path, allow_pickle=False) as data:
        matrix = data["vectors"].astype(np.float32) * data["scale"].astype(np.float32)
        for key, vector in zip(data["digests"], matrix, strict=True):
            yield key.tobytes().hex(), vector / np.linalg.norm(vector)


def file_of(folder: Path, model: str) -> Path:
    """Where a folder of guidance keeps the vectors of a model."""
    return folder / f"vectors.{model.replace('/', '.')}.npz"
