"""Does each provider chosen in the settings exist, and do the verb it was chosen for?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from ai import rungs
from ai.base import VERBS


@register()
def chosen_providers_can_do_their_verbs(**_: Any) -> list[CheckMessage]:
    return [message for verb in VERBS for message in _verb(verb)]


def _verb(verb: str) -> Iterator[CheckMessage]:
    setting = rungs.CHOSEN_BY[verb]
    for name in rungs.names(verb):
        try:
            cls = rungs.provider_class(name)
        except KeyError:
            known = ", ".join(sorted([*settings.AI_PROVIDERS, "offline"]))
            yield Error(
                f"{setting} names {name!r}, which nobody knows.",
                hint=f"One of: {known}. Your own: AI_PROVIDERS=name=package.module.Class.",
                id="ai.E001",
            )
        except ImportError as error:
            yield Error(f"{setting}: {name!r} cannot be imported: {error}.", id="ai.E002")
        else:
            # AI_PROVIDER alone stands for all verbs, and need not do each.
            if not cls.supports(verb) and getattr(settings, setting) != settings.AI_PROVIDER:
                yield Error(f"{setting}: {name!r} does not do this.", id="ai.E003")


@register(deploy=True)
def some_provider_can_chat(**_: Any) -> list[CheckMessage]:
    """Without any, answers are composed from guidance alone: allowed, and worth saying."""
    if not rungs.names("chat_stream") or rungs.ladder("chat_stream").configured():
        return []
    lacks = "; ".join(f"{r.provider}: {r.lacks}" for r in rungs.ladder("chat_stream").rungs)
    return [
        Warning(
            "No provider can chat, so every answer is composed from guidance.",
            hint=f"{lacks}. Or set AI_PROVIDER=offline, if that is what you want.",
            id="ai.W001",
        )
    ]
