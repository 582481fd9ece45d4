"""Files in, published documents out. Doing it again changes nothing; a killed run is simply repeated.

Each document is one transaction, so what is served is always whole. Two runs at a time would only
do the same work twice: an advisory lock keeps the second one waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.db import connections, transaction

from ai.base import ProviderError
from carehelp.database.identity import through
from carehelp.errors import CarehelpError
from rag import checkpoints, documents, embedding, vectors
from rag.guidance import Parsed, read_guidance
from rag.models import Document, Kind
from rag.records import Examined, Report, batches, examine
from rag.statistics import Cases

RECORDS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
LOCK = 0x7261675F696E  # "rag_in", any number of ours


class Bar(Protocol):
    """A progress bar, such as tqdm's."""

    def update(self, n: int) -> object: ...


class Progress(Protocol):
    def __call__(self, name: str, total: int, unit: str) -> AbstractContextManager[Bar]: ...


class _Still:
    def update(self, n: int) -> None:
        """No bar."""


def no_progress(name: str, total: int, unit: str) -> AbstractContextManager[Bar]:
    return nullcontext(_Still())


@dataclass(slots=True)
class Result:
    """What a run did: outcomes of documents, reports of record files, and what could not be read."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reports: list[Report] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def default_paths() -> list[Path]:
    """Guidance, CAMEROON_DATA_CSV and PATIENT_DATA_PATH, where they exist."""
    named = (settings.GUIDANCE_DIR, settings.CAMEROON_DATA_CSV, settings.PATIENT_DATA_PATH)
    paths = [settings.BASE_DIR / path for path in named if str(path)]
    return [path for path in paths if path.exists()]


def ingest(
    paths: list[Path] | None = None, *, embed: bool = True, progress: Progress = no_progress
) -> Result:
    """Take in files and folders, by default those of the settings, through the owner's login.

    A file that cannot be read is a problem in the result; the others are still taken in. Without
    `embed` only vectors that the guidance ships with are taken.
    """
    result = Result()
    with through("owner"), _alone():
        for path in default_paths() if paths is None else paths:
            _take_in(path, result, progress)
        if not documents.terms_agree():
            with transaction.atomic(using="owner"):
                documents.alone()
                documents.refresh_terms()
        _vectors(embed, result, progress)
    return result


@contextmanager
def _alone() -> Iterator[None]:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _vectors(embed: bool, result: Result, progress: Progress) -> None:
    """Complete the vectors of the configured model, batch by batch, then search in them."""
    if not (embedding.enabled() and vectors.available()):
        return
    model = embedding.model_name()
    _shipped(model)
    todo = vectors.missing(model)
    if todo and embed:
        try:
            _embed(model, todo, progress)
        except ProviderError as error:
            result.problems.append(f"vectors: {error}")
        todo = vectors.missing(model)
    if not todo:
        vectors.switch(model)


def _shipped(model: str) -> None:
    file = vectors.file_of(settings.GUIDANCE_DIR, model)
    wanted = {digest for digest, _ in vectors.missing(model)}
    if not wanted or not file.exists():
        return
    found = [(digest, vector) for digest, vector in vectors.load_file(file) if digest in wanted]
    with transaction.atomic(using="owner"):
        vectors.put(model, [digest for digest, _ in found], [vector for _, vector in found])


def _embed(model: str, todo: list[tuple[str, str]], progress: Progress) -> None:
    with progress("vectors", len(todo), "passage") as bar:
        for start in range(0, len(todo), vectors.BATCH):
            batch = todo[start : start + vectors.BATCH]
            found = embedding.embed_now([text for _, text in batch], "passage")
            with transaction.atomic(using="owner"):
                vectors.put(model, [digest for digest, _ in batch], found)
            bar.update(len(batch))


def _take_in(path: Path, result: Result, progress: Progress) -> None:
    try:
        if path.is_dir():
            _guidance(sorted(path.glob("*.md")), result, progress)
        elif path.suffix.lower() == ".md":
            _guidance([path], result, progress)
        elif path.suffix.lower() in RECORDS:
            _records(path, result, progress)
        else:
            result.problems.append(f"{path.name}: neither .md nor one of {', '.join(RECORDS)}")
    except (CarehelpError, OSError) as error:
        result.problems.append(str(error))


def _guidance(paths: list[Path], result: Result, progress: Progress) -> None:
    paths = [path for path in paths if path.name.casefold() != "readme.md"]
    with progress("guidance", len(paths), "file") as bar:
        for path in paths:
            try:
                parsed = read_guidance(path)
                result.outcomes[_store(parsed, Kind.GUIDANCE, path.name)] += 1
            except CarehelpError as error:
                result.problems.append(str(error))
            bar.update(1)


def _store(parsed: Parsed, kind: Kind, origin: str) -> documents.Outcome:
    with transaction.atomic(using="owner"):
        return documents.store(parsed, kind=kind, origin=origin)


def _records(path: Path, result: Result, progress: Progress) -> None:
    file = examine(path)
    known = Document.objects.filter(
        kind=Kind.LOCAL_STATISTICS, report__digest=file.digest, origin=path.name
    ).first()
    if known is not None:
        result.outcomes[documents.Outcome.UNCHANGED] += 1
        return
    cases, after = checkpoints.resume(file)
    with progress(path.name, file.size, "B") as bar:
        for batch in batches(file, bar.update, after):
            tally = cases.add(batch)
            if len(batch.frame):
                checkpoints.save(file, batch.position, tally)
    result.reports.append(cases.report)
    _publish_statistics(cases, file, result)


def _publish_statistics(cases: Cases, file: Examined, result: Result) -> None:
    name = file.path.name
    with transaction.atomic(using="owner"):
        for parsed in cases.documents(name):
            outcome = documents.store(parsed, kind=Kind.LOCAL_STATISTICS, origin=name)
            result.outcomes[outcome] += 1
            Document.objects.filter(
                kind=Kind.LOCAL_STATISTICS, topic=parsed.topic, digest=parsed.digest
            ).update(report=cases.report.as_dict() | {"digest": file.digest})
        checkpoints.of(file).delete()
