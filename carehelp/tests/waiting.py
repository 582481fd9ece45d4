"""Waiting for something to be so, without sleeping for luck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], object], seconds: float = 30) -> None:
    """Raises `TimeoutError` where it never is; looks often, so it costs no time to be patient."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
