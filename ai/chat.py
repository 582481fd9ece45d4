"""A model's answer as it is said: a stream that may still fall back before its first word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from django.conf import settings

from ai.base import BadAnswer, ChatMessage, Provider, ProviderError, ServerFault, TooSlow
from ai.breaker import Call, Closed
from ai.outcome import CutOff, Reason
from ai.pseudonyms import Pseudonyms
from ai.rungs import Rung
from ai.walk import Walk, attempt, report
from carehelp.errors import CarehelpError
from carehelp.watch import Watch


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
        except TimeoutError as error:
            raise self._cut_off(TooSlow("silent for too long")) from error
        except CarehelpError as error:
            raise self._cut_off(error) from error
        except Exception as error:
            report(self.provider, error)
            raise self._cut_off(ServerFault(type(error).__name__)) from error

    def end(self) -> None:
        self._watch.end()

    def _cut_off(self, error: CarehelpError) -> CutOff:
        cause = error if isinstance(error, ProviderError) else ServerFault(str(error))
        self._call.failed(cause)
        return CutOff(cause)


async def _begin(stack: AsyncExitStack, walk: Walk, rung: Rung, begin: _Begin) -> Answer | None:
    """The rung's answer with its first word, or None; `stack` ends what was begun."""
    try:
        call = await stack.enter_async_context(rung.gate().call(settings.AI_PLACE_SECONDS))
        stack.push_async_callback(begin.close)
        first = await attempt(walk, rung, call, begin)
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


async def _piece(pieces: AsyncIterator[str]) -> str:
    """The next piece that holds something, "" at the end."""
    try:
        while not (piece := await anext(pieces)):
            pass
    except StopAsyncIteration:
        return ""
    return piece


async def close_stream(pieces: AsyncIterator[str]) -> None:
    if close := getattr(pieces, "aclose", None):
        await close()


async def _nothing() -> AsyncIterator[str]:
    return
    yield
