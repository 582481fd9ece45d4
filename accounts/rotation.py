"""Refresh tokens rotate: each use makes the next, and an old one that comes back ends its family.

Replies get lost on bad networks, so a token's immediate predecessor still works for a minute while
its successor is unused, and gives the same successor: it is derived from the token and a salt in the
database, and so never stored. Sync; runs as the user, in one transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import RefreshToken
from carehelp.database.identity import login

LOST_REPLY = timedelta(seconds=60)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def start(user_id: UUID) -> str:
    """The first token of a new family."""
    token = secrets.token_urlsafe(32)
    _store(user_id, uuid4(), token)
    return token


def rotate(token: str) -> str | None:
    """The token's successor; None where it does not count (any more).

    A None may have revoked the family, and must be committed: raise after the transaction.
    """
    found = _locked(token)
    if found is None or found.revoked_at or found.expires_at <= timezone.now():
        return None
    successor = _successor(token, bytes(found.salt))
    if found.used_at is None:
        _use(found, successor)
        return successor
    if _reply_was_lost(found):
        return successor
    revoke_family(found.family)
    return None


def _locked(token: str) -> RefreshToken | None:
    """Under its family's lock, so that a revocation and a rotation cannot cross."""
    known = RefreshToken.objects.filter(digest=digest(token))
    family = known.values_list("family", flat=True).first()
    if family is None:
        return None
    with connections[login()].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [str(family)])
    return known.first()


def _use(token: RefreshToken, successor: str) -> None:
    token.successor = _store(token.user_id, token.family, successor)
    token.used_at = Now()
    token.save(update_fields=["successor", "used_at"])


def _reply_was_lost(token: RefreshToken) -> bool:
    return RefreshToken.objects.filter(
        pk=token.successor_id, used_at__isnull=True, created_at__gt=Now() - LOST_REPLY
    ).exists()


def _store(user_id: UUID, family: UUID, token: str) -> RefreshToken:
    return RefreshToken.objects.create(
        user_id=user_id,
        family=family,
        digest=digest(token),
        salt=secrets.token_bytes(32),
        expires_at=Now() + timedelta(days=settings.REFRESH_TOKEN_EXPIRE_DAYS),
    )


def _successor(token: str, salt: bytes) -> str:
    derived = hmac.digest(salt, token.encode(), hashlib.sha256)
    return urlsafe_b64encode(derived).rstrip(b"=").decode()


def revoke_family(family: UUID) -> None:
    RefreshToken.objects.filter(family=family, revoked_at__isnull=True).update(revoked_at=Now())


def revoke(token: str) -> None:
    """Sign this device out. An unknown token is none that could sign anybody in."""
    found = _locked(token)
    if found is not None:
        revoke_family(found.family)


def revoke_all(user_id: UUID) -> None:
    RefreshToken.objects.filter(user_id=user_id, revoked_at__isnull=True).update(revoked_at=Now())
