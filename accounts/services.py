"""Registering, signing in and out, changing and erasing an account.

Async functions orchestrate; each `run_as` inside is one short transaction, and nothing is held while
a password is hashed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, connections, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts import (
    authentication,
    consents,
    gate,
    limits,
    passwords,
    rotation,
    supabase,
    tokens,
)
from accounts.authentication import Identity
from accounts.emails import normalised
from accounts.errors import StaffAccount, WrongCredentials
from accounts.models import Credential, RefreshToken, SocketTicket, User
from carehelp.database.identity import Principal, acting_as, login, run_as, through
from carehelp.errors import EmailTaken
from carehelp.metrics import REFUSED

FIRST_CLINICIAN = "clinicien@carehelp.example"
GUEST_RETENTION = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person with the tokens of a new session."""

    user: User
    consents: frozenset[str]
    access_token: str
    refresh_token: str


async def register(
    email: str,
    password: str,
    profile: dict[str, Any],
    agreed: Iterable[str],
    address: str,
    guest: Identity | None = None,
) -> SignedIn | None:
    """A new account; a guest's own becomes it, conversations and all. Raises `EmailTaken`.

    None where Supabase keeps the accounts, and the address must be confirmed first.
    """
    await limits.count(limits.Use(limits.REGISTRATIONS_OF_ADDRESS, address))
    user_id, hashed = await _new_identity(email, password)
    if user_id is None:
        return None
    if guest is not None and guest.is_guest:
        return await _as(guest.user_id, _upgrade, guest.user_id, email, hashed, profile, agreed)
    return await _as(user_id, _create, user_id, email, hashed, profile, agreed)


async def _new_identity(email: str, password: str) -> tuple[UUID | None, str | None]:
    """An id, and a hash unless Supabase keeps the password."""
    if supabase.in_use():
        return await supabase.sign_up(email, password), None
    return uuid4(), await passwords.hash_password(password)


async def guest(profile: dict[str, Any], agreed: Iterable[str], address: str) -> SignedIn:
    """An account without address or password, good for as long as its tokens are."""
    await limits.count(limits.Use(limits.GUESTS_OF_ADDRESS, address))
    return await _as(user_id := uuid4(), _create, user_id, None, None, profile, agreed)


async def sign_in(email: str, password: str, address: str) -> SignedIn:
    """Raises `WrongCredentials`, and `TooMany` before a password is even looked at."""
    uses = limits.sign_in_uses(email, address)
    await limits.count(*uses)
    account = await _recognised(email, password)
    if account is None or not account.is_active:
        REFUSED.labels(code=WrongCredentials.code).inc()
        raise WrongCredentials
    await limits.forgive(uses[0])
    return await _as(account.user_id, _open, account.user_id, account.revoked_before)


async def _recognised(email: str, password: str) -> gate.Account | None:
    """Whose password this is; ours is asked first, and decides where there is one."""
    with acting_as(None):
        account = await run_as(gate.by_email, email)
    if supabase.in_use() and (account is None or account.password is None):
        user_id = await supabase.sign_in(email, password)
        return await supabase.adopted(user_id, email) if user_id else None
    right = await passwords.check_password(password, account.password if account else None)
    return account if right else None


async def refresh(token: str) -> SignedIn:
    """The next pair of tokens. Raises `NotSignedIn` for a token that does not count."""
    with acting_as(None):
        user_id, account = await run_as(_holder, token)
    if account is None or not account.is_active:
        raise tokens.BadToken
    session = await _as(user_id, _rotate, user_id, token, account.revoked_before)
    if session is None:
        REFUSED.labels(code="refresh_reused").inc()
        raise tokens.BadToken
    return session


async def sign_out(token: str) -> None:
    """End the family of a refresh token; one that is unknown has nothing to end."""
    with acting_as(None):
        user_id, _ = await run_as(_holder, token)
    if user_id is not None:
        await _as(user_id, rotation.revoke, token)


async def sign_out_everywhere(user_id: UUID) -> None:
    """Every token of this user is void; other processes notice within five seconds."""
    await _as(user_id, _revoke_everything, user_id)
    authentication.forget(user_id)


async def change(user_id: UUID, profile: dict[str, Any]) -> tuple[User, frozenset[str]]:
    changed: tuple[User, frozenset[str]] = await _as(user_id, _change, user_id, profile)
    if profile:
        authentication.forget(user_id)
    return changed


async def erase(who: Identity) -> None:
    """The account, and by the database's own cascade everything that belongs to it."""
    if who.account.is_staff:
        raise StaffAccount
    await _as(who.user_id, _erase, who.user_id)
    authentication.forget(who.user_id)


async def _as(user_id: UUID | None, work: Any, *args: Any) -> Any:
    assert user_id is not None
    with acting_as(Principal.patient(user_id)):
        return await run_as(work, *args)


def _create(
    user_id: UUID,
    email: str | None,
    hashed: str | None,
    profile: dict[str, Any],
    agreed: Iterable[str],
) -> SignedIn:
    try:
        with transaction.atomic(using=login()):
            User.objects.create(id=user_id, email=email, **profile)
    except IntegrityError as error:
        raise _unless_taken(error) from error
    Credential.objects.create(user_id=user_id, password=hashed)
    consents.grant(user_id, agreed)
    return _open(user_id, None)


def _upgrade(
    user_id: UUID, email: str, hashed: str | None, profile: dict[str, Any], agreed: Iterable[str]
) -> SignedIn:
    """What the guest had open is signed out: whoever used this phone before is out."""
    try:
        with transaction.atomic(using=login()):
            became = gate.upgrade_guest(email, hashed)
    except IntegrityError as error:
        raise _unless_taken(error) from error
    if not became:
        raise EmailTaken("This guest has registered already.")
    consents.grant(user_id, agreed)
    revoked_before = _revoke_everything(user_id)
    _change(user_id, profile)
    authentication.forget(user_id)
    return _open(user_id, revoked_before)


def _unless_taken(error: IntegrityError) -> Exception:
    return EmailTaken() if "users_email_once" in str(error) else error


def _open(user_id: UUID, revoked_before: datetime | None) -> SignedIn:
    return _session(user_id, rotation.start(user_id), revoked_before)


def _session(user_id: UUID, refresh_token: str, revoked_before: datetime | None) -> SignedIn:
    return SignedIn(
        user=User.objects.get(pk=user_id),
        consents=consents.granted(user_id),
        access_token=tokens.issue(user_id, revoked_before=revoked_before),
        refresh_token=refresh_token,
    )


def _rotate(user_id: UUID, token: str, revoked_before: datetime | None) -> SignedIn | None:
    successor = rotation.rotate(token)
    return _session(user_id, successor, revoked_before) if successor else None


def _holder(token: str) -> tuple[UUID | None, gate.Account | None]:
    user_id = gate.refresh_token_owner(rotation.digest(token))
    return user_id, gate.account(user_id) if user_id else None


def _revoke_everything(user_id: UUID) -> datetime:
    rotation.revoke_all(user_id)
    return gate.sign_out_everywhere()


def _change(user_id: UUID, profile: dict[str, Any]) -> tuple[User, frozenset[str]]:
    user = User.objects.get(pk=user_id)
    for name, value in profile.items():
        setattr(user, name, value)
    if profile:
        user.save(update_fields=[*profile, "updated_at"])
    return user, consents.granted(user_id)


def _erase(user_id: UUID) -> None:
    """In SQL: Django would first look for rows in tables that a patient has no right to see."""
    with connections[login()].cursor() as cursor:
        cursor.execute("DELETE FROM users WHERE id = %s", [user_id])


def create_clinician(email: str, name: str) -> str | None:
    """A clinician with a one-time password, which is returned; None where the address is taken.

    Goes through the owner's login, which alone may execute the gate's function for it.
    """
    password = secrets.token_urlsafe(12)
    hashed = passwords.hash_password_sync(password)
    address = normalised(email)
    if not address:
        raise ValueError(f"{email} is no e-mail address")
    with through("owner"), transaction.atomic(using="owner"):
        made = gate.make_clinician(uuid4(), address, name, hashed)
    return password if made else None


def ensure_first_clinician() -> tuple[str, str | None]:
    """`(email, one-time password)`; the password is None where there was a clinician already."""
    with through("owner"):
        known = gate.first_clinician()
    if known is not None:
        return known, None
    return FIRST_CLINICIAN, create_clinician(FIRST_CLINICIAN, "Premier clinicien")


def erase_expired() -> int:
    """As the worker: expired tokens and tickets, and guests that nobody can sign in as any more."""
    RefreshToken.objects.filter(expires_at__lt=Now())._raw_delete(login())  # type: ignore[attr-defined]
    SocketTicket.objects.filter(expires_at__lt=Now())._raw_delete(login())  # type: ignore[attr-defined]
    with connections[login()].cursor() as cursor:
        cursor.execute(_EXPIRED_GUESTS, [timezone.now() - GUEST_RETENTION])
        return cursor.rowcount


_EXPIRED_GUESTS = """
DELETE FROM users WHERE email IS NULL AND created_at < %s AND NOT EXISTS (
    SELECT 1 FROM refresh_tokens AS t WHERE t.user_id = users.id AND t.revoked_at IS NULL
)
"""
