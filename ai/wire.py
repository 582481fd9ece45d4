"""Raw streams: one HTTP session a loop, lines as they arrive, statuses and faults as our errors.

Building a client library's object for each token costs more than everything else Carehelp does with
it, so chat streams are read here; every other call goes through the service's own client.
"""

from __future__ import annotations

import asyncio
import importlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

import orjson
from django.conf import settings

from ai.base import (
    BadAnswer,
    Declined,
    ModelMissing,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Refused,
    ServerFault,
    TooSlow,
    Unreachable,
)

if TYPE_CHECKING:
    import aiohttp

LONGEST_LINE = 1_000_000
_ERROR_BODY = 4096
_DRAIN_SECONDS = 0.1
PILE_SECONDS = 0.03
"""How long words may wait for the next ones."""

BEAT_SECONDS = 0.005
"""Waiting ends at multiples of this, so that many streams go on together: a write to a socket costs
half as much where the next one follows at once.
"""

_BY_STATUS: dict[int, type[ProviderError]] = {
    400: Declined,
    401: Refused,
    402: QuotaExhausted,
    403: Refused,
    404: ModelMissing,
    408: TooSlow,
    410: ModelMissing,
    413: Declined,
    422: Declined,
    429: RateLimited,
    504: TooSlow,
    524: TooSlow,
}
# What bodies say that their status does not: OpenAI's 429 for an empty purse, the Hugging Face
# router's 400 for a model nobody serves.
_BY_WORDS: tuple[tuple[bytes, type[ProviderError]], ...] = (
    (b"insufficient_quota", QuotaExhausted),
    (b"model_not_found", ModelMissing),
    (b"model_not_supported", ModelMissing),
    (b"not supported by any provider", ModelMissing),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is posted, and where to."""

    url: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, between 1 and 600, from either of its two forms."""
    value = headers.get("retry-after") or headers.get("Retry-After") or ""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 1.0), 600.0)


def error_for(
    status: int, headers: Mapping[str, str], body: bytes, *, who: str, missing: str = ""
) -> ProviderError:
    """Our error for a refused request. The body is never quoted: it may echo a patient's words.

    `missing` tells the operator what to do about a model that is not there.
    """
    default = ServerFault if status >= 500 else BadAnswer
    kind = _BY_STATUS.get(status, default)
    kind = next((k for words, k in _BY_WORDS if words in body), kind)
    detail = missing if kind is ModelMissing and missing else f"{who} answered {status}"
    return kind(detail, retry_after=retry_after(headers))


class OncePerLoop:
    """Makes something once for each event loop, in a thread: imports and TLS contexts take time."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[Any]]
        self._made = WeakKeyDictionary()

    async def get(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            self._made[loop] = loop.create_task(asyncio.to_thread(self._make))
        return await asyncio.shield(self._made[loop])

    def pop(self) -> Any:
        """What was made for this loop, to be closed; None where nothing was."""
        task = self._made.pop(asyncio.get_running_loop(), None)
        return task.result() if task and task.done() and not task.exception() else None


_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession]
_sessions = WeakKeyDictionary()


async def session() -> aiohttp.ClientSession:
    loop = asyncio.get_running_loop()
    if loop not in _sessions:
        aiohttp = await asyncio.to_thread(importlib.import_module, "aiohttp")
        # How many calls a provider bears is for its gate: past a hundred, the default, they would wait
        # here, unseen, until they passed for a provider that cannot be reached.
        places = aiohttp.TCPConnector(limit=0)
        _sessions.setdefault(loop, aiohttp.ClientSession(connector=places, trust_env=True))
    return _sessions[loop]


async def close() -> None:
    """Close this loop's session."""
    if mine := _sessions.pop(asyncio.get_running_loop(), None):
        await mine.close()


@contextmanager
def translated(who: str) -> Iterator[None]:
    """aiohttp's exceptions as ours."""
    import aiohttp

    try:
        yield
    except aiohttp.ClientPayloadError as error:
        raise ServerFault(f"{who} stopped in the middle") from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, TimeoutError) as error:
        raise Unreachable(f"{who} cannot be reached") from error
    except aiohttp.ClientError as error:
        raise BadAnswer(f"{who} did not speak HTTP as expected") from error


@asynccontextmanager
async def post(
    question: Question, *, who: str, accept: str, missing: str = ""
) -> AsyncIterator[aiohttp.ClientResponse]:
    """A response whose status is 200 and whose type starts with `accept`; it closes on leaving."""
    http = await session()
    import aiohttp

    seconds = settings.AI_CONNECT_SECONDS
    limits = aiohttp.ClientTimeout(total=None, connect=seconds, sock_connect=seconds)
    headers = {"content-type": "application/json", **question.headers}
    data = orjson.dumps(question.body)
    with translated(who):
        response = await http.post(question.url, data=data, headers=headers, timeout=limits)
    try:
        if response.status != 200:
            with translated(who):
                said = await response.content.read(_ERROR_BODY)
            raise error_for(response.status, response.headers, said, who=who, missing=missing)
        if not response.content_type.startswith(accept):
            # Captive portals and proxies answer 200 with a page.
            raise BadAnswer(f"{who} answered with {response.content_type}")
        yield response
    finally:
        response.close()


class Lines:
    """Cuts what arrives into lines; those of one network read come together."""

    def __init__(self, who: str) -> None:
        self._who, self._tail = who, b""

    def feed(self, chunk: bytes) -> list[bytes]:
        *whole, self._tail = (self._tail + chunk).split(b"\n")
        if len(self._tail) > LONGEST_LINE:
            raise BadAnswer(f"{self._who} sent a line without an end")
        return whole


class Reader(Protocol):
    """Reads one dialect. A fault is kept in `fault`, so that no text before it is lost."""

    over: bool
    fault: ProviderError | None

    def text(self, lines: Iterable[bytes]) -> str: ...


async def stream(
    asked: Callable[[], Awaitable[Question]], reader: Reader, *, who: str, accept: str, missing: str
) -> AsyncIterator[str]:
    """Text as it arrives, what comes almost together in one piece, until the reader says that it is
    over.
    """
    question = await asked()
    lines = Lines(who)
    async with post(question, who=who, accept=accept, missing=missing) as response:
        with translated(who):
            async for chunk in _reads(response.content):
                if text := reader.text(lines.feed(chunk)):
                    yield text
                if reader.fault:
                    raise reader.fault
                if reader.over:
                    await drain(response)
                    return
            # A last line may lack its end.
            if text := reader.text(lines.feed(b"\n")):
                yield text
            if reader.over:
                return
    raise ServerFault(f"{who} stopped in the middle")


async def _reads(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """What arrives. What comes soon after something else waits for what comes in the meantime: all
    that is done with a piece, to the frame on the patient's phone, is then done half as often.
    """
    clock, last = asyncio.get_running_loop().time, -math.inf
    while chunk := await content.readany():
        if clock() - last < PILE_SECONDS:
            await asyncio.sleep(PILE_SECONDS - (clock() + PILE_SECONDS) % BEAT_SECONDS)
            # A fault is raised by the next read: what came before it is not lost.
            with suppress(Exception):
                chunk += content.read_nowait()
        yield chunk
        last = clock()


async def drain(response: aiohttp.ClientResponse) -> None:
    """Read the end of a finished answer, so that the connection can be used again."""
    import aiohttp

    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            await response.read()
