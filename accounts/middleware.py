"""Who sends a request: read once, at the door, and carried to the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import async_only_middleware

from accounts import usage
from accounts.authentication import Identity, identify
from accounts.tokens import BadToken
from carehelp.database.identity import acting_as
from carehelp.errors import CarehelpError

Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

# The desk has sessions of its own; the others know nobody.
WITHOUT_IDENTITY = ("/admin", "/static/", "/health", "/metrics")


@async_only_middleware
def identity(get_response: Handler) -> Handler:
    """Sets `request.identity`, and the database's principal for the rest of the request.

    A bad token, or a database that is gone, becomes `request.identity_refused`, raised by the
    endpoints that need to know who asks: danger is answered all the same.
    """

    async def middleware(request: HttpRequest | Any) -> HttpResponseBase:
        if request.path.startswith(WITHOUT_IDENTITY):
            return await get_response(request)
        request.identity, request.identity_refused = await _identified(request)
        principal = request.identity.principal if request.identity else None
        if request.identity:
            usage.belongs_to(request.scope, request.identity.user_id)
        with acting_as(principal):
            return await get_response(request)

    return middleware


async def _identified(request: HttpRequest) -> tuple[Identity | None, CarehelpError | None]:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        return None, None
    try:
        if scheme.lower() != "bearer":
            raise BadToken("Authorization must be Bearer and a token.")
        return await identify(token.strip()), None
    except CarehelpError as error:
        return None, error
