"""What every HTTP request passes on its way in and out. All of it async; nothing decides anything."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import async_only_middleware

from carehelp.errors import CarehelpError
from carehelp.problem import problem_response

Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
# Unfold, the admin's theme, evaluates Alpine expressions and sets style attributes; no script of it
# stands in a page.
ADMIN_CONTENT_SECURITY_POLICY = CONTENT_SECURITY_POLICY.replace(
    "script-src 'self'; style-src 'self'",
    "script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'",
)


@async_only_middleware
def security_headers(get_response: Handler) -> Handler:
    async def middleware(request: HttpRequest) -> HttpResponseBase:
        response = await get_response(request)
        admin = request.path.startswith("/admin/")
        policy = ADMIN_CONTENT_SECURITY_POLICY if admin else CONTENT_SECURITY_POLICY
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Referrer-Policy", "same-origin")
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


@async_only_middleware
def cors(get_response: Handler) -> Handler:
    """The API takes bearer tokens and never cookies, so `*` gives no site a signed-in user."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        allowed = _allowed_origin(request.headers.get("Origin", ""))
        preflight = (
            request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        )
        response = HttpResponse(status=204) if preflight else await get_response(request)
        if allowed and not request.path.startswith("/admin"):
            _allow(response, allowed, preflight)
        return response

    return middleware


def _allowed_origin(origin: str) -> str:
    if "*" in settings.CORS_ALLOW_ORIGINS:
        return "*" if origin else ""
    return origin if origin in settings.CORS_ALLOW_ORIGINS else ""


def _allow(response: HttpResponseBase, origin: str, preflight: bool) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = "ETag, Retry-After, RateLimit-Remaining"
    if origin != "*":
        response.headers["Vary"] = "Origin"
    if preflight:
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
        response.headers["Access-Control-Allow-Headers"] = (
            "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, "
            "Prefer, Save-Data"
        )
        response.headers["Access-Control-Max-Age"] = "86400"


@async_only_middleware
def language(get_response: Handler) -> Handler:
    """Our own sentences come in the language that Accept-Language asks for, or in French; at the desk
    in the one that was chosen there, which a cookie of its own remembers.
    """

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        with translation.override(translation.get_language_from_request(request)):
            response = await get_response(request)
        patch_vary_headers(response, ("Accept-Language",))
        return response

    return middleware


@async_only_middleware
def length(get_response: Handler) -> Handler:
    """A body that came in chunks has a length, too; DRF would take it for empty."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
            # All of it is here, in a file or in memory, before any middleware runs.
            body: Any = request._stream  # type: ignore[attr-defined]
            request.META["CONTENT_LENGTH"] = str(body.seek(0, os.SEEK_END))
            body.seek(0)
        return await get_response(request)

    return middleware


@async_only_middleware
def problems(get_response: Handler) -> Handler:
    """Our own errors, raised outside of DRF, as problem documents."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        try:
            return await get_response(request)
        except CarehelpError as error:
            return problem_response(error)

    middleware.process_exception = _process_exception  # type: ignore[attr-defined]
    return middleware


def _process_exception(request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
    return problem_response(exception) if isinstance(exception, CarehelpError) else None
