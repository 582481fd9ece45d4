"""A document that a clinician offers: bytes in, `Parsed` out, whatever the bytes are.

What it is goes by its first bytes; a name that says something else is refused. It is read in a child
process (`rag.reading`), bounded in memory and time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.utils.text import slugify

from carehelp.children import Children
from carehelp.errors import TooLarge, UnsupportedMedia
from rag import pdf, reading
from rag.guidance import BadDocument, Parsed, Section, SourceRef, has_front_matter, parse_guidance
from rag.intent import sections_asked
from rag.language import detect
from rag.reading import Block, Reading, Refusal

HTML, MARKDOWN, PDF = "HTML", "Markdown", "PDF"
NAMES = {
    "pdf": PDF,
    "html": HTML,
    "htm": HTML,
    "xhtml": HTML,
    "md": MARKDOWN,
    "markdown": MARKDOWN,
    "txt": MARKDOWN,
}
READERS: dict[str, Callable[..., Reading]] = {
    HTML: reading.read_html,
    MARKDOWN: reading.read_markdown,
    PDF: pdf.read_pdf,
}
LONGEST = 1_000_000
"""Characters of text."""

LONGEST_TITLE = 200

_HTML_START = re.compile(
    rb"(?:\s|<!--.*?-->|<\?xml[^>]*>)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
# Binary formats hold bytes that no text does.
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

_TOO_LARGE = ("too_long", "too_many_pages")
children = Children(1, megabytes=1024, seconds=20.0)


@dataclass(frozen=True, slots=True)
class Said:
    """What the clinician says of a document; what is empty is taken from the document itself."""

    topic: str = ""
    language: str = ""
    title: str = ""
    source: SourceRef = field(default_factory=lambda: SourceRef(""))


@dataclass(frozen=True, slots=True)
class Offered:
    """An upload that was understood; `report` is what a clinician should know about it."""

    parsed: Parsed
    report: dict[str, Any]


async def read(data: bytes, name: str, said: Said = Said()) -> Offered:
    """Raises `BadDocument`, `TooLarge` or `UnsupportedMedia`, each with a `reason`."""
    kind = kind_of(data, name)
    if kind == MARKDOWN and has_front_matter(reading.as_text(data)):
        return Offered(_guidance(data, name), {"format": kind, "guidance": True})
    found = await _read(data, kind)
    report = {"format": kind, "pages": found.pages, "textless": found.textless}
    return Offered(_parsed(found, name, said), report)


def kind_of(data: bytes, name: str) -> str:
    """What the bytes are. Raises where that is nothing we read, or not what the name says."""
    if len(data) > settings.DOCUMENT_MAX_BYTES:
        raise TooLarge(
            f"{name}: over {settings.DOCUMENT_MAX_BYTES >> 20} MB",
            reason="too_many_bytes",
            megabytes=settings.DOCUMENT_MAX_BYTES >> 20,
        )
    if not data.strip():
        raise BadDocument(f"{name}: empty", reason="empty")
    named = NAMES.get(PurePath(name).suffix.lower().lstrip("."))
    kind = _sniff(data, named)
    if kind is None:
        raise UnsupportedMedia(f"{name}: neither Markdown, HTML nor PDF", reason="unsupported")
    if named not in (None, kind):
        raise BadDocument(
            f"{name}: named as {named}, but it is {kind}", reason="misnamed", named=named, kind=kind
        )
    return kind


def _sniff(data: bytes, named: str | None) -> str | None:
    if b"%PDF-" in data[:1024]:
        return PDF
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")) and _BINARY.search(data):
        return None
    if _HTML_START.match(data[:4096].removeprefix(b"\xef\xbb\xbf")):
        return HTML
    return HTML if named == HTML else MARKDOWN


async def _read(data: bytes, kind: str) -> Reading:
    try:
        return await children.run(READERS[kind], data, longest=LONGEST)
    except Refusal as refusal:
        problem = TooLarge if refusal.code in _TOO_LARGE else BadDocument
        raise problem(_DETAILS[refusal.code], reason=refusal.code) from None
    except (MemoryError, BrokenExecutor):
        raise BadDocument(_DETAILS["bomb"], reason="bomb") from None
    except TimeoutError:
        raise BadDocument(_DETAILS["slow"], reason="slow") from None


_DETAILS = {
    "unreadable": "This file is damaged: it cannot be read.",
    "encrypted": "This PDF is protected by a password.",
    "no_text": "No text was found: a scan holds pictures of text only.",
    "too_many_pages": f"Over {pdf.MOST_PAGES} pages.",
    "too_long": f"Over {LONGEST} characters.",
    "bomb": "Reading this file took more memory than any honest one needs.",
    "slow": "Reading this file took too long.",
}


def _guidance(data: bytes, name: str) -> Parsed:
    """Our own format. A signature in a file that somebody uploads is a claim: it does not count."""
    parsed = parse_guidance(reading.visible(reading.as_text(data)), name)
    return replace(parsed, signed_by=None)


def _parsed(found: Reading, name: str, said: Said) -> Parsed:
    title = (said.title or _title(found) or PurePath(name).stem)[:LONGEST_TITLE]
    topic = slugify(said.topic or title)[:120].strip("-")
    if not topic:
        raise BadDocument("This document has no topic.", reason="no_topic")
    sections = tuple(sections_of(found.blocks, title))
    words = " ".join(section.text for section in sections)
    return Parsed(
        topic=topic,
        language=said.language or detect(words),
        title=title,
        keywords=(),
        sources=(replace(said.source, title=said.source.title or title, read=True),),
        sections=sections,
    )


def _title(found: Reading) -> str:
    """Its only heading of the first level, or else what the file calls itself."""
    first = [block.text for block in found.blocks if block.level == 1]
    return first[0] if len(first) == 1 else found.title


def sections_of(blocks: list[Block], title: str) -> Iterator[Section]:
    """A section a heading. What a heading asks for is the section that a question would ask for."""
    heading, lines = title, list[str]()
    for block in [*blocks, Block("", 1)]:
        if not block.level:
            lines.append(block.text)
            continue
        if lines:
            asked = sections_asked(heading) if heading != title else ()
            yield Section(asked[0] if asked else "", heading, "\n".join(lines))
        heading, lines = block.text, []
