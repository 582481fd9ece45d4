"""A reply while this process writes it: its text so far, and who waits for more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from conversations.events import Accepted, Delta, Done, Sources, Triaged, Understood
from conversations.live.store import Ended, Piece
from conversations.rendering import turn_json


@dataclass(slots=True, eq=False)
class LiveReply:
    """`stored` counts the characters that the store has; `changed` is replaced at every change."""

    user_id: UUID
    accepted: Accepted
    task: asyncio.Task[None]
    triaged: Triaged | None = None
    understood: Understood | None = None
    sources: Sources | None = None
    text: str = ""
    stored: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    done: Done | None = None
    if_cancelled: str = "stopped"
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> int:
        return self.accepted.reply_id

    def say(self, text: str) -> None:
        self.text += text
        self.announce()

    def announce(self) -> None:
        """Wake every follower; each reads on from where it was."""
        self.changed.set()
        self.changed = asyncio.Event()

    def delta(self, offset: int) -> Delta:
        """Everything said from `offset` on."""
        return Delta(self.id, offset, len(self.text), self.text[offset:])

    def unstored(self) -> Piece:
        return Piece(self.id, self.user_id, self.stored, self.text[self.stored :])

    def ended(self, status: str) -> Ended:
        uid = self.accepted.reply_uid
        assert uid is not None
        return Ended(self.id, uid, self.user_id, status, self.text, self.details)

    def finish(self, status: str) -> None:
        """The last word, once the store has it."""
        turn = turn_json(self.accepted, status, self.text, self.details)
        self.done = Done(turn, len(self.text))
        self.announce()
