"""How long a reader waits for each piece of a stream, and for all of it."""

from __future__ import annotations

import asyncio
from typing import Any

from ai.base import TooSlow


class Watch:
    """A time limit for each of many short waits, with one timer for them all.

    `asyncio.timeout` costs as much as parsing the piece that was waited for; here a wait costs
    noting the time, and the timer looks at the notes when it rings.
    """

    def __init__(self, seconds: float, end: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds, self._end = seconds, end
        self._due = min(self._loop.time() + seconds, end)
        self._task: asyncio.Task[Any] | None = None
        self._fired = False
        self._cancelling = 0
        self._timer = self._loop.call_at(self._due, self._ring)

    def __enter__(self) -> None:
        now = self._loop.time()
        if now >= self._end:
            raise TooSlow("no time left for the rest")
        self._due = min(now + self._seconds, self._end)
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task, self._task = self._task, None
        if not self._fired:
            return
        self._fired = False
        # As in asyncio.timeout: our own cancelling is taken back, anybody else's goes on.
        ours = task is not None and task.uncancel() <= self._cancelling
        if ours and kind is asyncio.CancelledError:
            raise TooSlow("silent for too long")

    def end(self) -> None:
        self._timer.cancel()

    def _ring(self) -> None:
        if self._task and self._loop.time() >= self._due:
            self._fired = True
            self._task.cancel()
            return
        # While the reader is busy elsewhere nothing is due; look again in a while.
        again = self._due if self._task else self._loop.time() + self._seconds
        self._timer = self._loop.call_at(again, self._ring)
