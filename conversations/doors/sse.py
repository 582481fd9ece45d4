"""Server-sent events: `event:` the name, `id:` `{reply_id}:{end}`, a comment while nothing is said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from accounts import authentication
from accounts.authentication import Identity
from carehelp.errors import CarehelpError, Invalid
from conversations import live
from conversations.doors import lean
from conversations.doors.frames import frame_of, problem_frame
from conversations.events import Accepted, Delta, Done, Event

HEARTBEAT_SECONDS = 9.0


def accepted_by(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")


def offset_of(request: Request) -> int:
    """Where to go on: `offset`, or the end that `Last-Event-ID` names. Raises `Invalid`."""
    last = request.headers.get("Last-Event-ID", "").rpartition(":")[2]
    given = request.query_params.get("offset", last or "0")
    if not given.isdecimal() or len(given) > 9:
        raise Invalid(
            errors=[{"loc": ["query", "offset"], "msg": _("Not an offset."), "type": "invalid"}]
        )
    return int(given)


def turn(request: Request, accepted: Accepted) -> StreamingHttpResponse:
    """A turn that has just begun, as its events come."""
    pile = lean.pile(lean.wanted(request))
    return _stream(request, accepted, live.follow(accepted.reply_id, pile=pile))


def resumed(request: Request, reply_id: int, offset: int) -> StreamingHttpResponse:
    """A reply from `offset` on. Raises `TooMany`."""
    pile = lean.pile(lean.wanted(request))
    return _stream(request, None, live.resume(reply_id, offset, pile))


def _stream(
    request: Request, accepted: Accepted | None, events: AsyncIterator[Event]
) -> StreamingHttpResponse:
    """Once the request's token is void the events end with an `error`; the turn goes on, and whoever
    signs in again resumes it.
    """
    return StreamingHttpResponse(
        _lines(accepted, events, request.user, lean.wanted(request)),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _lines(
    accepted: Accepted | None, events: AsyncIterator[Event], reader: Identity, save_data: bool
) -> AsyncIterator[bytes]:
    if accepted is not None:
        yield _line(accepted, save_data)
    lines = _with_heartbeats(events)
    every = authentication.RECHECK_SECONDS - HEARTBEAT_SECONDS
    check = time.monotonic() + every
    try:
        async with aclosing(lines):
            async for event in lines:
                if time.monotonic() >= check:
                    await authentication.still_allowed(reader.token, reader.id)
                    check = time.monotonic() + every
                yield b": still here\n\n" if event is None else _line(event, save_data)
    except CarehelpError as error:
        yield _written("error", problem_frame(error))


async def _with_heartbeats(events: AsyncIterator[Event]) -> AsyncGenerator[Event | None, None]:
    """The events; None when nothing has been said for a while."""
    waiting = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=HEARTBEAT_SECONDS)
            if not done:
                yield None
                continue
            event = waiting.result()
            if event is None:
                return
            yield event
            waiting = asyncio.ensure_future(anext(events, None))
    finally:
        waiting.cancel()


def _line(event: Event, save_data: bool) -> bytes:
    return _written(event.type, frame_of(event, save_data), _id(event))


def _written(name: str, frame: dict[str, Any], number: bytes = b"") -> bytes:
    body = orjson.dumps(frame)
    return b"".join([b"event: ", name.encode(), b"\n", number, b"data: ", body, b"\n\n"])


def _id(event: Event) -> bytes:
    match event:
        case Delta(reply_id, _, end):
            return f"id: {reply_id}:{end}\n".encode()
        case Done(turn, end):
            return f"id: {turn['reply_id']}:{end}\n".encode()
    return b""
