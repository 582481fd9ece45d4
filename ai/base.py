"""What Carehelp asks of a provider of models: five verbs, all optional, and how each may fail."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from django.conf import settings

from ai.language import claims
from carehelp.errors import CarehelpError

VERBS = ("chat_stream", "transcribe", "describe", "translate", "embed")


@dataclass(frozen=True, slots=True)
class Media:
    """An upload that `ai.media` has looked at: its bytes, and what they really are."""

    data: bytes
    mime_type: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """`language` is a code as in `ai.language`, or "" where the model does not say."""

    text: str
    language: str
    duration_s: float


class ProviderError(CarehelpError):
    """A provider did not do what it was asked; the ladder goes on to the next.

    `reason` is what a patient's client is told, `counts` whether the breaker hears of it,
    `opens_for` seconds for which asking again is pointless, `whole_provider` whether its other
    models would fail alike, `again` whether the same question may succeed at once.
    """

    status, code, title = 502, "provider_failed", "The model's provider failed"
    retryable = True
    reason: ClassVar[str] = "provider_down"
    counts: ClassVar[bool] = True
    opens_for: ClassVar[float] = 0.0
    whole_provider: ClassVar[bool] = False
    again: ClassVar[bool] = False


class Unsupported(ProviderError):
    """This provider or model cannot do that: no language code, no images, no such verb."""

    status, code, title = 501, "not_offered", "Nothing configured here can do this"
    retryable, counts = False, False


class Declined(ProviderError):
    """Our request was at fault: too long, malformed, filtered. Says nothing about health."""

    code, title, counts = "provider_declined", "The model's provider declined the request", False


class QuotaExhausted(ProviderError):
    """402: paid credit is used up. Normal on free accounts; passes with the month or a payment."""

    code, title = "quota", "The model's credit is used up"
    reason, opens_for, whole_provider = "quota", 600.0, True


class RateLimited(ProviderError):
    """429; `retry_after` seconds as the provider asks."""

    code, title = "rate_limited", "The model's provider asks us to wait"
    reason, opens_for, whole_provider = "rate_limited", 10.0, True


class Refused(ProviderError):
    """401 or 403: the key is wrong, or lacks a right."""

    title, opens_for, whole_provider = "The model's provider refuses our key", 60.0, True


class ModelMissing(ProviderError):
    """Nobody serves this model, or it has not been pulled."""

    title, opens_for = "The model is not served", 60.0


class Unreachable(ProviderError):
    title, whole_provider, again = "The model's provider cannot be reached", True, True


class ServerFault(ProviderError):
    """5xx, or a connection cut before the answer was whole."""

    title, again = "The model's provider has a fault", True


class TooSlow(ProviderError):
    title = "The model's provider took too long"


class BadAnswer(ProviderError):
    """Bytes that are not the dialect: not JSON, the wrong content type, nothing at all."""

    title = "The model's provider sent something unreadable"


class Provider:
    """Override the verbs you can do; the rest raise `Unsupported`.

    One instance serves one model on one event loop. Importing the class must be cheap: load the
    service's client when first used, in a thread. Raise the errors above and nothing else; stop
    when the generator is closed, and leave nothing open upstream.
    """

    name: ClassVar[str]
    abroad: ClassVar[bool]
    concurrency: ClassVar[int] = 500

    def __init__(self, model: str = "") -> None:
        self.model = model

    @classmethod
    def supports(cls, verb: str) -> bool:
        """True where the verb is overridden: no flag to forget."""
        return getattr(cls, verb) is not getattr(Provider, verb)

    @classmethod
    def models(cls, verb: str) -> Sequence[str]:
        """Model names for the verb, the best first; each is a rung of the ladder."""
        return ("",)

    @classmethod
    def lacks(cls, verb: str, model: str) -> str:
        """What an operator has to set before this provider can be asked; "" where nothing."""
        return ""

    @classmethod
    def goes_abroad(cls, verb: str, model: str) -> bool:
        """Whether patients' words leave the operator's own machines."""
        return cls.abroad

    @classmethod
    def context_tokens(cls, model: str) -> int:
        """How much a chat model reads and writes in all; a longer prompt is refused, or cut."""
        return settings.AI_CONTEXT_TOKENS

    @classmethod
    def languages(cls, verb: str, model: str) -> dict[str, str]:
        """Language code to "verified" or "experimental"; see ai/data/languages.toml."""
        return claims(verb, model)

    def chat_stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        """Yield the answer in pieces, as they arrive."""
        raise Unsupported(f"{self.name} cannot chat.")

    async def transcribe(self, audio: Media, *, language: str | None) -> Transcript:
        raise Unsupported(f"{self.name} cannot transcribe.")

    async def describe(self, image: Media, *, question: str, language: str) -> str:
        raise Unsupported(f"{self.name} cannot look at pictures.")

    async def translate(self, text: str, *, source: str | None, target: str) -> str:
        raise Unsupported(f"{self.name} cannot translate.")

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"]
    ) -> list[list[float]]:
        """One vector a text, in order."""
        raise Unsupported(f"{self.name} cannot embed.")

    async def warm_up(self) -> None:
        """Load what the first question would otherwise wait for."""

    async def close(self) -> None:
        """Close what was opened."""


def listed(value: str | Sequence[str]) -> list[str]:
    """A comma-separated setting, or a list already, as a list without blanks."""
    parts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in parts if part.strip()]


def at_home(url: str) -> bool:
    """Whether an address is on the operator's own network: loopback, private, or named as such."""
    host = (urlsplit(url).hostname or "").lower()
    if host in settings.AI_HOME_HOSTS:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))
    return address.is_loopback or address.is_private
