"""A patient's phone: asks by any door, loses its connection, goes on by another, keeps the rules.

It knows of the server what `api.md` promises and nothing else. `gaps` counts what must never happen:
a delta that begins after the end of what the phone has.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

DOORS = ("json", "sse", "socket")
LOST = (httpx.TransportError, ConnectionClosed, InvalidHandshake, OSError, EOFError, TimeoutError)
PATIENCE_SECONDS = 400.0


class TryAgain(Exception):
    """The server asks for patience, or has not said anything yet."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Cut(Exception):
    """The network is gone: on purpose."""


@dataclass
class Person:
    id: str
    token: str
    conversations: list[int] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Asked:
    """One question until its answer: what the phone knows of it, and what happened on the way."""

    person: Person
    question: str
    conversation_id: int | None = None
    client_message_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    reply_id: int | None = None
    text: str = ""
    done: dict[str, Any] | None = None
    replies: list[tuple[int, str, str]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    ways: list[tuple[int, str]] = field(default_factory=list)
    cuts: int = 0
    dropped: int = 0
    resent: int = 0
    retried: int = 0
    gaps: int = 0
    cut_back: int = 0
    waited: int = 0
    refusals: list[str] = field(default_factory=list)

    def hear(self, kind: str, body: dict[str, Any]) -> None:
        """One event, whichever door it came by."""
        if kind == "error":
            raise TryAgain(0.5) if body.get("retryable") else AssertionError(body)
        if kind == "accepted" and body["client_message_id"] == self.client_message_id:
            self.conversation_id, self.reply_id = body["conversation_id"], body["reply_id"]
        elif kind == "delta" and body["reply_id"] == self.reply_id:
            self.append(body)
        elif kind == "done" and body["reply_id"] == self.reply_id:
            self.done = body

    def append(self, delta: dict[str, Any]) -> None:
        """The rule: append at the end, drop repeats, cut back where less is stored."""
        offset, text = delta["offset"], delta["text"]
        assert delta["end"] == offset + len(text), delta
        if offset > len(self.text):
            self.gaps += 1
        self.cut_back += offset < len(self.text)
        self.text = self.text[:offset] + text

    def take(self, turn: dict[str, Any]) -> None:
        """A whole turn as JSON: what is stored so far wins."""
        self.conversation_id, self.reply_id = turn["conversation_id"], turn["reply_id"]
        if turn["status"] == "running":
            raise TryAgain(0.2)
        self.text, self.done = turn["response"], turn


@dataclass
class Phone:
    """Asks and follows; `bases` are the processes, `cut` how likely a connection is to be lost."""

    bases: list[str]
    http: httpx.AsyncClient
    cut: float

    async def ask(self, asked: Asked) -> Asked:
        """Until the answer is whole: resumes, sends again, retries, as a patient client would."""
        while asked.done is None or asked.done["status"] in ("interrupted", "failed"):
            if time.monotonic() - asked.started > PATIENCE_SECONDS:
                break
            if asked.done is not None:
                await self._once(asked, self._retry)
            elif asked.reply_id is not None:
                await self._once(asked, self._resume)
            else:
                asked.resent += bool(asked.ways)
                await self._once(asked, self._send)
            if asked.done is not None:
                ended = (asked.reply_id or 0, asked.done["status"], asked.text)
                if ended not in asked.replies:
                    asked.replies.append(ended)
        return asked

    async def _once(self, asked: Asked, work: Callable[[Asked, str, str], Awaitable[None]]) -> None:
        base, door = self._another_way(asked)
        try:
            async with _lossy(self.cut):
                await work(asked, base, door)
        except Cut:
            asked.cuts += 1
        except TryAgain as patience:
            asked.waited += 1
            await asyncio.sleep(patience.seconds * random.uniform(0.5, 1.0))
        except LOST:
            asked.dropped += 1
            await asyncio.sleep(random.uniform(0.05, 0.4))

    def _another_way(self, asked: Asked) -> tuple[str, str]:
        """Any door of any process, but not twice the same."""
        ways = [(index, door) for index in range(len(self.bases)) for door in DOORS]
        way = random.choice([way for way in ways if way not in asked.ways[-1:]])
        asked.ways.append(way)
        return self.bases[way[0]], way[1]

    async def _send(self, asked: Asked, base: str, door: str) -> None:
        body: dict[str, Any] = {
            "message": asked.question,
            "client_message_id": asked.client_message_id,
        }
        if asked.conversation_id is not None:
            body["conversation_id"] = asked.conversation_id
        if door == "socket":
            return await self._socket(asked, base, {"type": "send", **body})
        body["stream"] = door == "sse"
        await self._post(asked, f"{base}/api/chat", door, body)

    async def _resume(self, asked: Asked, base: str, door: str) -> None:
        offset, reply = len(asked.text), f"{base}/api/messages/{asked.reply_id}"
        if door == "socket":
            frame = {"type": "resume", "reply_id": asked.reply_id, "offset": offset}
            return await self._socket(asked, base, frame)
        if door == "sse":
            headers = {"Last-Event-ID": f"{asked.reply_id}:{offset}", **asked.person.headers}
            return await self._events(asked, "GET", f"{reply}/events", headers=headers)
        headers = {"Prefer": "wait=20", **asked.person.headers}
        answer = await self.http.get(reply, headers=headers)
        asked.take(self._checked(asked, answer).json())

    async def _retry(self, asked: Asked, base: str, door: str) -> None:
        """Ask again after an interruption; a repeated retry finds the reply of the first."""
        before = asked.reply_id
        asked.done, asked.text = None, ""
        try:
            if door == "socket":
                await self._socket(asked, base, {"type": "retry", "reply_id": before})
            else:
                await self._post(asked, f"{base}/api/messages/{before}/retry", door, None)
        except BaseException:
            if asked.reply_id == before:
                asked.done = {"status": "interrupted"}
            raise
        finally:
            asked.retried += asked.reply_id != before

    async def _post(self, asked: Asked, url: str, door: str, body: Any) -> None:
        if door == "sse":
            headers = {"Accept": "text/event-stream", **asked.person.headers}
            await self._events(asked, "POST", url, headers=headers, json=body)
        else:
            answer = await self.http.post(url, headers=asked.person.headers, json=body)
            asked.take(self._checked(asked, answer).json())

    async def _events(self, asked: Asked, method: str, url: str, **request: Any) -> None:
        async with self.http.stream(method, url, **request) as answer:
            if answer.is_error:
                await answer.aread()
            self._checked(asked, answer)
            kind = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    asked.hear(kind, json.loads(line[6:]))
            if asked.done is None:
                raise EOFError

    @staticmethod
    def _checked(asked: Asked, answer: httpx.Response) -> httpx.Response:
        if answer.status_code in (409, 429, 502, 503):
            asked.refusals.append(f"{answer.status_code} {answer.json().get('code')}")
            raise TryAgain(float(answer.headers.get("Retry-After", 1)))
        assert answer.is_success, answer.text
        return answer

    async def _socket(self, asked: Asked, base: str, frame: dict[str, Any]) -> None:
        async with _connected(base, asked.person) as socket:
            await socket.send(json.dumps(frame))
            while asked.done is None:
                received: dict[str, Any] = json.loads(await socket.recv())
                if received["type"] == "error":
                    asked.refusals.append(f"{received['status']} {received['code']}")
                asked.hear(received["type"], received)


@asynccontextmanager
async def _connected(base: str, person: Person) -> AsyncIterator[ClientConnection]:
    """Left as a network is left: without a closing handshake."""
    protocols: Any = ["carehelp.v1", f"carehelp.bearer.{person.token}"]
    url = base.replace("http://", "ws://") + "/ws/chat"
    socket = await connect(url, subprotocols=protocols, open_timeout=20)
    try:
        yield socket
    finally:
        socket.transport.abort()


@asynccontextmanager
async def _lossy(likely: float) -> AsyncIterator[None]:
    """A connection that is cut with this probability, at a random moment of its first seconds."""
    if random.random() >= likely:
        yield
        return
    try:
        async with asyncio.timeout(random.expovariate(0.8)) as limit:
            yield
    except TimeoutError:
        raise (Cut if limit.expired() else TimeoutError) from None
