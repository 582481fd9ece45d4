"""Server-sent events: `event:` the name, `id:` `{reply_id}:{end}`, a comment while nothing is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
from django.http import StreamingHttpResponse
from rest_framework.request import Request

from carehelp.errors import Invalid
from conversations.doors import lean
from conversations.doors.frames import frame_of
from conversations.events import Accepted, Delta, Done, Event

HEARTBEAT_SECONDS = 9.0
FRAME_SECONDS = 0.03


def accepted_by(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")


def offset_of(request: Request) -> int:
    """Where to go on: `offset`, or the end that `Last-Event-ID` names. Raises `Invalid`."""
    last = request.headers.get("Last-Event-ID", "").rpartition(":")[2]
    given = request.query_params.get("offset", last or "0")
    if not given.isdecimal() or len(given) > 9:
        raise Invalid(
            errors=[{"loc": ["query", "offset"], "msg": "Not an offset.", "type": "invalid"}]
        )
    return int(given)


def stream(
    accepted: Accepted | None, events: AsyncIterator[Event], save_data: bool = False
) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        _lines(accepted, events, save_data),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _lines(
    accepted: Accepted | None, events: AsyncIterator[Event], save_data: bool
) -> AsyncIterator[bytes]:
    pace = lean.FRAME_SECONDS if save_data else FRAME_SECONDS
    if accepted is not None:
        yield _line(accepted, save_data)
    waiting = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=HEARTBEAT_SECONDS)
            if not done:
                yield b": still here\n\n"
                continue
            event = waiting.result()
            if event is None:
                return
            yield _line(event, save_data)
            if isinstance(event, Delta):
                await asyncio.sleep(pace)
            waiting = asyncio.ensure_future(anext(events, None))
    finally:
        waiting.cancel()


def _line(event: Event, save_data: bool) -> bytes:
    body = orjson.dumps(frame_of(event, save_data))
    return b"".join([b"event: ", event.type.encode(), b"\n", _id(event), b"data: ", body, b"\n\n"])


def _id(event: Event) -> bytes:
    match event:
        case Delta(reply_id, _, end):
            return f"id: {reply_id}:{end}\n".encode()
        case Done(turn, end):
            return f"id: {turn['reply_id']}:{end}\n".encode()
    return b""
