"""Reads a guidance file: YAML front matter, then one `## Heading {#section}` a passage.

In the section `questions` each `### Question?` is a passage.

The format is described in `fixtures/guidance/README.md`. Nothing here touches the database.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from carehelp.errors import Invalid
from rag.models import LANGUAGES, QUESTIONS, SECTIONS

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LARGEST_FILE = 2 * 1024 * 1024
LONGEST_FRONT = 20_000
_FRONT = re.compile(r"\A\ufeff?---\r?\n(.*?)\r?\n---\r?\n(.*)\Z", re.DOTALL)
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,119}")
_HEADING = re.compile(r"^##[ \t]+(.+?)(?:[ \t]+\{#([\w-]+)\})?[ \t]*$", re.MULTILINE)
_QUESTION = re.compile(r"^###[ \t]+(.+?)[ \t]*$", re.MULTILINE)
BETWEEN = " / "
"""Stands between ways of asking a common question."""

_ALSO_ASKED = re.compile(r"(?:Also asked|Aussi demandé|People di also ask)[ \u00a0]?:[ \t]*(.+)\n?")


class BadDocument(Invalid):
    """A document that cannot be taken in; `detail` says what is wrong with it and where."""

    code, title = "bad_document", "This document cannot be read"


def has_front_matter(text: str) -> bool:
    """Whether a text means to be in our format."""
    return _FRONT.match(text) is not None


@dataclass(frozen=True, slots=True)
class SourceRef:
    """A publication as a document names it. `read`: the text itself was read, not heard of."""

    title: str
    publisher: str = ""
    year: int | None = None
    url: str = ""
    read: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One passage to be; `id` is one of `rag.models.SECTIONS`, or empty in free documents.

    Of a common question `heading` is the question, `text` the answer, and `also_asked` other ways of
    asking it, which are searched and never shown.
    """

    id: str
    heading: str
    text: str
    also_asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document before it is stored."""

    topic: str
    language: str
    title: str
    keywords: tuple[str, ...]
    sources: tuple[SourceRef, ...]
    sections: tuple[Section, ...]
    signed_by: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of everything a reader or a search can notice."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def read_guidance(path: Path) -> Parsed:
    """Parse a file. Raises `BadDocument`."""
    if path.stat().st_size > LARGEST_FILE:
        raise BadDocument(f"{path.name}: over {LARGEST_FILE >> 20} MB", reason="too_many_bytes")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDocument(f"{path.name}: not UTF-8 text", reason="unreadable") from error
    return parse_guidance(text, path.name)


def parse_guidance(text: str, name: str) -> Parsed:
    """Parse a file's text; `name` is for messages only. Raises `BadDocument`."""
    match = _FRONT.match(text)
    if match is None:
        raise BadDocument(
            f"{name}: no front matter between two lines of ---", reason="no_front_matter"
        )
    front = _front_matter(match[1], name)
    sections = tuple(_sections(match[2], name))
    if not sections:
        raise BadDocument(f"{name}: no section, such as '## Signs {{#signs}}'", reason="no_section")
    return Parsed(
        topic=_topic(front, name),
        language=_language(front, name),
        title=_text(front, "title", name),
        keywords=tuple(str(word) for word in _list(front, "keywords", name)),
        sources=tuple(_source(entry, name) for entry in _list(front, "sources", name)),
        signed_by=str(front["signed_by"]) if front.get("signed_by") else None,
        sections=sections,
    )


def _front_matter(text: str, name: str) -> dict[str, Any]:
    try:
        if len(text) > LONGEST_FRONT or _is_a_trap(text):
            raise BadDocument(f"{name}: the front matter is too large", reason="not_yaml")
        front = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise BadDocument(f"{name}: the front matter is not YAML", reason="not_yaml") from error
    if not isinstance(front, dict):
        raise BadDocument(
            f"{name}: the front matter is not a list of names and values", reason="not_yaml"
        )
    return front


def _is_a_trap(text: str) -> bool:
    """Aliases unfold a few lines into gigabytes; every level of nesting takes longer to read."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > 5 or isinstance(event, yaml.AliasEvent):
            return True
    return False


def _text(front: dict[str, Any], key: str, name: str) -> str:
    value = front.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadDocument(f"{name}: '{key}' is missing", reason="missing", key=key)
    return value.strip()


def _topic(front: dict[str, Any], name: str) -> str:
    topic = _text(front, "topic", name)
    if not _SLUG.fullmatch(topic):
        raise BadDocument(f"{name}: topic '{topic[:40]}' is no slug", reason="no_topic")
    return topic


def _language(front: dict[str, Any], name: str) -> str:
    language = _text(front, "language", name)
    codes = [code for code, _ in LANGUAGES]
    if language not in codes:
        raise BadDocument(
            f"{name}: language '{language}' is none of {', '.join(codes)}", reason="language"
        )
    return language


def _list(front: dict[str, Any], key: str, name: str) -> list[Any]:
    value = front.get(key) or []
    if not isinstance(value, list):
        raise BadDocument(f"{name}: '{key}' is not a list", reason="not_a_list", key=key)
    return value


def _source(entry: Any, name: str) -> SourceRef:
    if not isinstance(entry, dict) or not entry.get("title"):
        raise BadDocument(f"{name}: a source has no title", reason="source")
    year, url = entry.get("year"), str(entry.get("url") or "")
    if url and not url.startswith(("https://", "http://")):
        raise BadDocument(f"{name}: '{url[:80]}' is no web address", reason="source")
    return SourceRef(
        title=str(entry["title"]),
        publisher=str(entry.get("publisher") or ""),
        year=year if isinstance(year, int) and 0 < year < 10_000 else None,
        url=url,
        read=entry.get("read") is True,
    )


def _sections(body: str, name: str) -> Iterator[Section]:
    headings = list(_HEADING.finditer(body))
    ends = [*(heading.start() for heading in headings), len(body)][1:]
    for heading, end in zip(headings, ends, strict=True):
        identifier = heading[2] or ""
        if identifier and identifier not in SECTIONS:
            raise BadDocument(
                f"{name}: section '{identifier}' is none of {', '.join(SECTIONS)}", reason="section"
            )
        text = body[heading.end() : end].strip()
        if identifier == QUESTIONS:
            yield from _questions(text, name)
        elif text:
            yield Section(identifier, heading[1].strip(), text)


def _questions(body: str, name: str) -> Iterator[Section]:
    before, *parts = _QUESTION.split(body)
    if before.strip() or not parts:
        raise BadDocument(
            f"{name}: common questions start with '### Question?'", reason="questions"
        )
    for question, answer in zip(parts[::2], parts[1::2], strict=True):
        text = answer.strip()
        also = _ALSO_ASKED.match(text)
        said = text[also.end() :].strip() if also else text
        if not said:
            raise BadDocument(f"{name}: '{question[:80]}' has no answer", reason="questions")
        asked = tuple(filter(None, map(str.strip, also[1].split(BETWEEN)))) if also else ()
        yield Section(QUESTIONS, question, said, asked)
