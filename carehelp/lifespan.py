"""What one process does when it starts to serve and when it stops; servers without it do without.

Starting warms what the first patient would wait for. Stopping gives running answers their time,
keeps what they said, and lets go of the providers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

from ai import ladder
from conversations import guard
from conversations.live.runner import runner
from rag import embedding
from triage import rulebook, stored

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def lifespan(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """The ASGI lifespan protocol."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await _quietly(start)
            await send({"type": "lifespan.startup.complete"})
        else:
            await _quietly(stop)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def start() -> None:
    """Load the rules before the first question; what clinicians changed in them, a local model and
    the vectors in the background.
    """
    rulebook.current()
    runner()
    _background.update({asyncio.create_task(_quietly(step)) for step in WARMING})


async def stop() -> None:
    await runner().drain(settings.DRAIN_SECONDS)
    for task in _background:
        task.cancel()
    await ladder.close()


WARMING = (stored.keeper.keep_fresh, embedding.warm_up, ladder.warm_up, guard.warm_up)
_background: set[asyncio.Task[None]] = set()


async def _quietly(step: Callable[[], Awaitable[None]]) -> None:
    """Neither a cold model nor a provider that hangs up badly may keep us from serving or ending."""
    try:
        await step()
    except Exception:
        logger.exception("%s failed", step.__name__)
