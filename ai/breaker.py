"""When not to ask: a breaker that lets one probe through, and a window that grows with trust."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ai.base import ProviderError


class Permit:
    """Leave to make one call. Say how it went; saying nothing (the client left) moves nothing."""

    def __init__(self, breaker: Breaker, probe: bool) -> None:
        self._breaker, self._probe = breaker, probe

    def succeeded(self) -> None:
        self._breaker._succeeded()
        self._probe = False

    def failed(self, error: ProviderError) -> None:
        self.returned()
        if error.counts:
            self._breaker._failed(error)

    def returned(self) -> None:
        if self._probe:
            self._breaker._probing = self._probe = False


class Breaker:
    """Opens after `failures` in a row, or at once where the error says how long to stay away.

    Once `cooldown` seconds (give or take a fifth, so that processes do not return together) have
    passed, one call is let through as a probe; its success closes the breaker.
    """

    def __init__(
        self, failures: int, cooldown: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._cooldown, self._clock = failures, cooldown, clock
        self._failures = 0
        self._until: float | None = None
        self._probing = False
        self.last_error: ProviderError | None = None

    @property
    def open(self) -> bool:
        return self._until is not None

    @property
    def retry_after(self) -> float:
        """Seconds until a probe is let through."""
        return max(0.0, self._until - self._clock()) if self._until is not None else 0.0

    def state(self) -> str:
        if not self.open:
            return "ok"
        return "open" if self.retry_after else "half_open"

    def ask(self) -> Permit | None:
        """A permit, or None while the breaker is open or its probe is under way."""
        if not self.open:
            return Permit(self, probe=False)
        if self.retry_after or self._probing:
            return None
        self._probing = True
        return Permit(self, probe=True)

    def _succeeded(self) -> None:
        self._failures, self._until, self._probing = 0, None, False
        self.last_error = None

    def _failed(self, error: ProviderError) -> None:
        self.last_error = error
        self._failures += 1
        if error.opens_for:
            self._open(error.retry_after or error.opens_for)
        elif not self.retry_after and (self.open or self._failures >= self._limit):
            self._open(self._cooldown * random.uniform(0.8, 1.2))

    def _open(self, seconds: float) -> None:
        self._until = max(self._until or 0.0, self._clock() + seconds)


class Window:
    """How many calls may be under way (`most`), and how many of them unanswered.

    The unanswered may be `start` at first, one more for each answer; a failure takes them back to
    `start`. So 300 patients who arrive together while a provider is dead knock `start` times, not
    300 times, and a healthy provider is not held back for long.
    """

    def __init__(self, start: int, most: int) -> None:
        self._start, self._most = min(start, most), most
        self._size = self._start
        self.under_way = self.unanswered = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, patience: float) -> Place:
        """Wait at most `patience` seconds for a place; `TimeoutError` after that."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.admit()
        try:
            async with asyncio.timeout(patience):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                Place(self).leave()
            raise
        return Place(self)

    def admit(self) -> None:
        while self._waiting and self.unanswered < self._size and self.under_way < self._most:
            turn = self._waiting.popleft()
            if not turn.done():
                self.under_way += 1
                self.unanswered += 1
                turn.set_result(None)

    def grow(self) -> None:
        self._size = min(self._size + 1, self._most)

    def shrink(self) -> None:
        self._size = self._start


class Place:
    """One call's place in a window."""

    def __init__(self, window: Window) -> None:
        self._window, self._unanswered = window, True

    def answered(self) -> None:
        if self._unanswered:
            self._unanswered = False
            self._window.unanswered -= 1
            self._window.admit()

    def leave(self) -> None:
        self._window.under_way -= 1
        self.answered()
        self._window.admit()


class Call:
    """Leave to make one call. Say how it went; saying nothing (the client left) moves nothing."""

    def __init__(self, permit: Permit, place: Place, window: Window) -> None:
        self._permit, self._place, self._window = permit, place, window

    def succeeded(self) -> None:
        """The first word is there, or the whole answer."""
        self._permit.succeeded()
        self._window.grow()
        self._place.answered()

    def failed(self, error: ProviderError) -> None:
        self._permit.failed(error)
        if error.counts:
            self._window.shrink()


class Closed(Exception):
    """The breaker is open, or no place came free in time."""


class Gate:
    """A breaker and a window before one rung of a ladder."""

    def __init__(self, breaker: Breaker, window: Window) -> None:
        self.breaker, self.window = breaker, window

    @asynccontextmanager
    async def call(self, patience: float) -> AsyncIterator[Call]:
        """Raise `Closed` where asking is pointless.

        The breaker is asked after the wait for a place: it may have opened meanwhile.
        """
        if self.breaker.state() == "open":
            raise Closed
        try:
            place = await self.window.enter(patience)
        except TimeoutError:
            raise Closed from None
        permit = self.breaker.ask()
        try:
            if permit is None:
                raise Closed
            yield Call(permit, place, self.window)
        finally:
            place.leave()
            if permit:
                permit.returned()


class RetryBudget:
    """A tenth of a retry is earned by each call, so that retries never multiply an outage."""

    def __init__(self, share: float = 0.1, most: float = 10.0) -> None:
        self._share, self._most, self._left = share, most, 1.0

    def earn(self) -> None:
        self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
