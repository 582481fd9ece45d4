"""How many bytes somebody's devices exchange with us, for those who pay by the byte.

Counted at the outermost door, headers too and TLS not; kept in memory and added to the account now
and then. What a process that is killed has not added yet is never counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F

from accounts.models import User
from carehelp.database.identity import Principal, acting_as, run_as

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

KEY = "carehelp.use"
LINE_BYTES = 32
"""A request's or a status line, and what separates headers from a body: near enough."""
FRAME_BYTES = 8
NOTED_AT = 16 * 1024

_spent: Counter[UUID] = Counter()


@dataclass(slots=True)
class Use:
    """One connection's bytes since they were last noted, and whose they are."""

    user_id: UUID | None = None
    bytes: int = 0

    def add(self, count: int) -> None:
        self.bytes += count
        if self.bytes >= NOTED_AT:
            self.note()

    def note(self) -> None:
        if self.user_id is not None:
            _spent[self.user_id] += self.bytes
            self.bytes = 0


def belongs_to(scope: MutableMapping[str, Any], user_id: UUID) -> None:
    """Who this request or socket turned out to be."""
    use = scope.get(KEY)
    if use is not None:
        use.user_id = user_id


class Meter:
    """ASGI, outermost of all."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        use = scope[KEY] = Use(bytes=LINE_BYTES + _headers(scope["headers"]))

        async def counted_receive() -> Message:
            message = await receive()
            use.add(_size(message))
            return message

        async def counted_send(message: Message) -> None:
            use.add(_size(message))
            await send(message)

        try:
            await self.app(scope, counted_receive, counted_send)
        finally:
            use.note()


def _size(message: Message) -> int:
    match message["type"]:
        case "http.request" | "http.response.body":
            return len(message.get("body", b""))
        case "http.response.start":
            return LINE_BYTES + _headers(message.get("headers", ()))
        case "websocket.receive" | "websocket.send":
            text, data = message.get("text") or "", message.get("bytes") or b""
            return FRAME_BYTES + len(text.encode()) + len(data)
    return 0


def _headers(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


async def settle(user_id: UUID | None = None) -> None:
    """Add what was counted to the account; of everybody where nobody is named."""
    for someone in [user_id] if user_id else list(_spent):
        if count := _spent.pop(someone, 0):
            try:
                with acting_as(Principal.patient(someone)):
                    await run_as(_add, someone, count)
            except BaseException:
                _spent[someone] += count
                raise


def _add(user_id: UUID, count: int) -> None:
    User.objects.filter(pk=user_id).update(bytes_used=F("bytes_used") + count)
