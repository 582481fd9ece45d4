"""Which models do a verb, in which order: settings, read once, with what each model's past teaches.

A rung is one model of one provider. Breakers are the process's; clients and windows are an event
loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

from ai.base import Provider, listed
from ai.breaker import Breaker, Gate, RetryBudget, Window
from ai.language import codes

CHOSEN_BY = {
    "chat_stream": "AI_CHAT",
    "transcribe": "AI_TRANSCRIBE",
    "describe": "AI_DESCRIBE",
    "translate": "AI_TRANSLATE",
    "embed": "AI_EMBED",
}


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
    return Ladder(verb, [rung for name in names(verb) for rung in of_provider(verb, name)])


def of_provider(verb: str, name: str) -> list[Rung]:
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


async def close_clients() -> None:
    """Close the clients that this loop opened."""
    for provider in _instances.pop(asyncio.get_running_loop(), {}).values():
        await provider.close()
