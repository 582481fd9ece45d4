"""Search at scale: the statement that serves beside the vector index alone, in one run.

    python -m benchmarks.retrieval                # 100,000 passages
    python -m benchmarks.retrieval --passages 1000000

Texts are sentences of the shipped guidance, mixed, with a tail of invented rare words. Vectors are
made from those that the guidance ships with (real texts by multilingual-e5-small): each is a real
one, moved by part of the difference between two other real ones of its language. So they lie where
texts lie and differ as texts differ, but they are not the vectors of these texts. Questions and
their vectors are real. A database of its own, dropped at the end; indexes are made once it is full.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carehelp.settings")

import django
import numpy as np
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction

django.setup()

from carehelp.database import embedded
from carehelp.database.identity import through
from carehelp.database.prepare import prepare
from rag import documents, embedding, search, statement, vectors
from rag.guidance import read_guidance

SEED = 20261126
BATCH = 10_000
PER_DOCUMENT = 6
EF_SEARCH = (100, 200, 400, 600, 800, 1000)
"""How many candidates the vector index keeps in sight: pgvector allows a thousand at most."""

RARE_WORDS = 50_000
MOVED = 0.6
"""How much of the difference between two texts is added to a third."""

QUESTIONS = Path(__file__).parent.parent / "rag" / "tests" / "data"
CHUNK_COLUMNS = (
    "id, document_id, position, topic, kind, language, section, title, heading, keywords, text, "
    "digest, live, signed"
)
ALONE = """
SELECT digest FROM rag_vector WHERE model = %(model)s
ORDER BY embedding::halfvec({d}) <=> %(vector)s::halfvec({d}) LIMIT {limit}
"""
SECONDARY = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename IN ('rag_chunk', 'rag_vector')
  AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)
"""
SIZES = """
SELECT relname, pg_relation_size(oid) FROM pg_class
WHERE relname ~ '^rag_(chunk|vector|term)' AND relkind IN ('r', 'i') AND pg_relation_size(oid) > 1e6
ORDER BY 2 DESC
"""


@contextmanager
def scratch_database() -> Iterator[None]:
    """An empty, migrated database on the embedded Postgres, tuned as it ships."""
    server = embedded.ensure_running(embedded.data_folder(settings.STATE_DIR))
    admin, name = server.url(embedded.SUPERUSER, embedded.SUPERUSER), f"benchmark_{os.getpid()}"
    prepare(admin, dbname=name)
    for alias in ("default", "desk", "owner"):
        connections[alias].settings_dict["NAME"] = name
    try:
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        yield
    finally:
        connections["owner"].close()
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def real() -> dict[str, tuple[list[tuple[str, str, str, str]], np.ndarray]]:
    """By language: section, title, heading and text of each guidance passage, and its vector."""
    shipped = dict(
        vectors.load_file(vectors.file_of(settings.GUIDANCE_DIR, embedding.model_name()))
    )
    found: dict[str, tuple[list[tuple[str, str, str, str]], list[np.ndarray]]] = {}
    for path in sorted(settings.GUIDANCE_DIR.glob("*.*.md")):
        parsed = read_guidance(path)
        texts, made = found.setdefault(parsed.language, ([], []))
        for section in parsed.sections:
            texts.append((section.id, parsed.title, section.heading, section.text))
            digest = documents.chunk_digest(parsed.title, section)
            made.append(shipped[digest])
    return {k: (texts, np.array(made, np.float32)) for k, (texts, made) in found.items()}


def invented(rng: np.random.Generator) -> np.ndarray:
    """Words that stand in few passages, so that the table of terms is as long as a real one's."""
    syllables = [c + v for c in "bcdfglmnprstvz" for v in ("a", "e", "i", "o", "u")]
    parts = rng.choice(syllables, (RARE_WORDS, 4))
    return np.array(["".join(word) for word in parts])


def fill(count: int) -> np.ndarray:
    """Put `count` passages into the database; returns their vectors as they were made, float32."""
    rng = np.random.default_rng(SEED)
    known, rare = real(), invented(rng)
    made = np.empty((count, next(iter(known.values()))[1].shape[1]), np.float32)
    with connections["owner"].cursor() as cursor, indexed_once_full(cursor):
        _documents(cursor, count)
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            drawn = rng.integers(2**32, size=(len(numbers), 3))
            tails = rare[rng.integers(RARE_WORDS, size=(len(numbers), 3))]
            rows = [
                _passage(number, known, places, tail)
                for number, places, tail in zip(numbers, drawn, tails, strict=True)
            ]
            _copy(cursor, f"rag_chunk ({CHUNK_COLUMNS})", rows)
            made[start : numbers.stop] = _moved(numbers, known, drawn)
            _copy_vectors(cursor, [row[11] for row in rows], made[start : numbers.stop])
    return made


@contextmanager
def indexed_once_full(cursor: Any) -> Iterator[None]:
    """Without the indexes that serve searches while it fills: made at the end, they take a fraction."""
    cursor.execute(SECONDARY)
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    cursor.execute("SET maintenance_work_mem = '512MB'")
    for _, definition in indexes:
        cursor.execute(definition)


def _documents(cursor: Any, count: int) -> None:
    cursor.execute(
        """
        INSERT INTO rag_document (id, topic, language, version, kind, title, keywords, content,
                                  digest, origin, status, report, created_at)
        SELECT n, 't' || n / 2, CASE n %% 2 WHEN 0 THEN 'fr' ELSE 'en' END, 1, 'guidance', 't', '{}',
               '', '', '', 'published', '{}', now()
        FROM generate_series(0, %s / %s) AS n
        """,
        [count, PER_DOCUMENT],
    )


def _language(number: int) -> str:
    return "en" if number // PER_DOCUMENT % 2 else "fr"


def _passage(
    number: int, known: dict[str, Any], drawn: np.ndarray, tail: np.ndarray
) -> tuple[Any, ...]:
    document, language = number // PER_DOCUMENT, _language(number)
    texts, _ = known[language]
    one, other, _ = drawn % len(texts)
    section, title, heading, first = texts[one]
    sentences = [*first.split(". ")[:3], *texts[other][3].split(". ")[:2], *tail]
    return (
        number, document, number % PER_DOCUMENT, f"t{document // 2}", "guidance", language, section,
        title, heading, "", ". ".join(sentences), f"{number:064x}", True, True,
    )  # fmt: skip


def _moved(numbers: range, known: dict[str, Any], drawn: np.ndarray) -> np.ndarray:
    """A vector for each passage: a real one, moved by part of the difference of two others."""
    made = np.empty((len(numbers), next(iter(known.values()))[1].shape[1]), np.float32)
    languages = np.array([_language(number) for number in numbers])
    for language, (texts, vectors_) in known.items():
        rows = languages == language
        one, other, third = (drawn[rows] % len(texts)).T
        made[rows] = vectors_[one] + MOVED * (vectors_[other] - vectors_[third])
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def _copy(cursor: Any, into: str, rows: Any) -> None:
    with cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _copy_vectors(cursor: Any, digests: list[str], made: np.ndarray) -> None:
    """In COPY's binary format, as one array: writing a million vectors as text takes minutes."""
    model = embedding.model_name().encode()
    row = np.dtype(
        [
            ("columns", ">i2"),
            ("model_bytes", ">i4"), ("model", f"S{len(model)}"),
            ("digest_bytes", ">i4"), ("digest", "S64"),
            ("vector_bytes", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"),
            ("vector", ">f2", made.shape[1]),
        ]
    )  # fmt: skip
    rows = np.zeros(len(made), row)
    rows["columns"], rows["model_bytes"], rows["model"] = 3, len(model), model
    rows["digest_bytes"], rows["digest"] = 64, digests
    rows["vector_bytes"], rows["dimensions"] = 4 + 2 * made.shape[1], made.shape[1]
    rows["vector"] = made
    into = "rag_vector (model, digest, embedding)"
    with cursor.copy(f"COPY {into} FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        copy.write(rows.tobytes())
        copy.write(b"\xff\xff")


def questions() -> list[tuple[str, str, list[float]]]:
    """Text, language and vector of every question that the tests and the tuning ask."""
    lines = [
        json.loads(line)
        for name in ("dev", "test")
        for line in (QUESTIONS / f"questions_{name}.jsonl").read_text("utf-8").splitlines()
    ]
    texts = [line["text"] for line in lines]
    made = [embedding.embed_now([text], "query")[0] for text in texts]
    return [(line["text"], line["language"], v) for line, v in zip(lines, made, strict=True)]


def measure(asked: list[tuple[str, str, list[float]]], rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds of each way to answer, asked in turn so that whatever else runs hits all alike."""
    ways: dict[str, Callable[[str, str, list[float]], object]] = {
        "hnsw alone": lambda text, language, vector: nearest(vector, statement.DEPTH),
        "fused": search.rank,
        "words alone": lambda text, language, vector: search.rank(text, language, None),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(-1, rounds):
        for question in asked:
            for name, way in ways.items():
                start = time.perf_counter()
                with transaction.atomic(using="owner"):
                    way(*question)
                if round_number >= 0:
                    times[name].append(1000 * (time.perf_counter() - start))
    return {name: np.array(taken) for name, taken in times.items()}


def nearest(vector: list[float], limit: int, ef_search: int | None = None) -> list[str]:
    """By the index alone, as a search tunes it or with another `ef_search`."""
    model = vectors.active()
    assert model is not None
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement.tuning(model))
        if ef_search is not None:
            cursor.execute("SELECT set_config('hnsw.ef_search', %s, true)", [str(ef_search)])
        cursor.execute(
            ALONE.format(d=model.dimensions, limit=limit),
            {"model": model.name, "vector": vectors.as_text(vector)},
        )
        return [digest for (digest,) in cursor.fetchall()]


def exact(asked: list[tuple[str, str, list[float]]], made: np.ndarray) -> list[set[int]]:
    """The ten nearest to each question, every vector compared in float32."""
    wanted = np.array([vector for _, _, vector in asked], np.float32).T
    alike = np.concatenate([made[n : n + BATCH] @ wanted for n in range(0, len(made), BATCH)])
    return [set(np.argpartition(-column, 10)[:10].tolist()) for column in alike.T]


def curve(
    asked: list[tuple[str, str, list[float]]], made: np.ndarray
) -> Iterator[tuple[int, float, np.ndarray]]:
    """For each `EF_SEARCH`: the share of the ten exactly nearest that are found, and milliseconds."""
    right = exact(asked, made)
    for ef_search in EF_SEARCH:
        shares, times = [], []
        for (_, _, vector), wanted in zip(asked, right, strict=True):
            start = time.perf_counter()
            with transaction.atomic(using="owner"):
                found = nearest(vector, statement.DEPTH, ef_search)
            times.append(1000 * (time.perf_counter() - start))
            shares.append(len({int(digest, 16) for digest in found[:10]} & wanted) / 10)
        yield ef_search, float(np.mean(shares)), np.array(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    asked = questions()
    with scratch_database(), through("owner"):
        made = timed(f"{options.passages:,} passages in", lambda: fill(options.passages))
        timed("terms counted", documents.refresh_terms)
        timed("HNSW index built", lambda: vectors.switch(embedding.model_name()))
        with connections["owner"].cursor() as cursor:
            timed("VACUUM ANALYZE", lambda: cursor.execute("VACUUM ANALYZE"))
            vectors.forget()
            cursor.execute(SIZES)
            for name, size in cursor.fetchall():
                say(f"{name:34} {size / 1e6:9.1f} MB")
        for ef_search, recall, taken in curve(asked, made):
            p50, p95 = np.percentile(taken, [50, 95])
            say(
                f"ef_search {ef_search:5} recall@10 {recall:.3f}   p50 {p50:.1f} ms   p95 {p95:.1f} ms"
            )
        times = measure(asked, options.rounds)
        say(f"at ef_search {statement.ef_search(vectors.active())}, each question in turn:")
        for name, taken in times.items():
            p50, p95 = np.percentile(taken, [50, 95])
            say(f"{name:12} p50 {p50:8.2f} ms   p95 {p95:8.2f} ms   ({len(taken)} questions)")
        ratio = np.percentile(times["fused"], 95) / np.percentile(times["hnsw alone"], 95)
        say(f"fused / HNSW alone, p95: {ratio:.2f} (at most 8)")


def timed(what: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    say(f"{what:34} {time.perf_counter() - start:9.1f} s")
    return result


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
