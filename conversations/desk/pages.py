"""Pages that are nobody's view: what went wrong, in words and in HTML, for a person at the desk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.utils.decorators import async_only_middleware
from django.utils.translation import gettext_lazy as _

from carehelp.problem import CONTENT_TYPE

Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

SAID = {
    HTTPStatus.BAD_REQUEST: (
        _("This request could not be read"),
        _("Go back, and try once more."),
    ),
    HTTPStatus.FORBIDDEN: (
        _("Not allowed"),
        _("Your account does not have this right. Nothing was changed."),
    ),
    HTTPStatus.NOT_FOUND: (
        _("There is nothing here"),
        _("The case may have been erased by its patient, or the address is wrong."),
    ),
    HTTPStatus.CONFLICT: (
        _("That is no longer possible"),
        _("Somebody else was quicker. Look at the case again."),
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (
        _("Too many attempts"),
        _("Signing in to this account is locked from here for one hour."),
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        _("Not available right now"),
        _("Try again in a few seconds."),
    ),
}
OTHERWISE = (
    _("Something went wrong on our side"),
    _("No page was sent. If this comes again, tell whoever runs Carehelp."),
)


@async_only_middleware
def in_html(get_response: Handler) -> Handler:
    """Problem documents become pages, and a lock-out by axes says that it is one."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        response = await get_response(request)
        if getattr(request, "axes_locked_out", False):
            return await sync_to_async(page)(request, HTTPStatus.TOO_MANY_REQUESTS)
        if response.headers.get("Content-Type") == CONTENT_TYPE:
            return await sync_to_async(page)(request, response.status_code)
        return response

    return middleware


def page(request: HttpRequest, status: int) -> HttpResponse:
    title, detail = SAID.get(HTTPStatus(status), OTHERWISE)
    context = {"title": title, "detail": detail, "status": int(status)}
    return HttpResponse(render_to_string("admin/problem.html", context), status=status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """settings.CSRF_FAILURE_VIEW"""
    context = {
        "title": _("This form had grown old"),
        "detail": _("Reload the page and send it again. Cookies must be allowed here."),
        "status": 403,
    }
    return HttpResponse(render_to_string("admin/problem.html", context), status=403)


def never(request: HttpRequest) -> HttpResponse:
    """For a middleware whose checks are called one by one."""
    raise NotImplementedError
