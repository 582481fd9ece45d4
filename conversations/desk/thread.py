"""A case as a clinician reads it: one thread, and what triage made of it. Plain values only.

Everything is read here, before the view is audited; nothing that a template does reaches the
database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from conversations.desk import labels, queue
from conversations.models import Case, Conversation, Message
from triage.levels import Level

WHO = {
    Message.Role.USER: "patient",
    Message.Role.ASSISTANT: "carehelp",
    Message.Role.CLINICIAN: "clinician",
}


@dataclass(frozen=True, slots=True)
class Sign:
    """A rule that fired, and the patient's words that made it."""

    title: str
    matched: list[str]
    source: str
    signed: bool


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message. `signs` is what triage read in it; `opened` marks the message that opened the
    case.
    """

    id: int
    who: str
    text: str
    at: datetime
    level: str
    note: str = ""
    opened: bool = False
    signs: list[Sign] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)

    @property
    def who_name(self) -> str:
        return str(labels.WRITERS[self.who])

    @property
    def level_name(self) -> str:
        return labels.level(self.level)


@dataclass(frozen=True, slots=True)
class Person:
    """One of those whom the conversation is about."""

    who: str
    level: str
    facts: list[tuple[str, str]]

    @property
    def level_name(self) -> str:
        return labels.level(self.level)


@dataclass(frozen=True, slots=True)
class Page:
    """Everything a case's page shows. Without the patient's consent only `line` is filled."""

    line: queue.Line
    name: str = ""
    phone: str = ""
    bubbles: list[Bubble] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    others: list[queue.Line] = field(default_factory=list)

    @property
    def dialled(self) -> str:
        """What a telephone is told to dial: nothing that is not a number."""
        return "".join(sign for sign in self.phone if sign in "+0123456789")


def page(case: Case, reader: UUID, pseudonyms: Mapping[UUID, UUID]) -> Page:
    """What the patient allowed: the whole conversation, or no more than the level."""
    line = queue.lines([case], reader, pseudonyms)[0]
    conversation = Conversation.objects.filter(pk=case.conversation_id).first()
    if not case.readable or conversation is None:
        return Page(line)
    messages = list(Message.objects.filter(conversation_id=conversation.pk).order_by("id"))
    others = Case.objects.filter(conversation_id=conversation.pk).exclude(pk=case.pk)
    person = User.objects.filter(pk=case.user_id).values("full_name", "phone").first() or {}
    return Page(
        line=line,
        name=person.get("full_name", ""),
        phone=person.get("phone", ""),
        bubbles=_bubbles(messages, case.message_id),
        people=_people(_json(conversation.context).get("triage") or {}),
        others=queue.lines(queue.in_order(others), reader, pseudonyms),
    )


def _bubbles(messages: Sequence[Message], opened_by: int) -> list[Bubble]:
    details = {message.pk: _json(message.details) for message in messages}
    triage = {
        message.question_id: details[message.pk].get("triage") or {}
        for message in messages
        if message.question_id
    }
    return [
        _bubble(message, details[message.pk], triage.get(message.pk, {}), opened_by)
        for message in messages
    ]


def _bubble(
    message: Message, details: Mapping[str, Any], triage: Mapping[str, Any], opened_by: int
) -> Bubble:
    return Bubble(
        id=message.pk,
        who=WHO[Message.Role(message.role)],
        text=message.words if message.role == Message.Role.USER else message.content or "",
        at=message.created_at,
        level=_level(message, triage),
        note=_note(message, details),
        opened=message.pk == opened_by,
        signs=[_sign(rule) for rule in triage.get("rules", ())],
        sources=[_source(source) for source in details.get("sources", ())],
    )


def _level(message: Message, triage: Mapping[str, Any]) -> str:
    """Of a question: as it stood once everything that came with it was understood."""
    if message.role != Message.Role.USER:
        return ""
    return str(triage.get("level") or message.level)


def _sign(rule: Mapping[str, Any]) -> Sign:
    return Sign(
        title=labels.rule(str(rule.get("id", ""))),
        matched=[str(words) for words in rule.get("matched", ())],
        source=str(rule.get("source", "")),
        signed=bool(rule.get("signed")),
    )


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    """Only a web address becomes a link."""
    url = str(source.get("url") or "")
    title = str(source.get("title") or "")
    return {
        "title": title,
        "section": str(source.get("section") or ""),
        "url": url if url.startswith(("https://", "http://")) else "",
        "signed": bool(source.get("signed")),
    }


def _note(message: Message, details: Mapping[str, Any]) -> str:
    """How a reply came to be, and how it ended where that was not well."""
    if message.role != Message.Role.ASSISTANT:
        return ""
    mode = labels.MODES.get(str(details.get("mode")), "")
    status = labels.STATUSES.get(message.status, "")
    return ", ".join(str(part) for part in (mode, status) if part)


def _people(triage: Mapping[str, Any]) -> list[Person]:
    """Whom triage knows something of, the worst off first."""
    subjects = triage.get("subjects") or {}
    people = [
        Person(
            who=labels.subject(key),
            level=str(known.get("level") or Level.NONE),
            facts=labels.facts(known.get("facts") or {}),
        )
        for key, known in subjects.items()
        if known.get("facts") or known.get("level", Level.NONE) != Level.NONE
    ]
    return sorted(people, key=lambda person: -Level(person.level).rank)


def _json(stored: str | None) -> dict[str, Any]:
    return json.loads(stored) if stored else {}
