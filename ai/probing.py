"""Asks each rung something small and harmless, to tell an operator what works."""

from __future__ import annotations

import asyncio
import io
import math
import struct
import time
import wave
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from ai.base import (
    ChatMessage,
    Media,
    Provider,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Refused,
    Unreachable,
)
from ai.rungs import Rung


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `manage.py ai_check`; `seconds` is None where nothing was answered.

    `model` is the one that answered, also where a placeholder was asked for.
    """

    verb: str
    provider: str
    model: str
    abroad: bool
    works: bool
    seconds: float | None
    what_to_do: str


async def probe(rung: Rung) -> Finding:
    """Ask one rung. The ladder's breaker is neither asked nor told."""
    if rung.lacks:
        return _finding(rung, works=False, seconds=None, what_to_do=rung.lacks)
    provider = rung.cls(rung.model)
    started = time.monotonic()
    try:
        async with asyncio.timeout(rung.total):
            await _QUESTIONS[rung.verb](provider)
    except (ProviderError, TimeoutError) as error:
        return _finding(rung, works=False, seconds=None, what_to_do=_advice(rung, error))
    except Exception as error:
        # Someone else's provider may raise anything; the others are still worth asking.
        return _finding(
            rung, works=False, seconds=None, what_to_do=f"{type(error).__name__}: {error}"
        )
    finally:
        await provider.close()
    seconds = time.monotonic() - started
    return Finding(rung.verb, rung.provider, provider.model, rung.abroad, True, seconds, "")


def _finding(rung: Rung, **found: Any) -> Finding:
    return Finding(rung.verb, rung.provider, rung.model, rung.abroad, **found)


def _advice(rung: Rung, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {rung.total:.0f} s"
    return f"{error}. {_ADVICE.get(type(error), '')}".strip(". ")


_ADVICE: dict[type[Exception], str] = {
    QuotaExhausted: "Buy credit, wait for the month's end, or add another provider to the ladder",
    RateLimited: "Wait, or add another provider to the ladder",
    Refused: "Set another key, or give this one the right to call models",
    Unreachable: "Start it, or correct its address (see .env.example)",
}


async def _chat(provider: Provider) -> None:
    pieces: Any = provider.chat_stream([ChatMessage("user", "Dites bonjour.")])
    async with aclosing(pieces):
        async for piece in pieces:
            if piece:
                return


async def _transcribe(provider: Provider) -> None:
    await provider.transcribe(Media(_tone(), "audio/wav"), language="fr")


async def _describe(provider: Provider) -> None:
    await provider.describe(Media(_square(), "image/jpeg"), question="?", language="fr")


async def _translate(provider: Provider) -> None:
    await provider.translate("Bonjour", source="fr", target="en")


async def _embed(provider: Provider) -> None:
    await provider.embed(["fièvre"], kind="query")


_QUESTIONS: dict[str, Callable[[Provider], Awaitable[None]]] = {
    "chat_stream": _chat,
    "transcribe": _transcribe,
    "describe": _describe,
    "translate": _translate,
    "embed": _embed,
}


def _tone() -> bytes:
    out = io.BytesIO()
    rate = 16_000
    with wave.open(out, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(rate)
        samples = (int(8000 * math.sin(n / rate * 2 * math.pi * 440)) for n in range(rate))
        recording.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return out.getvalue()


def _square() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "JPEG")
    return out.getvalue()
