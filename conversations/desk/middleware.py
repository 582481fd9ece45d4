"""The desk's own chain of middleware: sessions, CSRF, sign-in, identity.

Only paths under /admin/ pass it, through the desk's login to Postgres; the patients' API has no
cookies, and pays nothing for the desk. Built once, when the server starts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpRequest, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.decorators import async_only_middleware
from django.utils.module_loading import import_string

from carehelp.database.identity import Principal, acting_as, through
from conversations.desk import pages

Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

PREFIX = "/admin/"
LOGIN = "desk"
# Outermost first. `carehelp.middleware.language` has chosen the language already; axes' own
# middleware is not among them: `pages` shows its lock-out.
CHAIN = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "conversations.desk.pages.in_html",
    "conversations.desk.middleware.identity",
)


@async_only_middleware
def desk(get_response: Handler) -> Handler:
    """Whoever came in with a bearer token is nobody here: only the desk's session counts."""
    inner = _chain(get_response)
    csrf = CsrfViewMiddleware(pages.never)

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PREFIX):
            return await get_response(request)
        with through(LOGIN), acting_as(None):
            try:
                return await inner(request)
            finally:
                await sync_to_async(_hand_back)()

    async def process_view(request: HttpRequest, view: Any, args: Any, kwargs: Any) -> Any:
        """Django asks only the outer chain; the check itself waits for nothing."""
        if request.path_info.startswith(PREFIX):
            return csrf.process_view(request, view, args, kwargs)
        return None

    middleware.process_view = process_view  # type: ignore[attr-defined]
    return middleware


@async_only_middleware
def identity(get_response: Handler) -> Handler:
    """A signed-in clinician acts as one, until the response is made; anybody else as nobody."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        with acting_as(await sync_to_async(_principal)(request)):
            return await get_response(request)

    return middleware


def _chain(handler: Handler) -> Handler:
    for path in reversed(CHAIN):
        handler = import_string(path)(handler)
    return handler


def _principal(request: HttpRequest) -> Principal | None:
    user: Any = request.user
    return Principal.clinician(user.pk) if user.is_active and user.is_staff else None


def _hand_back() -> None:
    """The connection goes back to the pool now, also where nobody waits for the page any more."""
    connections[LOGIN].close()
