"""Many phones on one event loop: each asks once over a WebSocket and notes when words arrive.

Raw protocols instead of a client library, since the phones share the machine with what is measured.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, cycle, islice
from typing import Any

from benchmarks.upstream import WORDS

PING = b"\x89"
MOST_WORDS = 20_000
_ENDS = list(accumulate(len(word) for word in islice(cycle(WORDS), MOST_WORDS)))


@dataclass(frozen=True)
class Dialect:
    """How one server is asked and read. `greeted` is what it says before it may be asked."""

    path: str
    question: Callable[[str], str]
    greeted: bytes
    done: bytes
    words: re.Pattern[bytes]
    by_end: bool = False
    opening: str = ""


def _send(text: str) -> str:
    return json.dumps({"type": "send", "message": text, "client_message_id": text[-12:]})


CAREHELP = Dialect(
    path="/ws/chat",
    question=_send,
    greeted=b'"type":"ready"',
    done=b'"type":"done"',
    words=re.compile(rb'"end":(\d+)'),
    by_end=True,
)
SDK = Dialect(
    path="/ws",
    question=lambda text: json.dumps({"content": text}),
    greeted=b"",
    done=b'{"type":"done"}',
    words=re.compile(rb'"type":"token"'),
)
SOCKET_IO = Dialect(
    path="/socket.io/?EIO=4&transport=websocket",
    opening="40",
    question=lambda text: "42" + json.dumps(["chat", {"content": text}]),
    greeted=b'40{"sid"',
    done=b'{"type":"done"}',
    words=re.compile(rb'"type":"token"'),
)


def frame(text: str) -> bytes:
    """One masked text frame of a client."""
    body = text.encode()
    size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + struct.pack("!H", len(body))
    return b"\x81" + size + b"\0\0\0\0" + body


@dataclass
class Phone(asyncio.Protocol):
    """`arrived` is (nanoseconds, words so far), one entry a network read that brought words.

    Without a question it only listens.
    """

    dialect: Dialect
    question: str
    protocols: str = ""
    arrived: list[tuple[int, int]] = field(default_factory=list)
    asked_at: int = 0
    fault: str = ""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.received, self.unread, self.words = transport, b"", b"", 0
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = loop.create_future()
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.connected = self.asked = False
        offered = f"Sec-WebSocket-Protocol: {self.protocols}\r\n" if self.protocols else ""
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {self.dialect.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"{offered}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if self.connected:
            self.received += b"".join(self._frames(data))
        else:
            self.received += data
            self._connect()
        if self.connected and not self.asked and self.dialect.greeted in self.received:
            self._ask()
        elif self.asked:
            self._read(now)

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """What whole frames say; pings are answered, wherever they stand."""
        self.unread += data
        while len(self.unread) >= 2:
            size, head = self.unread[1], 2
            if size >= 126:
                head = 4 if size == 126 else 10
                size = int.from_bytes(self.unread[2:head])
            whole = head + size
            if len(self.unread) < whole:
                return
            body = self.unread[head:whole]
            if self.unread[:1] == PING:
                self.transport.write(b"\x8a" + bytes([0x80 | size]) + b"\0\0\0\0" + body)
            else:
                yield body
            self.unread = self.unread[whole:]

    def _connect(self) -> None:
        head, found, rest = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        if b" 101 " not in head[:20]:
            self._end(head[:80].decode(errors="replace"))
            return
        self.connected, self.received = True, b""
        self.received = b"".join(self._frames(rest))
        if self.dialect.opening:
            self.transport.write(frame(self.dialect.opening))

    def _ask(self) -> None:
        self.asked, self.received, self.asked_at = True, b"", time.monotonic_ns()
        self.greeted.set_result(None)
        if self.question:
            self.transport.write(frame(self.dialect.question(self.question)))

    def _read(self, now: int) -> None:
        last, before = 0, self.words
        for found in self.dialect.words.finditer(self.received):
            last = found.end()
            if self.dialect.by_end:
                self.words = max(self.words, bisect_right(_ENDS, int(found[1])))
            else:
                self.words += 1
        if self.words > before:
            self.arrived.append((now, self.words))
        if self.dialect.done in self.received:
            self._end("")
        elif b'"type":"error"' in self.received:
            self._end(self.received[:200].decode(errors="replace"))
        self.received = self.received[last:][-400:]

    def _end(self, fault: str) -> None:
        if not self.over.done():
            self.fault = fault
            self.over.set_result(None)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.fault = f"connection lost after {self.words} words"
            self.over.set_result(None)


async def ask_all(port: int, phones: Sequence[Phone], *, ramp: float, seconds: float) -> None:
    """Connect and ask one after another over `ramp` seconds; all are over, or given up, at last."""

    async def one(number: int, phone: Phone) -> None:
        await asyncio.sleep(ramp * number / len(phones))
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: phone, "127.0.0.1", port)
        try:
            await asyncio.wait_for(asyncio.shield(phone.over), seconds)
        except TimeoutError:
            phone._end(f"not over after {seconds} s, {phone.words} words")

    await asyncio.gather(*[one(number, phone) for number, phone in enumerate(phones)])
