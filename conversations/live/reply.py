"""A reply while this process writes it: its text so far, and who waits for more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from conversations.events import Accepted, Delta, Done, Sources, Text, Triaged, Understood
from conversations.live.store import Ended, Piece
from conversations.rendering import turn_json


@dataclass(slots=True, eq=False)
class LiveReply:
    """`stored` counts the characters that the store has; `news` are the followers'."""

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
    news: set[asyncio.Event] = field(default_factory=set)

    @property
    def id(self) -> int:
        return self.accepted.reply_id

    def hear(self, event: Text | Triaged | Understood | Sources) -> None:
        """What the turn says; every follower wakes, and reads on from where it was."""
        match event:
            case Text():
                self.text += event.text
            case Triaged():
                self.triaged, self.details = event, event.details
            case Understood():
                self.understood = event
            case Sources():
                self.sources = event
        self._announce()

    def _announce(self) -> None:
        for news in self.news:
            news.set()

    @contextmanager
    def heard(self) -> Iterator[asyncio.Event]:
        """For one follower: set whenever there is more to read."""
        news = asyncio.Event()
        self.news.add(news)
        try:
            yield news
        finally:
            self.news.discard(news)

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
        self._announce()
