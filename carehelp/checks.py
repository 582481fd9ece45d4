"""What production refuses to start on, saying which setting and why.

`manage.py` runs these checks by itself; a server that only imports `carehelp.asgi` through
`refuse_unsafe_settings`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

MINIMUM_SECRET_BYTES = 32


@register(Tags.security)
def settings_are_safe(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Errors in production, where Django then refuses to start; silent in development."""
    return [*_secrets(), *_exposure(), *_database()] if settings.PRODUCTION else []


def refuse_unsafe_settings() -> None:
    """Raise `ImproperlyConfigured` with every error there is."""
    errors = [str(found) for found in settings_are_safe(None) if found.is_serious()]
    if errors:
        raise ImproperlyConfigured("\n".join(errors))


def _secrets() -> Iterator[CheckMessage]:
    if settings.JWT_SECRET == settings.JWT_PLACEHOLDER:
        yield Error(
            "JWT_SECRET is the published placeholder: anybody could sign in as anybody.",
            hint="Set it to 32 random bytes or more.",
            id="carehelp.E001",
        )
    elif len(settings.JWT_SECRET.encode()) < MINIMUM_SECRET_BYTES:
        yield Error("JWT_SECRET is shorter than 32 bytes: it could be guessed.", id="carehelp.E002")
    if len(settings.SECRET_KEY) < MINIMUM_SECRET_BYTES:
        yield Error("SECRET_KEY is missing or shorter than 32 characters.", id="carehelp.E003")
    if not settings.FIELD_ENCRYPTION_KEYS:
        yield Error(
            "FIELD_ENCRYPTION_KEYS is empty: patients' words could not be encrypted.",
            hint="Set it to 1:<32 random bytes in base64>.",
            id="carehelp.E004",
        )


def _exposure() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Error(
            "DEBUG is on: errors would show settings and patients' data.", id="carehelp.E005"
        )
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS names no host, or all of them: links could be forged.",
            id="carehelp.E006",
        )
    if "*" in settings.CORS_ALLOW_ORIGINS:
        yield Error(
            "CORS_ALLOW_ORIGINS is *: name the sites that may call the API.", id="carehelp.E007"
        )
    if settings.ACCESS_TOKEN_EXPIRE_MINUTES > 60:
        yield Warning(
            "ACCESS_TOKEN_EXPIRE_MINUTES is over an hour.",
            hint="Where clients can refresh, 60 limits what a stolen token is worth.",
            id="carehelp.W001",
        )


def _database() -> Iterator[CheckMessage]:
    urls = settings.DATABASE_URLS
    if not urls["default"]:
        yield Error(
            "DATABASE_URL is missing: the embedded Postgres is not for production.",
            hint="Set DATABASE_URL, DATABASE_DESK_URL and DATABASE_OWNER_URL.",
            id="carehelp.E008",
        )
    elif not all(urls.values()) and not settings.DATABASE_SINGLE_LOGIN:
        yield Error(
            "One database login would serve patients, clinicians and migrations.",
            hint="Set DATABASE_DESK_URL and DATABASE_OWNER_URL, or DATABASE_SINGLE_LOGIN=true where "
            "the host gives one login only.",
            id="carehelp.E009",
        )
