"""Tickets open one WebSocket each: browsers cannot send a header with it, and addresses are logged."""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID

from django.db.models.functions import Now

from accounts import gate
from accounts.models import SocketTicket
from accounts.rotation import digest
from accounts.tokens import BadToken
from carehelp.database.identity import Principal, acting_as, run_as

LIFETIME_SECONDS = 120


async def issue(user_id: UUID) -> str:
    ticket = secrets.token_urlsafe(32)
    with acting_as(Principal.patient(user_id)):
        await run_as(_store, user_id, ticket)
    return ticket


async def redeem(ticket: str) -> UUID:
    """The user of an unused ticket; raises `NotSignedIn` for any other."""
    with acting_as(None):
        user_id = await run_as(gate.redeem_ticket, digest(ticket))
    if user_id is None:
        raise BadToken("This ticket was used, or is older than two minutes.")
    return user_id


def _store(user_id: UUID, ticket: str) -> None:
    SocketTicket.objects.create(
        digest=digest(ticket),
        user_id=user_id,
        expires_at=Now() + timedelta(seconds=LIFETIME_SECONDS),
    )
