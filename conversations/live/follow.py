"""Follow a reply from any offset: while it is written, here or elsewhere, or long after.

Subscribe, then read, then drop repeats: reconnecting, a second phone and a slow reader are one case.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any
from uuid import UUID

from carehelp.database.identity import Principal, acting_as, require_current, run_as
from carehelp.errors import TooMany, Unavailable
from conversations.events import Delta, Done, Event, Sources, Triaged, Understood
from conversations.live import store
from conversations.live.relay import relay, reply_topic
from conversations.live.reply import LiveReply
from conversations.live.runner import runner
from conversations.live.store import Stored
from conversations.rendering import turn_json

FOLLOWERS_PER_USER = 64
PILE_SECONDS = 0.02
"""Less than `ai.wire.PILE_SECONDS`: only what has not been piled up there waits here."""

_followers: Counter[str] = Counter()


def follow(
    reply_id: int, offset: int = 0, pile: float = PILE_SECONDS
) -> AsyncGenerator[Event, None]:
    """Triaged, Understood, Sources, Delta… and at last Done, as the patient who is acting. Triaged
    comes again where something attached raised it. Words that come within `pile` seconds of others
    wait as long for more.

    The identity is taken now: the events are read long after the door's own block has ended.
    Raises `NotFound` at the first event where the reply is not theirs.
    """
    principal = require_current()
    return _events(principal, reply_id, offset, pile, Place(principal.sub))


def resume(reply_id: int, offset: int, pile: float = PILE_SECONDS) -> AsyncGenerator[Event, None]:
    """`follow`, for who comes back: raises `TooMany` at once where they follow a lot already.

    What they ask themselves is followed in any case, so that danger is answered.
    """
    if _followers[require_current().sub] >= FOLLOWERS_PER_USER:
        raise TooMany("Too many answers are followed at once.", retry_after=5)
    return follow(reply_id, offset, pile)


class Place:
    """One of somebody's followers, counted from here on: many that come at once see each other.

    Given back when the events end, or are dropped unread, as by a client that left early.
    """

    def __init__(self, sub: str) -> None:
        self.sub, self.taken = sub, True
        _followers[sub] += 1

    def leave(self) -> None:
        if not self.taken:
            return
        self.taken = False
        _followers[self.sub] -= 1
        if not _followers[self.sub]:
            del _followers[self.sub]

    __del__ = leave


async def _events(
    principal: Principal, reply_id: int, offset: int, pile: float, place: Place
) -> AsyncGenerator[Event, None]:
    try:
        live = runner().find(reply_id, UUID(principal.sub))
        events = _live(live, offset, pile) if live else _stored(principal, reply_id, offset, pile)
        async with aclosing(events):
            async for event in events:
                yield event
    finally:
        place.leave()


async def _live(live: LiveReply, offset: int, pile: float) -> AsyncGenerator[Event, None]:
    told: dict[type, Event] = {}
    clock, last = asyncio.get_running_loop().time, -math.inf
    with live.heard() as news:
        while True:
            if clock() - last < pile and live.done is None:
                await asyncio.sleep(pile)
            news.clear()
            for event in (live.understood, live.triaged, live.sources):
                if event is not None and told.get(type(event)) is not event:
                    told[type(event)] = event
                    yield event
            done = live.done
            if len(live.text) != offset:
                delta = live.delta(min(offset, len(live.text)))
                offset = delta.end
                yield delta
                last = clock()
            if done is not None and done.end == offset:
                yield done
                return
            await news.wait()


async def _stored(
    principal: Principal, reply_id: int, offset: int, pile: float
) -> AsyncGenerator[Event, None]:
    told: dict[str, Any] = {}
    reply: Stored | None = None
    async with relay().listening(reply_topic(reply_id)) as hint:
        while True:
            try:
                reply = await _read(principal, reply_id)
            except Unavailable:
                # A database that is gone for a while is no news; it is asked again.
                if reply is None:
                    raise
            for event in _news(reply, offset, told):
                yield event
            grown, offset = len(reply.text) > offset, len(reply.text)
            if not reply.running:
                turn = turn_json(reply.accepted, reply.status, reply.text, reply.details)
                yield Done(turn, offset)
                return
            if grown:
                await asyncio.sleep(pile)
            await hint.wait()


async def _read(principal: Principal, reply_id: int) -> Stored:
    with acting_as(principal):
        return await run_as(store.read, reply_id)


def _news(reply: Stored, offset: int, told: dict[str, Any]) -> list[Event]:
    news: list[Event] = []
    for name, event in (
        ("attachments", understood),
        ("triage", lambda reply: Triaged(reply.details)),
        ("sources", lambda reply: Sources(reply.accepted.reply_id, reply.details["sources"])),
    ):
        if reply.details.get(name) and reply.details[name] != told.get(name):
            told[name] = reply.details[name]
            news.append(event(reply))
    if len(reply.text) != offset:
        start = min(offset, len(reply.text))
        news.append(Delta(reply.accepted.reply_id, start, len(reply.text), reply.text[start:]))
    return news


def understood(reply: Stored) -> Understood:
    said = reply.details
    accepted = reply.accepted
    return Understood(
        accepted.message_id, accepted.reply_id, said.get("transcript") or "", said["attachments"]
    )


async def ended(reply_id: int, seconds: float | None = None) -> dict[str, Any]:
    """The turn once it has ended, or as it stands after `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), aclosing(follow(reply_id)) as events:
            async for event in events:
                if isinstance(event, Done):
                    return event.turn
    return await standing(reply_id)


async def standing(reply_id: int) -> dict[str, Any]:
    """The turn as it stands now."""
    live = runner().find(reply_id, UUID(require_current().sub))
    if live is not None:
        if live.done is not None:
            return live.done.turn
        return turn_json(live.accepted, "running", live.text, live.details)
    reply = await run_as(store.read, reply_id)
    return turn_json(reply.accepted, reply.status, reply.text, reply.details)
