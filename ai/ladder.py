"""What the rest of Carehelp asks of models: five verbs, each down its ladder of providers.

A ladder goes down a rung only while nothing has been said; after the first word a failure is a
`CutOff`, and what was said is kept by the caller. `abroad` says whether providers abroad may be
asked. Where they are, names and numbers stay here: `known_names` are the patient's own.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from ai import wire
from ai.base import Media, Provider, ProviderError, Transcript
from ai.chat import open_chat
from ai.outcome import Answered, ConsentNeeded, CutOff, NobodyAnswered, NobodyOffers, Reason
from ai.pseudonyms import Pseudonyms
from ai.rungs import Rung, close_clients, forget, ladder, languages
from ai.walk import Walk, ask_in_turn

__all__ = [
    "Answered",
    "ConsentNeeded",
    "CutOff",
    "NobodyAnswered",
    "NobodyOffers",
    "Reason",
    "close",
    "describe",
    "embed",
    "forget",
    "ladder",
    "languages",
    "open_chat",
    "transcribe",
    "translate",
    "warm_up",
]

log = logging.getLogger(__name__)


async def transcribe(
    audio: Media,
    *,
    language: str | None,
    abroad: bool,
    reason_if_not_abroad: Reason = "no_consent",
) -> Answered[Transcript]:
    """Speech to text. A voice cannot be made nameless: `abroad` is all that protects it."""
    walk = Walk("transcribe", abroad=abroad, if_not_abroad=reason_if_not_abroad)
    return await ask_in_turn(
        walk, lambda _, provider: provider.transcribe(audio, language=language)
    )


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

    def ask(provider: Provider, question: str) -> Awaitable[str]:
        return provider.describe(image, question=question, language=language)

    return await ask_in_turn(walk, _without_names(question, known_names, ask))


async def translate(
    text: str,
    *,
    source: str | None,
    target: str,
    abroad: bool,
    reason_if_not_abroad: Reason = "no_consent",
    known_names: Sequence[str] = (),
) -> Answered[str]:
    """`source` is None where nobody knows it."""
    walk = Walk("translate", abroad=abroad, if_not_abroad=reason_if_not_abroad)

    def ask(provider: Provider, text: str) -> Awaitable[str]:
        return provider.translate(text, source=source, target=target)

    return await ask_in_turn(walk, _without_names(text, known_names, ask))


async def embed(
    texts: Sequence[str],
    *,
    kind: Literal["query", "passage"],
    abroad: bool,
    reason_if_not_abroad: Reason = "no_consent",
) -> Answered[list[list[float]]]:
    """One vector a text, in order."""
    walk = Walk("embed", abroad=abroad, if_not_abroad=reason_if_not_abroad)

    async def ask(rung: Rung, provider: Provider) -> list[list[float]]:
        hidden = Pseudonyms() if rung.abroad else None
        asked = [hidden.of(text) for text in texts] if hidden else texts
        return await provider.embed(asked, kind=kind)

    return await ask_in_turn(walk, ask)


def _without_names(
    words: str, names: Sequence[str], ask: Callable[[Provider, str], Awaitable[str]]
) -> Callable[[Rung, Provider], Awaitable[str]]:
    """`ask(provider, words)`; abroad with marks for names, which are names again in what is said."""

    async def asked(rung: Rung, provider: Provider) -> str:
        if not rung.abroad:
            return await ask(provider, words)
        hidden = Pseudonyms(names)
        return hidden.restore(await ask(provider, hidden.of(words)))

    return asked


async def close() -> None:
    """Close what this loop opened: clients, connections."""
    await close_clients()
    await wire.close()


async def warm_up(verb: str = "chat_stream") -> None:
    """Load clients, and a local model, ahead of the first question. Never raises."""
    for rung in ladder(verb).configured():
        try:
            await rung.instance().warm_up()
        except ProviderError as error:
            log.warning("%s %s is not ready: %s", rung.provider, rung.model, error)
