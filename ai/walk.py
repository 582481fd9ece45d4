"""One question on its way down a ladder: who may be asked, for how long, and who failed and why."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TypeVar

from django.conf import settings

from ai.base import Provider, ProviderError, ServerFault, TooSlow, Unsupported
from ai.breaker import Call, Closed
from ai.outcome import Answered, ConsentNeeded, NobodyAnswered, NobodyOffers, Reason
from ai.rungs import Rung, ladder

log = logging.getLogger(__name__)

T = TypeVar("T")


class Walk:
    """One question on its way down a ladder: who may be asked, who failed, and why."""

    def __init__(self, verb: str, *, abroad: bool, if_not_abroad: Reason) -> None:
        configured = ladder(verb).configured()
        self.first = configured[0] if configured else None
        self.rungs = [rung for rung in configured if abroad or not rung.abroad]
        self.started = asyncio.get_running_loop().time()
        self._if_not_abroad = if_not_abroad
        self._reasons: list[tuple[str, float | None]] = []
        self._only_unsupported = True
        self._down: set[str] = set()
        if self.first and self.first not in self.rungs:
            self._passed_over: str | None = if_not_abroad
        else:
            self._passed_over = None

    def __iter__(self) -> Iterator[Rung]:
        return (rung for rung in self.rungs if rung.provider not in self._down)

    def note(self, rung: Rung, error: ProviderError) -> None:
        log.info("%s %s: %s %s", rung.provider, rung.verb, type(error).__name__, error.detail)
        self._reasons.append((error.reason, error.retry_after))
        self._only_unsupported &= isinstance(error, Unsupported)
        if error.whole_provider:
            self._down.add(rung.provider)

    def closed(self, rung: Rung) -> None:
        self._only_unsupported = False
        error = rung.breaker.last_error
        reason = error.reason if error else "provider_down"
        self._reasons.append((reason, rung.breaker.retry_after or None))
        if error and error.whole_provider and rung.breaker.open:
            self._down.add(rung.provider)

    def credit(self, rung: Rung) -> tuple[bool, str | None]:
        """(fell_back, reason) for an answer by `rung`."""
        if self.first is None or rung.provider == self.first.provider:
            return False, None
        return True, self._passed_over or (self._reasons[0][0] if self._reasons else None)

    def nobody(self) -> NobodyAnswered:
        if self.first is None:
            return NobodyOffers("no_provider")
        if not self.rungs:
            return ConsentNeeded(self._if_not_abroad)
        if self._only_unsupported:
            return NobodyOffers("no_provider")
        reason, retry_after = self._reasons[0] if self._reasons else ("provider_down", None)
        wait = retry_after or settings.AI_BREAKER_SECONDS
        return NobodyAnswered(reason, retry_after=wait)  # type: ignore[arg-type]

    def deadline(self, rung: Rung) -> float:
        """When `rung` must be done with everything, on the loop's clock."""
        return self.started + rung.total


async def attempt(walk: Walk, rung: Rung, call: Call, ask: Callable[[Provider], Awaitable[T]]) -> T:
    """Ask once, and once more where that may help and the budget allows it."""
    rung.retries.earn()
    for last in (False, True):
        try:
            return await _timed(walk, rung, ask)
        except ProviderError as error:
            call.failed(error)
            if last or not error.again or rung.breaker.open or not rung.retries.spend():
                walk.note(rung, error)
                raise
            await asyncio.sleep(random.uniform(0, 0.3))
    raise AssertionError("unreachable")


async def _timed(walk: Walk, rung: Rung, ask: Callable[[Provider], Awaitable[T]]) -> T:
    loop = asyncio.get_running_loop()
    end = min(loop.time() + rung.patience(), walk.deadline(rung))
    try:
        async with asyncio.timeout_at(end):
            return await ask(rung.instance())
    except ProviderError:
        raise
    except TimeoutError:
        raise TooSlow(f"{rung.provider} said nothing in time") from None
    except Exception as error:
        # Someone else's package, or a client whose exceptions we have not met: a fault like others.
        report(rung.provider, error)
        raise ServerFault(f"{rung.provider}: {type(error).__name__}") from error


def report(provider: str, error: Exception) -> None:
    """Where it happened, and not its message, which may hold a patient's words."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{frame.filename}:{frame.lineno}"
    log.error("%s raised %s at %s", provider, type(error).__name__, where)


async def ask_in_turn(walk: Walk, ask: Callable[[Rung, Provider], Awaitable[T]]) -> Answered[T]:
    """The first rung's answer, whole."""
    for rung in walk:
        try:
            async with rung.gate().call(settings.AI_PLACE_SECONDS) as call:
                result = await attempt(walk, rung, call, partial(ask, rung))
                call.succeeded()
                return Answered(result, rung.provider, rung.instance().model, *walk.credit(rung))
        except Closed:
            walk.closed(rung)
        except ProviderError:
            continue
    raise walk.nobody()
