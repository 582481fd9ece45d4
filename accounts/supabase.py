"""Supabase Auth, where a deployment has it: registering and signing in, and its published keys.

Supabase then keeps the password; the account, its consents and our own tokens are the same as ever.
Tokens that Supabase issued to a client are good here too (`accounts.tokens`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from http import HTTPStatus
from typing import Any
from uuid import UUID

import aiohttp
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import gate
from accounts.emails import normalised
from accounts.models import Credential, User
from accounts.tokens import ASYMMETRIC, KeyRing, published_keys, supabase_issuer
from carehelp.database.identity import Principal, acting_as, login, run_as
from carehelp.errors import EmailTaken, Invalid, TooMany, Unavailable

logger = logging.getLogger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=3)
FETCH_GAP_SECONDS = 30.0
TAKEN = ("user_already_exists", "email_exists")
WRONG = ("invalid_credentials", "email_not_confirmed", "user_banned")


class NoAnswer(Unavailable):
    code, title = "sign_in_unavailable", "Signing in is not possible right now"


def in_use() -> bool:
    return bool(settings.SUPABASE_URL and settings.SUPABASE_ANON_KEY)


async def sign_up(email: str, password: str) -> UUID | None:
    """The new user's id; None where the address must be confirmed first. Raises `EmailTaken`."""
    status, body = await _post("signup", {"email": email, "password": password})
    if status == HTTPStatus.OK:
        return _user_id(body) if body.get("access_token") else None
    raise _refusal(status, body)


async def sign_in(email: str, password: str) -> UUID | None:
    """The user's id; None where Supabase does not know this address with this password."""
    credentials = {"email": email, "password": password}
    status, body = await _post("token?grant_type=password", credentials)
    if status == HTTPStatus.OK:
        return _user_id(body)
    if _code(body) in WRONG:
        return None
    raise _refusal(status, body)


def _user_id(body: dict[str, Any]) -> UUID:
    try:
        return UUID(body["user"]["id"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswer(retry_after=5) from error


def _refusal(status: int, body: dict[str, Any]) -> Exception:
    if _code(body) in TAKEN:
        return EmailTaken()
    if _code(body) == "weak_password":
        message = {"loc": ["body", "password"], "msg": _("Too weak."), "type": "weak_password"}
        return Invalid(errors=[message])
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooMany(retry_after=60)
    logger.warning("Supabase Auth answered %s %s", status, _code(body))
    return NoAnswer(retry_after=5)


def _code(body: dict[str, Any]) -> str:
    """GoTrue says `error_code`; older ones `error`, with another name for a wrong password."""
    code = str(body.get("error_code") or body.get("error") or "")
    return "invalid_credentials" if code == "invalid_grant" else code


async def _post(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    url = f"{supabase_issuer(settings.SUPABASE_URL)}/{path}"
    headers = {"apikey": settings.SUPABASE_ANON_KEY}
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.post(url, json=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, _object(await answer.read())
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NoAnswer(retry_after=5) from error


def _object(body: bytes) -> dict[str, Any]:
    """A proxy in front of it may answer in HTML."""
    try:
        read = json.loads(body)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


async def adopted(user_id: UUID, email: str | None) -> gate.Account | None:
    """The account of somebody whom Supabase vouches for, made when they are first seen.

    One with a password of ours is never handed over: Supabase did not see who made it.
    """
    address = normalised(email or "")
    with acting_as(None):
        known = await run_as(_known, user_id, address)
    if known is None:
        with acting_as(Principal.patient(user_id)):
            await run_as(_adopt, user_id, address)
        with acting_as(None):
            known = await run_as(_known, user_id, address)
    return known if known and known.password is None else None


def _known(user_id: UUID, address: str) -> gate.Account | None:
    return gate.account(user_id) or (gate.by_email(address) if address else None)


def _adopt(user_id: UUID, address: str) -> None:
    with transaction.atomic(using=login()):
        made = [User(id=user_id, email=address or None)]
        User.objects.bulk_create(made, ignore_conflicts=True)
        if User.objects.filter(pk=user_id).exists():
            Credential.objects.bulk_create([Credential(user_id=user_id)], ignore_conflicts=True)


_last_fetch = -FETCH_GAP_SECONDS
_fetching: asyncio.Future[bool] | None = None


async def refresh_keys(ring: KeyRing, issuer: str) -> bool:
    """Fetch what Supabase publishes, at most once in 30 s; True where the ring may know more now.

    The last good keys stay where Supabase cannot be reached. All who ask meanwhile wait for one
    answer, also where the first of them leaves.
    """
    global _last_fetch, _fetching
    if not settings.SUPABASE_URL or issuer != supabase_issuer(settings.SUPABASE_URL):
        return False
    if _fetching is None or _fetching.done():
        if time.monotonic() - _last_fetch < FETCH_GAP_SECONDS:
            return False
        _last_fetch = time.monotonic()
        _fetching = asyncio.ensure_future(_refresh(ring, issuer))
    return await asyncio.shield(_fetching)


async def _refresh(ring: KeyRing, issuer: str) -> bool:
    url = f"{issuer}/.well-known/jwks.json"
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.get(url) as answer:
            answer.raise_for_status()
            keys = published_keys(await answer.json(content_type=None), issuer)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        logger.warning("Supabase's keys cannot be fetched: %s", type(error).__name__)
        return False
    ring.replace(issuer, ASYMMETRIC, keys)
    return True
