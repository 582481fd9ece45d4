"""Work on hostile bytes in child processes, bounded in memory and in time.

A child that hangs or dies takes nobody with it. No Django here: a child starts quickly, and what
runs in one should import as little.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from carehelp.errors import Overloaded

T = TypeVar("T")

TASKS_PER_CHILD = 200
MOST_WAITING = 32


class Children:
    """At most `count` processes of `megabytes` each, started when there is work; `seconds` a task."""

    def __init__(self, count: int, *, megabytes: int, seconds: float) -> None:
        self.count, self.megabytes, self.seconds = count, megabytes, seconds
        self._running: ProcessPoolExecutor | None = None
        self._waiting = 0
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]
        self._places = WeakKeyDictionary()

    async def run(self, work: Callable[..., T], *args: Any, **options: Any) -> T:
        """What `work` returns or raises. Its time begins when a child is free for it.

        Raises `TimeoutError`, `MemoryError`, `BrokenExecutor` where the child died, and `Overloaded`
        where too many wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise Overloaded("Too many files are being read.", retry_after=5)
        self._waiting += 1
        try:
            async with self._place():
                return await self._run(work, *args, **options)
        finally:
            self._waiting -= 1

    def _place(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        return self._places.setdefault(loop, asyncio.Semaphore(self.count))

    async def _run(self, work: Callable[..., T], *args: Any, **options: Any) -> T:
        pool = self.pool()
        try:
            async with asyncio.timeout(self.seconds):
                # Submitting may start a child, which takes a while.
                future = await asyncio.to_thread(pool.submit, work, *args, **options)
                return await asyncio.wrap_future(future)
        except (TimeoutError, BrokenExecutor):
            self.stop()
            raise

    def pool(self) -> ProcessPoolExecutor:
        if self._running is None:
            self._running = ProcessPoolExecutor(
                self.count,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=limit_memory,
                initargs=(self.megabytes,),
                max_tasks_per_child=TASKS_PER_CHILD,
            )
        return self._running

    def stop(self) -> None:
        """End the children, also those that hang."""
        pool, self._running = self._running, None
        if pool:
            for child in list((pool._processes or {}).values()):
                child.kill()
            pool.shutdown(wait=False, cancel_futures=True)


def limit_memory(megabytes: int) -> None:
    """Bound this process, where the system can: no decoder takes the machine with it."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
