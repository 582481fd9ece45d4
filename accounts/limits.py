"""How often something may be tried, counted in Postgres, so that every process counts alike.

Thousands of phones share one address in Cameroon's mobile networks: the tight limits are per account
and address together, those of an address alone are wide.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.models.functions import Now
from django.http import HttpRequest

from accounts.models import RateLimit
from carehelp.database.identity import acting_as, login, run_as
from carehelp.errors import TooMany

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` uses of one key in a `window` that begins with the first."""

    name: str
    most: int
    window: timedelta


SIGN_IN_HERE = Limit("sign-in of an account from an address", 10, 15 * MINUTE)
SIGN_IN_ACCOUNT = Limit("sign-in of an account", 100, HOUR)
SIGN_IN_ADDRESS = Limit("sign-in from an address", 1000, 15 * MINUTE)
GUESTS_OF_ADDRESS = Limit("guests from an address", 300, HOUR)
REGISTRATIONS_OF_ADDRESS = Limit("registrations from an address", 300, HOUR)
TRIAGE_OF_ADDRESS = Limit("triage for an address", 3000, HOUR)


@dataclass(frozen=True, slots=True)
class Use:
    limit: Limit
    subject: str

    @property
    def key(self) -> bytes:
        """Keyed, so that the table cannot be searched for an address."""
        text = f"{self.limit.name}\n{self.subject}".encode()
        return hmac.digest(settings.SECRET_KEY.encode(), text, hashlib.sha256)


def sign_in_uses(email: str, address: str) -> list[Use]:
    return [
        Use(SIGN_IN_HERE, f"{email}\n{address}"),
        Use(SIGN_IN_ACCOUNT, email),
        Use(SIGN_IN_ADDRESS, address),
    ]


async def count(*uses: Use) -> None:
    """Count one use of each; raises `TooMany` where one is spent."""
    with acting_as(None):
        spent = await run_as(_count, uses)
    if spent is not None:
        raise spent


async def forgive(*uses: Use) -> None:
    """Forget what was counted: it was the right person."""
    with acting_as(None):
        await run_as(_forget, [use.key for use in uses])


def forget_ended_windows() -> int:
    """As nobody or the worker; returns how many."""
    return RateLimit.objects.filter(resets_at__lt=Now()).delete()[0]


_UPSERT = """
INSERT INTO rate_limits AS kept (key, count, resets_at) VALUES (%s, 1, now() + %s)
ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN kept.resets_at <= now() THEN 1 ELSE kept.count + 1 END,
    resets_at = CASE WHEN kept.resets_at <= now() THEN excluded.resets_at ELSE kept.resets_at END
RETURNING count, extract(epoch FROM resets_at - now())
"""


def _count(uses: Iterable[Use]) -> TooMany | None:
    """Always in the order of the keys, so that two requests cannot wait for each other."""
    spent = None
    with connections[login()].cursor() as cursor:
        for use in sorted(uses, key=lambda use: use.key):
            cursor.execute(_UPSERT, [use.key, use.limit.window])
            used, seconds = cursor.fetchone()
            if used > use.limit.most:
                spent = _too_many(use.limit, float(seconds))
    return spent


def _forget(keys: list[bytes]) -> None:
    RateLimit.objects.filter(key__in=keys).delete()


def _too_many(limit: Limit, seconds: float) -> TooMany:
    headers = {
        "RateLimit-Limit": str(limit.most),
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(int(seconds) + 1),
    }
    return TooMany("Too many attempts. Wait a little.", retry_after=seconds, headers=headers)


def client_address(request: HttpRequest | Any) -> str:
    """Where a request comes from, as the outermost of our own `NUM_PROXIES` saw it.

    An IPv6 network counts as one: a subscriber has all of a /64.
    """
    seen = request.META.get("REMOTE_ADDR") or ""
    if settings.NUM_PROXIES:
        hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        seen = hops[-min(settings.NUM_PROXIES, len(hops))].strip() or seen
    return _network(seen)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
