"""How long many short waits may take, each of them and all together."""

from __future__ import annotations

import asyncio
import math
from typing import Any


class Watch:
    """A time limit for each of many short waits, with one timer for them all.

    `asyncio.timeout` costs as much as parsing the piece of a stream that was waited for; here a wait
    costs noting the time, and the timer looks at the notes when it rings. One wait at a time; raises
    `TimeoutError` where it takes more than `seconds`, or goes beyond `end` on the loop's clock.
    """

    def __init__(self, seconds: float, end: float = math.inf) -> None:
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
            raise TimeoutError("no time left for the rest")
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
            raise TimeoutError("too long a wait")

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
