"""What a running turn leaves in the database, written as the worker and only while leased.

Every write says `runner = me AND status = 'running'`: a process that lost its lease writes nothing.
Chunks of many turns go in one statement; at the end they are folded into the reply. Text is sealed
before it gets here or leaves this module, so no other place knows how it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.db import connections
from django.db.models.functions import Now

from carehelp.database.identity import login
from carehelp.errors import NotFound
from conversations.events import Accepted
from conversations.models import Message, ReplyChunk
from conversations.remember import LEASE


@dataclass(frozen=True, slots=True)
class Stored:
    """A reply as the database has it; `text` is what a reader may be shown."""

    accepted: Accepted
    status: str
    text: str
    details: dict[str, Any]

    @property
    def running(self) -> bool:
        return self.status == Message.Status.RUNNING


def read(reply_id: int) -> Stored:
    """The reply, as the patient that owns it; raises `NotFound` for anybody else's."""
    reply = Message.objects.filter(pk=reply_id, role=Message.Role.ASSISTANT).first()
    if reply is None:
        raise NotFound("There is no such reply.")
    question = Message.objects.filter(pk=reply.question_id).first()
    accepted = Accepted(
        reply.conversation_id,
        reply.question_id,
        reply.pk,
        question.client_message_id if question else None,
    )
    return Stored(accepted, reply.status, reply.words, json.loads(reply.details or "{}"))


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of a running reply from character `start` on, not yet stored."""

    reply_id: int
    user_id: UUID
    start: int
    text: str
    uid: UUID = field(default_factory=uuid4)


_RENEWED = (
    "UPDATE messages SET leased_until = now() + %(lease)s WHERE id = ANY(%(replies)s) "
    "AND runner = %(runner)s AND status = 'running' RETURNING id"
)
# Keeps anybody from ending a reply between this and its chunks.
_HELD = (
    "SELECT id FROM messages WHERE id = ANY(%(replies)s) "
    "AND runner = %(runner)s AND status = 'running' FOR NO KEY UPDATE"
)
_APPEND = """
WITH ours AS ({ours}), kept AS (
    INSERT INTO reply_chunks (uid, user_id, reply_id, start, "end", content)
    SELECT piece.* FROM json_to_recordset(%(pieces)s::json) AS piece (
        uid uuid, user_id uuid, reply_id bigint, start integer, "end" integer, content bytea
    )
    JOIN ours ON ours.id = piece.reply_id
)
SELECT id FROM ours
"""


def append(
    runner: UUID, replies: Sequence[int], pieces: Sequence[Piece], *, renew: bool
) -> set[int]:
    """Store the pieces of many replies in one statement; returns the replies that are still ours."""
    statement = _APPEND.format(ours=_RENEWED if renew else _HELD)
    mine = {"lease": LEASE, "replies": list(replies), "runner": runner}
    with connections[login()].cursor() as cursor:
        cursor.execute(statement, mine | {"pieces": _as_json(pieces)})
        return {row[0] for row in cursor.fetchall()}


def _as_json(pieces: Sequence[Piece]) -> str:
    """One value, however many pieces: building arrays of them took as long as writing them."""
    content = ReplyChunk._meta.get_field("content")
    rows = [
        {
            "uid": piece.uid,
            "user_id": piece.user_id,
            "reply_id": piece.reply_id,
            "start": piece.start,
            "end": piece.start + len(piece.text),
            "content": rf"\x{content.seal(piece.text, piece).hex()}",
        }
        for piece in pieces
    ]
    return orjson.dumps(rows).decode()


def finish(runner: UUID, reply: Ended) -> bool:
    """Fold the reply: whole text, details, how it ended. False where it was no longer ours."""
    row = Message(pk=reply.reply_id, uid=reply.uid, user_id=reply.user_id)
    folded = Message.objects.filter(
        pk=reply.reply_id, runner=runner, status=Message.Status.RUNNING
    ).update(
        content=_sealed(row, "content", reply.text),
        details=_sealed(row, "details", json.dumps(reply.details, ensure_ascii=False)),
        status=reply.status,
        level=reply.level,
        completed_at=Now(),
        leased_until=None,
    )
    if folded:
        ReplyChunk.objects.filter(reply_id=reply.reply_id).delete()
    return bool(folded)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a reply ended, and all that it said."""

    reply_id: int
    uid: UUID
    user_id: UUID
    status: str
    text: str
    details: dict[str, Any]

    @property
    def level(self) -> str:
        """As it stands after everything that came with the question was understood."""
        return str((self.details.get("triage") or {}).get("level", "none"))


def _sealed(row: Message, name: str, text: str) -> Any:
    return row._meta.get_field(name).seal(text, row)


def stop(reply_id: int) -> bool:
    """As the patient: end a running reply, whoever writes it. False where it had ended."""
    return bool(
        Message.objects.filter(pk=reply_id, status=Message.Status.RUNNING).update(
            status=Message.Status.STOPPED, completed_at=Now()
        )
    )


def interrupt_abandoned() -> int:
    """Close the turns whose process is gone: their lease has run out by the database's clock."""
    return Message.objects.filter(status=Message.Status.RUNNING, leased_until__lt=Now()).update(
        status=Message.Status.INTERRUPTED, completed_at=Now(), leased_until=None
    )
