"""Outermost of all: refuses a body that is too large before anybody has read it.

Django spools a whole body to disk before any view, token check or limit runs.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from carehelp.errors import TooLarge
from carehelp.problem import CONTENT_TYPE, as_problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class BodyLimit:
    """`larger` is `(path prefix, bytes)` for the doors that take more than `default` bytes."""

    def __init__(self, app: App, default: int, larger: Sequence[tuple[str, int]] = ()) -> None:
        self.app, self.default, self.larger = app, default, larger

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = next((n for p, n in self.larger if scope["path"].startswith(p)), self.default)
        if _announced(scope) > limit:
            return await _refuse(send, limit)
        body = _Counted(receive, send, limit)
        await self.app(scope, body.receive, body.send)
        if body.over and not body.answered:
            await _refuse(send, limit)


@dataclass
class _Counted:
    """A request whose body is counted as it comes; past the limit the app sees the client leave."""

    inner_receive: Receive
    inner_send: Send
    limit: int
    seen: int = field(default=0)
    over: bool = field(default=False)
    answered: bool = field(default=False)

    async def receive(self) -> Message:
        message = await self.inner_receive()
        if message["type"] == "http.request":
            self.seen += len(message.get("body", b""))
            if self.seen > self.limit:
                self.over = True
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self.over and not self.answered:
            return
        self.answered = True
        await self.inner_send(message)


def _announced(scope: MutableMapping[str, Any]) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() and len(length) < 19 else 2**63


async def _refuse(send: Send, limit: int) -> None:
    problem = as_problem(TooLarge("At most {limit_bytes} bytes are read here.", limit_bytes=limit))
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": TooLarge.status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(problem).encode()})
