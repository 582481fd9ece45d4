"""Which providers do a verb, in which order, and what happens when they do not.

`open_chat` and the four verbs below are what the rest of Carehelp calls. A rung is one model of one
provider. The ladder goes down a rung only while nothing has been said; after the first word a
failure is a `CutOff`, and what was said is kept by the caller.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Generic, Literal, TypeVar
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

from ai import wire
from ai.base import (
    BadAnswer,
    ChatMessage,
    Media,
    Provider,
    ProviderError,
    ServerFault,
    TooSlow,
    Transcript,
    Unsupported,
    listed,
)
from ai.breaker import Breaker, Call, Closed, Gate, RetryBudget, Window
from ai.language import codes
from ai.pseudonyms import Pseudonyms
from carehelp.errors import CarehelpError

log = logging.getLogger(__name__)

Reason = Literal["no_provider", "no_consent", "minor", "provider_down", "quota", "rate_limited"]
T = TypeVar("T")

CHOSEN_BY = {
    "chat_stream": "AI_CHAT",
    "transcribe": "AI_TRANSCRIBE",
    "describe": "AI_DESCRIBE",
    "translate": "AI_TRANSLATE",
    "embed": "AI_EMBED",
}


class NobodyAnswered(CarehelpError):
    """No rung could answer before its first word. `reason` is one of `Reason`."""

    status, code, title = 503, "no_answer", "No model can answer right now"
    retryable = True

    def __init__(self, reason: Reason, *, retry_after: float | None = None) -> None:
        super().__init__(retry_after=retry_after, reason=reason)
        self.reason = reason


class NobodyOffers(NobodyAnswered):
    """Nothing configured does the verb."""

    status, code, title = 501, "not_offered", "Nothing configured here can do this"
    retryable = False


class ConsentNeeded(NobodyAnswered):
    """Only providers abroad could, and they may not be asked for this patient."""

    status, code, title = 403, "consent_needed", "This would leave the country, without consent"
    retryable = False


class CutOff(CarehelpError):
    """The answer stopped after its first word; what was said stays said."""

    status, code, title = 502, "cut_off", "The model stopped in the middle of its answer"
    retryable = True

    def __init__(self, cause: ProviderError) -> None:
        super().__init__(cause.detail, reason=cause.reason)
        self.reason = cause.reason


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """What a verb returned, and who did it. `reason` says why the first rung did not."""

    result: T
    provider: str
    model: str
    fell_back: bool
    reason: str | None


@dataclass(eq=False)
class Rung:
    """One model of one provider for one verb. The breaker is the process's, the rest a loop's."""

    verb: str
    provider: str
    model: str
    cls: type[Provider]
    breaker: Breaker
    retries: RetryBudget

    @property
    def abroad(self) -> bool:
        return self.cls.goes_abroad(self.verb, self.model)

    @property
    def lacks(self) -> str:
        return self.cls.lacks(self.verb, self.model)

    @property
    def first_word(self) -> float:
        """Seconds to wait for the first word, or for a whole answer that does not stream."""
        if self.abroad:
            return settings.AI_FIRST_WORD_SECONDS_ABROAD
        return settings.AI_FIRST_WORD_SECONDS_LOCAL

    @property
    def total(self) -> float:
        return settings.AI_TOTAL_SECONDS_ABROAD if self.abroad else settings.AI_TOTAL_SECONDS_LOCAL

    def patience(self) -> float:
        """Seconds until the first result: a verb that does not stream may take all its time."""
        return self.first_word if self.verb == "chat_stream" else self.total

    def instance(self) -> Provider:
        mine = _instances.setdefault(asyncio.get_running_loop(), {})
        if self not in mine:
            mine[self] = self.cls(self.model)
        return mine[self]

    def gate(self) -> Gate:
        return Gate(self.breaker, _window(self.provider, self.cls))

    def state(self) -> dict[str, Any]:
        """For health and the desk: no network is touched."""
        lacks = self.lacks
        error = self.breaker.last_error
        return {
            "provider": self.provider,
            "model": self.model,
            "abroad": self.abroad,
            "state": "not_configured" if lacks else self.breaker.state(),
            "reason": lacks or (f"{error.code}: {error.detail}".strip(": ") if error else None),
            "retry_after": round(self.breaker.retry_after) or None,
        }


_instances: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Rung, Provider]]
_instances = WeakKeyDictionary()
_windows: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Window]] = WeakKeyDictionary()


def _window(provider: str, cls: type[Provider]) -> Window:
    """A provider's calls on this loop share one window, whatever the verb and the model."""
    mine = _windows.setdefault(asyncio.get_running_loop(), {})
    if provider not in mine:
        most = int(settings.AI_CONCURRENCY.get(provider, cls.concurrency))
        mine[provider] = Window(settings.AI_UNPROVEN_CALLS, most)
    return mine[provider]


class Ladder:
    """The rungs of one verb, the first to be asked first."""

    def __init__(self, verb: str, rungs: Sequence[Rung]) -> None:
        self.verb, self.rungs = verb, tuple(rungs)

    def states(self) -> list[dict[str, Any]]:
        return [rung.state() for rung in self.rungs]

    def ready(self) -> bool:
        """Whether some rung is configured and not known to be down."""
        return any(state["state"] in ("ok", "half_open") for state in self.states())

    def context_tokens(self) -> int:
        """What fits every model that may be asked: the same prompt goes down the ladder."""
        rungs = self.configured()
        sizes = [rung.cls.context_tokens(rung.model) for rung in rungs]
        return min(sizes, default=settings.AI_CONTEXT_TOKENS)

    def configured(self) -> list[Rung]:
        return [rung for rung in self.rungs if not rung.lacks]


def languages() -> dict[str, dict[str, str]]:
    """Language to verb to the best claim of any configured rung; verbs nobody does are left out."""
    found: dict[str, dict[str, str]] = {code: {} for code in codes()}
    for verb in ("chat_stream", "transcribe", "describe", "translate"):
        for rung in ladder(verb).configured():
            for code, claim in rung.cls.languages(verb, rung.model).items():
                if found.setdefault(code, {}).get(verb) != "verified":
                    found[code][verb] = claim
    return found


def names(verb: str) -> list[str]:
    """Provider names chosen for the verb; `offline` stands for none."""
    return [name for name in listed(getattr(settings, CHOSEN_BY[verb])) if name != "offline"]


def provider_class(name: str) -> type[Provider]:
    """Raise `KeyError` for a name nobody knows, `ImportError` for a path that leads nowhere."""
    return import_string(settings.AI_PROVIDERS[name])


@cache
def ladder(verb: str) -> Ladder:
    return Ladder(verb, [rung for name in names(verb) for rung in _rungs(verb, name)])


def _rungs(verb: str, name: str) -> list[Rung]:
    cls = provider_class(name)
    if not cls.supports(verb):
        return []
    return [_rung(verb, name, model, cls) for model in cls.models(verb)]


def _rung(verb: str, name: str, model: str, cls: type[Provider]) -> Rung:
    breaker = Breaker(settings.AI_BREAKER_FAILURES, settings.AI_BREAKER_SECONDS)
    return Rung(verb, name, model, cls, breaker, RetryBudget())


def forget() -> None:
    """Read the settings anew; breakers and windows start afresh."""
    ladder.cache_clear()
    _windows.clear()


@receiver(setting_changed)
def _settings_changed(*, setting: str, **_: Any) -> None:
    if setting.split("_")[0] in {"AI", "HF", "OLLAMA", "LMSTUDIO", "OPENAI", "LOCAL"}:
        forget()


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

    def __iter__(self) -> Any:
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


async def _attempt(
    walk: Walk, rung: Rung, call: Call, ask: Callable[[Provider], Awaitable[T]]
) -> T:
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
        _report(rung.provider, error)
        raise ServerFault(f"{rung.provider}: {type(error).__name__}") from error


def _report(provider: str, error: Exception) -> None:
    """Where it happened, and not its message, which may hold a patient's words."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{frame.filename}:{frame.lineno}"
    log.error("%s raised %s at %s", provider, type(error).__name__, where)


async def _ask(walk: Walk, ask: Callable[[Rung, Provider], Awaitable[T]]) -> Answered[T]:
    """The first rung's answer, whole."""
    for rung in walk:
        try:
            async with rung.gate().call(settings.AI_PLACE_SECONDS) as call:
                result = await _attempt(walk, rung, call, partial(ask, rung))
                call.succeeded()
                return Answered(result, rung.provider, rung.instance().model, *walk.credit(rung))
        except Closed:
            walk.closed(rung)
        except ProviderError:
            continue
    raise walk.nobody()


class Answer:
    """An answer that has begun. Iterate it once; leave the context to stop it."""

    def __init__(
        self, walk: Walk, rung: Rung, call: Call, first: str, rest: AsyncIterator[str]
    ) -> None:
        self.provider, self.model = rung.provider, rung.instance().model
        self.fell_back, self.reason = walk.credit(rung)
        self._call = call
        self._first, self._rest = first, rest
        self._watch = Watch(settings.AI_BETWEEN_WORDS_SECONDS, walk.deadline(rung))

    async def __aiter__(self) -> AsyncIterator[str]:
        yield self._first
        try:
            while True:
                with self._watch:
                    piece = await anext(self._rest)
                if piece:
                    yield piece
        except StopAsyncIteration:
            return
        except CarehelpError as error:
            raise self._cut_off(error) from error
        except Exception as error:
            _report(self.provider, error)
            raise self._cut_off(ServerFault(type(error).__name__)) from error

    def end(self) -> None:
        self._watch.end()

    def _cut_off(self, error: CarehelpError) -> CutOff:
        cause = error if isinstance(error, ProviderError) else ServerFault(str(error))
        self._call.failed(cause)
        return CutOff(cause)


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


async def _piece(pieces: AsyncIterator[str]) -> str:
    """The next piece that holds something, "" at the end."""
    try:
        while not (piece := await anext(pieces)):
            pass
    except StopAsyncIteration:
        return ""
    return piece


@asynccontextmanager
async def open_chat(
    messages: Sequence[ChatMessage],
    *,
    abroad: bool,
    reason_if_not_abroad: Reason = "no_consent",
    known_names: Sequence[str] = (),
) -> AsyncIterator[Answer]:
    """Enter with the first word already there.

    `abroad` says whether providers abroad may be asked. `known_names` (the patient's own) are
    replaced before anything goes there, besides what `ai.pseudonyms` recognises by itself. Raises
    `NobodyAnswered` on entering, `CutOff` while iterating. Leaving early closes the upstream and
    is nobody's failure.
    """
    walk = Walk("chat_stream", abroad=abroad, if_not_abroad=reason_if_not_abroad)
    for rung in walk:
        async with AsyncExitStack() as stack:
            if answer := await _begin(stack, walk, rung, _Begin(messages, rung, known_names)):
                yield answer
                return
    raise walk.nobody()


async def _begin(stack: AsyncExitStack, walk: Walk, rung: Rung, begin: _Begin) -> Answer | None:
    """The rung's answer with its first word, or None; `stack` ends what was begun."""
    try:
        call = await stack.enter_async_context(rung.gate().call(settings.AI_PLACE_SECONDS))
        stack.push_async_callback(begin.close)
        first = await _attempt(walk, rung, call, begin)
    except Closed:
        walk.closed(rung)
        return None
    except ProviderError:
        return None
    call.succeeded()
    answer = Answer(walk, rung, call, first, begin.pieces)
    stack.callback(answer.end)
    return answer


class _Begin:
    """Opens a stream and gets its first word; may be called again where the first try failed."""

    def __init__(self, messages: Sequence[ChatMessage], rung: Rung, names: Sequence[str]) -> None:
        self._pseudonyms = Pseudonyms(names) if rung.abroad else None
        self._messages = self._pseudonyms.of_messages(messages) if self._pseudonyms else messages
        self.pieces: AsyncIterator[str] = _nothing()

    async def __call__(self, provider: Provider) -> str:
        await self.close()
        self.pieces = provider.chat_stream(self._messages)
        if self._pseudonyms:
            self.pieces = self._pseudonyms.restored(self.pieces)
        first = await _piece(self.pieces)
        if not first:
            raise BadAnswer("an empty answer")
        return first

    async def close(self) -> None:
        await close_stream(self.pieces)


async def close_stream(pieces: AsyncIterator[str]) -> None:
    if close := getattr(pieces, "aclose", None):
        await close()


async def _nothing() -> AsyncIterator[str]:
    return
    yield


async def transcribe(
    audio: Media,
    *,
    language: str | None,
    abroad: bool,
    reason_if_not_abroad: Reason = "no_consent",
) -> Answered[Transcript]:
    """Speech to text. A voice cannot be made nameless: `abroad` is all that protects it."""
    walk = Walk("transcribe", abroad=abroad, if_not_abroad=reason_if_not_abroad)
    return await _ask(walk, lambda _, provider: provider.transcribe(audio, language=language))


async def describe(
    image: Media,
    *,
    question: str,
    language: str,
    abroad: bool,
    reason_if_not_abroad: Reason = "no_consent",
    known_names: Sequence[str] = (),
) -> Answered[str]:
    """A picture in words, in `language` where the model can."""
    walk = Walk("describe", abroad=abroad, if_not_abroad=reason_if_not_abroad)

    async def ask(rung: Rung, provider: Provider) -> str:
        hidden = Pseudonyms(known_names) if rung.abroad else None
        asked = hidden.of(question) if hidden else question
        said = await provider.describe(image, question=asked, language=language)
        return hidden.restore(said) if hidden else said

    return await _ask(walk, ask)


async def translate(
    text: str,
    *,
    source: str | None,
    target: str,
    abroad: bool,
    reason_if_not_abroad: Reason = "no_consent",
    known_names: Sequence[str] = (),
) -> Answered[str]:
    walk = Walk("translate", abroad=abroad, if_not_abroad=reason_if_not_abroad)

    async def ask(rung: Rung, provider: Provider) -> str:
        hidden = Pseudonyms(known_names) if rung.abroad else None
        asked = hidden.of(text) if hidden else text
        said = await provider.translate(asked, source=source, target=target)
        return hidden.restore(said) if hidden else said

    return await _ask(walk, ask)


async def embed(
    texts: Sequence[str],
    *,
    kind: Literal["query", "passage"],
    abroad: bool,
    reason_if_not_abroad: Reason = "no_consent",
) -> Answered[list[list[float]]]:
    walk = Walk("embed", abroad=abroad, if_not_abroad=reason_if_not_abroad)

    async def ask(rung: Rung, provider: Provider) -> list[list[float]]:
        hidden = Pseudonyms() if rung.abroad else None
        asked = [hidden.of(text) for text in texts] if hidden else texts
        return await provider.embed(asked, kind=kind)

    return await _ask(walk, ask)


async def close() -> None:
    """Close what this loop opened: clients, connections."""
    for provider in _instances.pop(asyncio.get_running_loop(), {}).values():
        await provider.close()
    await wire.close()


async def warm_up(verb: str = "chat_stream") -> None:
    """Load clients, and a local model, ahead of the first question. Never raises."""
    for rung in ladder(verb).configured():
        try:
            await rung.instance().warm_up()
        except ProviderError as error:
            log.warning("%s %s is not ready: %s", rung.provider, rung.model, error)
