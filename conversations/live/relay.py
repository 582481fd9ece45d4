"""Hints between processes: "this reply has grown", "this conversation has a new message".

Ids only, never text. Losing one costs a follower a second, since it looks at the store by itself;
so Redis makes other processes' turns faster to follow, and nothing depends on it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer
from django.conf import settings

logger = logging.getLogger(__name__)

GROUP = "carehelp.hints"
LOOK_SECONDS = 1.0
SEND_SECONDS = 0.5
AGAIN_SECONDS = 1.0


def reply_topic(reply_id: int) -> str:
    return f"reply:{reply_id}"


def conversation_topic(conversation_id: int) -> str:
    return f"conversation:{conversation_id}"


class Hint:
    """Set by whoever has news on a topic; `wait` is over after a second in any case."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def give(self) -> None:
        self._news.set()

    async def wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._news.wait()
        self._news.clear()


class Relay:
    """One subscription a process; local listeners by topic."""

    def __init__(self) -> None:
        self._listening: defaultdict[str, set[Hint]] = defaultdict(set)
        self._down_until = 0.0
        self._task: asyncio.Task[None] | None = None
        if settings.REDIS_URL:
            self._task = asyncio.get_running_loop().create_task(
                self._receive_forever(), context=Context()
            )

    @asynccontextmanager
    async def listening(self, topic: str) -> AsyncIterator[Hint]:
        hint = Hint()
        self._listening[topic].add(hint)
        try:
            yield hint
        finally:
            self._listening[topic].discard(hint)
            if not self._listening[topic]:
                del self._listening[topic]

    async def announce(self, topics: Iterable[str]) -> None:
        """Tell listeners here at once, and other processes where there is a Redis."""
        told = list(topics)
        self._wake(told)
        if settings.REDIS_URL and told and time.monotonic() > self._down_until:
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await get_channel_layer().group_send(GROUP, {"type": "hint", "topics": told})
            except Exception:
                # Answers wait for this call, so a Redis that hangs is not asked for a while.
                self._down_until = time.monotonic() + AGAIN_SECONDS
                logger.warning("hints could not be sent; followers look for themselves")

    def _wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for hint in self._listening.get(topic, ()):
                hint.give()

    async def _receive_forever(self) -> None:
        while True:
            try:
                await self._receive()
            except Exception:
                logger.warning("the hints' channel is down; followers look for themselves")
                await asyncio.sleep(AGAIN_SECONDS)

    async def _receive(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel("relay")
        await layer.group_add(GROUP, channel)
        while True:
            self._wake((await layer.receive(channel))["topics"])


_relays: WeakKeyDictionary[asyncio.AbstractEventLoop, Relay] = WeakKeyDictionary()


def relay() -> Relay:
    loop = asyncio.get_running_loop()
    if loop not in _relays:
        _relays[loop] = Relay()
    return _relays[loop]
