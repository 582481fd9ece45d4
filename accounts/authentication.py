"""One token check, for REST, SSE and WebSocket: `identify(token)`."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from accounts import gate, supabase, tokens
from accounts.tokens import BadToken, Claims
from carehelp.database.identity import Principal, acting_as, run_as
from carehelp.errors import Unavailable

REMEMBER_SECONDS = 5.0
REMEMBER_AT_MOST = 10_000
RECHECK_SECONDS = 30.0
"""How often a socket or a stream that stays open asks `still_allowed`."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whose token was good a moment ago; also DRF's `request.user`."""

    user_id: UUID
    expires_at: float
    account: gate.Account
    token: str = field(repr=False)
    is_authenticated: bool = True

    @property
    def id(self) -> UUID:
        return self.user_id

    @property
    def is_guest(self) -> bool:
        return self.account.email is None

    @property
    def save_data(self) -> bool:
        return self.account.save_data

    @property
    def principal(self) -> Principal:
        """Always a patient: clinicians act as such at the desk only."""
        return Principal.patient(self.user_id)


async def identify(token: str) -> Identity:
    """Who holds this token. Raises `NotSignedIn` for one that is bad, expired or revoked."""
    claims = await verified(token)
    account = await _account(claims)
    if account is None or not account.is_active or _revoked(account, claims.issued_at):
        raise BadToken
    return Identity(account.user_id, claims.expires_at, account, token)


async def verified(token: str) -> Claims:
    """A key that we do not know yet may have been published since."""
    ring = tokens.ring()
    try:
        return ring.verify(token)
    except tokens.UnknownSigner as error:
        if not await supabase.refresh_keys(ring, error.issuer):
            raise
        return ring.verify(token)


async def still_allowed(token: str | None, user_id: UUID, since: float | None = None) -> None:
    """For what stays open: raises `NotSignedIn` once the token, or all of the user's, is void.

    With a ticket there is no token: `since` is when it was redeemed, in seconds since 1970. A
    database that is gone for a while is asked again the next time.
    """
    with suppress(Unavailable):
        if token is not None:
            await identify(token)
            return
        account = await account_of(user_id)
        if account is None or not account.is_active or _revoked(account, since):
            raise BadToken


def _revoked(account: gate.Account, issued_at: float | None) -> bool:
    if account.revoked_before is None or issued_at is None:
        return False
    return issued_at < account.revoked_before.timestamp()


async def _account(claims: Claims) -> gate.Account | None:
    account = await account_of(claims.user_id)
    if account is None and claims.issuer != tokens.ISSUER:
        forget(claims.user_id)
        return await supabase.adopted(claims.user_id, claims.email)
    return account


async def account_of(user_id: UUID) -> gate.Account | None:
    """Through the gate, at most once in five seconds a user."""
    remembered = _remembered.get(user_id)
    if remembered is not None and remembered[0] > time.monotonic():
        return remembered[1]
    with acting_as(None):
        account = await run_as(gate.account, user_id)
    _remember(user_id, account)
    return account


_remembered: dict[UUID, tuple[float, gate.Account | None]] = {}


def _remember(user_id: UUID, account: gate.Account | None) -> None:
    if len(_remembered) >= REMEMBER_AT_MOST:
        _remembered.clear()
    _remembered[user_id] = (time.monotonic() + REMEMBER_SECONDS, account)


def forget(user_id: UUID) -> None:
    """This process looks again at once; the others within five seconds."""
    _remembered.pop(user_id, None)


class BearerAuthentication(BaseAuthentication):
    """Hands DRF what `accounts.middleware.identity` found.

    A bad token is refused where one is needed; public endpoints answer as to anybody.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        http_request = request._request
        found = getattr(http_request, "identity", None)
        if found is not None:
            return found, None
        refused = getattr(http_request, "identity_refused", None)
        if refused is not None and not _is_public(request):
            raise refused
        return None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _is_public(request: Request) -> bool:
    permissions = request.parser_context["view"].permission_classes
    return not permissions or AllowAny in permissions
