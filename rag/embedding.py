"""Texts to vectors, by the provider that `settings.EMBEDDINGS` names, or `settings.AI_EMBED`.

Only a provider at home will do: every question of every patient goes through here, whatever they
have agreed to. The default is the model that runs inside this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal
from weakref import WeakKeyDictionary

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ai.base import Provider, listed

_instances: WeakKeyDictionary[asyncio.AbstractEventLoop, Provider] = WeakKeyDictionary()


def provider_name() -> str:
    """`EMBEDDINGS`; without it the first of `AI_EMBED` that is at home, else the model in here."""
    named = [name for name in listed(settings.AI_EMBED) if name in settings.AI_PROVIDERS]
    return settings.EMBEDDINGS or next(filter(_at_home, named), "local")


def _at_home(name: str) -> bool:
    cls: type[Provider] = import_string(settings.AI_PROVIDERS[name])
    return cls.supports("embed") and not cls.goes_abroad("embed", cls.models("embed")[0])


def provider_class() -> type[Provider]:
    """The configured provider. Raises `ImproperlyConfigured` for one that is abroad or unknown."""
    name = provider_name()
    if name not in settings.AI_PROVIDERS:
        raise ImproperlyConfigured(f"EMBEDDINGS={name}: no such provider in AI_PROVIDERS")
    if not _at_home(name):
        raise ImproperlyConfigured(
            f"EMBEDDINGS={name}: patients' questions would leave the country"
        )
    cls: type[Provider] = import_string(settings.AI_PROVIDERS[name])
    return cls


def enabled() -> bool:
    """False with `EMBEDDINGS=none`, or where the provider cannot run here."""
    if settings.EMBEDDINGS == "none":
        return False
    cls = provider_class()
    return not cls.lacks("embed", cls.models("embed")[0])


def model_name() -> str:
    """What vectors of the configured provider are kept under."""
    return f"{provider_name()}/{provider_class().models('embed')[0]}"


async def embed(texts: Sequence[str], kind: Literal["query", "passage"]) -> list[list[float]]:
    """One vector a text. Raises `ai.base.ProviderError`."""
    loop = asyncio.get_running_loop()
    if loop not in _instances:
        cls = provider_class()
        _instances[loop] = cls(cls.models("embed")[0])
    return await _instances[loop].embed(texts, kind=kind)


embed_now = async_to_sync(embed)
"""The same for commands and the admin, outside an event loop."""


async def warm_up() -> None:
    """Load the model, so that the first question need not wait for it."""
    if enabled():
        await embed(["."], "query")
