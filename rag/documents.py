"""Keeping documents: a new version for every change, at most one published, chunks to match.

Every function here is called inside a transaction and leaves chunks and term counts agreeing with
what is published once `refresh_terms` has run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from django.db import connections
from django.db.models import Q, QuerySet
from django.utils import timezone

from carehelp.database.identity import login
from carehelp.errors import Conflict
from rag.guidance import BETWEEN, Parsed, Section, SourceRef
from rag.models import QUESTIONS, Chunk, Citation, Document, Kind, Source, Status, Term

LONGEST_CHUNK = 180
"""Words. Guidance sections have at most 110; longer texts are cut between paragraphs or sentences."""

_LOCK = 0x7261675F646F63  # "rag_doc", any number of ours
_STALE = " "
"""Stands among the terms, as no lexeme can, from a change of what is found until they are counted."""

_TERMS = """
DELETE FROM rag_term;
INSERT INTO rag_term (lexeme, chunks)
SELECT word, ndoc FROM ts_stat('SELECT tsv FROM rag_chunk WHERE live')
UNION ALL SELECT '', count(*) FROM rag_chunk WHERE live
"""


class SameAgain(Conflict):
    code, title = "same_again", "This text is the newest version already"


class Outcome(StrEnum):
    """What came of a document that was offered."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WAITING = "waiting"


def store(parsed: Parsed, *, kind: str = Kind.GUIDANCE, origin: str = "") -> Outcome:
    """Keep a file's text as a version and publish it; what was offered before is left as it is.

    What a clinician has signed or published is not replaced by an unsigned text: the new one then
    waits as a draft. A withdrawn text comes back only when it has changed.
    """
    earlier = _versions(parsed, kind)
    newest = earlier.filter(uploaded_by__isnull=True).first()
    if newest is not None and newest.digest == parsed.digest:
        return Outcome.UNCHANGED
    answered_for = Q(signed_by__isnull=False) | Q(uploaded_by__isnull=False)
    kept = earlier.filter(answered_for, status=Status.PUBLISHED)
    waiting = parsed.signed_by is None and kept.exists()
    document = draft(parsed, kind=kind, origin=origin)
    if waiting:
        return Outcome.WAITING
    publish(document)
    return Outcome.CHANGED if newest else Outcome.NEW


def offer(parsed: Parsed, *, name: str, by: str, report: dict[str, Any]) -> Document:
    """Keep what a clinician uploaded as a draft; the version before stays until `publish`.

    Raises `SameAgain` for a text that is the newest version already.
    """
    alone()
    newest = _versions(parsed, Kind.GUIDANCE).first()
    if newest is not None and newest.digest == parsed.digest:
        raise SameAgain(f"version {newest.version} has this very text", document=newest.pk)
    document = draft(parsed, kind=Kind.GUIDANCE, origin=name)
    document.uploaded_by, document.report = by, report
    document.save(update_fields=["uploaded_by", "report"])
    return document


def _versions(parsed: Parsed, kind: str) -> QuerySet[Document]:
    return Document.objects.filter(
        kind=kind, topic=parsed.topic, language=parsed.language
    ).order_by("-version")


def draft(parsed: Parsed, *, kind: str, origin: str) -> Document:
    """Store the next version with its sources and chunks; nobody finds it before `publish`."""
    newest = _versions(parsed, kind).first()
    document = Document.objects.create(
        topic=parsed.topic,
        language=parsed.language,
        version=newest.version + 1 if newest else 1,
        kind=kind,
        title=parsed.title,
        keywords=list(parsed.keywords),
        content="\n\n".join(f"## {s.heading}\n\n{s.text}" for s in parsed.sections),
        digest=parsed.digest,
        origin=origin,
        signed_by=parsed.signed_by,
    )
    _cite(document, parsed.sources)
    Chunk.objects.bulk_create(_chunks(document, parsed), batch_size=500)
    return document


def published_before(document: Document) -> QuerySet[Document]:
    """The version that `publish` would replace."""
    return Document.objects.filter(
        kind=document.kind,
        topic=document.topic,
        language=document.language,
        status=Status.PUBLISHED,
    ).exclude(pk=document.pk)


def publish(document: Document) -> None:
    """Make this version the one that is found, in place of the one before."""
    for other in published_before(document):
        _set_status(other, Status.SUPERSEDED)
    document.published_at = timezone.now()
    _set_status(document, Status.PUBLISHED)


def withdraw(document: Document) -> None:
    """Nobody finds it any more; it is kept, for who asks what was said."""
    _set_status(document, Status.WITHDRAWN)


def sign(document: Document, name: str) -> None:
    """A clinician answers for this version."""
    document.signed_by, document.signed_at = name, timezone.now()
    document.save(update_fields=["signed_by", "signed_at"])
    document.chunks.update(signed=True)


def _set_status(document: Document, status: Status) -> None:
    document.status = status
    document.save(update_fields=["status", "published_at"])
    document.chunks.update(live=status == Status.PUBLISHED)
    Term.objects.bulk_create([Term(lexeme=_STALE, chunks=0)], ignore_conflicts=True)


def _cite(document: Document, sources: Sequence[SourceRef]) -> None:
    for position, ref in enumerate(sources):
        source, _ = Source.objects.get_or_create(
            title=ref.title, publisher=ref.publisher, year=ref.year, url=ref.url
        )
        Citation.objects.create(document=document, source=source, position=position, read=ref.read)


def _chunks(document: Document, parsed: Parsed) -> list[Chunk]:
    keywords = ", ".join(parsed.keywords)
    sections = [piece for section in parsed.sections for piece in pieces(section)]
    return [
        Chunk(
            document=document,
            position=position,
            topic=parsed.topic,
            kind=document.kind,
            language=parsed.language,
            section=section.id,
            title=parsed.title,
            heading=section.heading,
            keywords=BETWEEN.join(section.also_asked) if section.id == QUESTIONS else keywords,
            text=section.text,
            digest=chunk_digest(parsed.title, section),
            signed=parsed.signed_by is not None,
        )
        for position, section in enumerate(sections)
    ]


def embedding_text(title: str, section: Section) -> str:
    """What a chunk's vector is made from: of a common question the ways of asking it, no answer."""
    if section.id == QUESTIONS:
        return f"{section.heading} {BETWEEN.join(section.also_asked)}".rstrip()
    return f"{title}. {section.heading}. {section.text}"


def chunk_digest(title: str, section: Section) -> str:
    """SHA-256 of what a chunk's vector is made from; vectors are kept under it."""
    return hashlib.sha256(embedding_text(title, section).encode()).hexdigest()


def pieces(section: Section) -> Iterator[Section]:
    """The section itself, or its paragraphs and sentences in groups of at most `LONGEST_CHUNK`."""
    words = 0
    group: list[str] = []
    for part in _parts(section.text):
        length = len(part.split())
        if group and words + length > LONGEST_CHUNK:
            yield replace(section, text="\n".join(group))
            words, group = 0, []
        group.append(part)
        words += length
    if group:
        yield replace(section, text="\n".join(group))


def _parts(text: str) -> Iterator[str]:
    if len(text.split()) <= LONGEST_CHUNK:
        yield text
        return
    for line in filter(None, map(str.strip, text.splitlines())):
        yield from _sentences(line)


def _sentences(line: str) -> Iterator[str]:
    words = line.split()
    if len(words) <= LONGEST_CHUNK:
        yield line
        return
    start = 0
    for end, word in enumerate(words, 1):
        full = end - start >= LONGEST_CHUNK
        if full or (end - start >= LONGEST_CHUNK // 2 and word[-1] in ".!?"):
            yield " ".join(words[start:end])
            start = end
    if start < len(words):
        yield " ".join(words[start:])


def refresh_terms() -> None:
    """Count again in how many live chunks each lexeme stands; `alone` first, where others might."""
    with connections[login()].cursor() as cursor:
        cursor.execute(_TERMS)


def terms_agree() -> bool:
    """Whether terms were counted since documents changed: a run may be killed in between."""
    return Term.objects.exists() and not Term.objects.filter(lexeme=_STALE).exists()


def alone() -> None:
    """Until the end of the transaction nobody else counts versions or terms."""
    with connections[login()].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
