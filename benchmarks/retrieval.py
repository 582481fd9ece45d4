"""Search at scale: the statement that serves beside the vector index alone, in one run.

    python -m benchmarks.retrieval                # 100,000 passages
    python -m benchmarks.retrieval --passages 1000000

Texts are sentences of the shipped guidance, mixed, with a tail of invented rare words. Vectors are
made from those that the guidance ships with (real texts by multilingual-e5-small): each is a real
one, moved by part of the difference between two other real ones of its language. So they lie where
texts lie and differ as texts differ, but they are not the vectors of these texts. Questions and
their vectors are real. A database of its own, dropped at the end.
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
            digest = documents.chunk_digest(parsed.title, section.heading, section.text)
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
    model = embedding.model_name()
    with connections["owner"].cursor() as cursor:
        _documents(cursor, count)
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            rows, found = zip(
                *(_passage(number, known, rare, rng) for number in numbers), strict=True
            )
            made[start : numbers.stop] = np.array(found)
            _copy(cursor, f"rag_chunk ({CHUNK_COLUMNS})", rows)
            written = (
                (model, row[11], vectors.as_text(v)) for row, v in zip(rows, found, strict=True)
            )
            _copy(cursor, "rag_vector (model, digest, embedding)", written)
    return made


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


def _passage(
    number: int, known: dict[str, Any], rare: np.ndarray, rng: np.random.Generator
) -> tuple[tuple[Any, ...], np.ndarray]:
    document = number // PER_DOCUMENT
    language = "en" if document % 2 else "fr"
    texts, real_vectors = known[language]
    one, other, third = rng.integers(len(texts), size=3)
    section, title, heading, first = texts[one]
    sentences = [*first.split(". ")[:3], *texts[other][3].split(". ")[:2], *rng.choice(rare, 3)]
    vector = real_vectors[one] + MOVED * (real_vectors[other] - real_vectors[third])
    row = (
        number, document, number % PER_DOCUMENT, f"t{document // 2}", "guidance", language, section,
        title, heading, "", ". ".join(sentences), f"{number:064x}", True, True,
    )  # fmt: skip
    return row, vector / np.linalg.norm(vector)


def _copy(cursor: Any, into: str, rows: Any) -> None:
    with cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


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


def nearest(vector: list[float], limit: int) -> list[str]:
    model = vectors.active()
    assert model is not None
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement.SETTINGS)
        cursor.execute(
            ALONE.format(d=model.dimensions, limit=limit),
            {"model": model.name, "vector": vectors.as_text(vector)},
        )
        return [digest for (digest,) in cursor.fetchall()]


def recall(asked: list[tuple[str, str, list[float]]], made: np.ndarray) -> float:
    """Share of the ten exactly nearest (float32, every vector compared) that the index finds."""
    shares = []
    for _, _, vector in asked:
        exact = np.argsort(-(made @ np.array(vector, np.float32)))[:10]
        with transaction.atomic(using="owner"):
            found = {int(digest, 16) for digest in nearest(vector, 10)}
        shares.append(len(found & set(exact.tolist())) / 10)
    return float(np.mean(shares))


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
            cursor.execute(SIZES)
            for name, size in cursor.fetchall():
                say(f"{name:34} {size / 1e6:9.1f} MB")
        times = measure(asked, options.rounds)
        for name, taken in times.items():
            p50, p95 = np.percentile(taken, [50, 95])
            say(f"{name:12} p50 {p50:8.2f} ms   p95 {p95:8.2f} ms   ({len(taken)} questions)")
        ratio = np.percentile(times["fused"], 95) / np.percentile(times["hnsw alone"], 95)
        say(f"fused / HNSW alone, p95: {ratio:.2f} (at most 8)")
        say(
            f"recall@10 of the halfvec index against exact: {recall(asked, made):.3f} (at least 0.95)"
        )


def timed(what: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    say(f"{what:34} {time.perf_counter() - start:9.1f} s")
    return result


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
