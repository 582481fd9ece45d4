"""How errors look over REST, SSE and WebSocket: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext
from rest_framework import exceptions as drf
from rest_framework.response import Response

from carehelp import errors

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_MEMBER = re.compile(r"\{(\w+)\}")


def as_problem(error: errors.CarehelpError) -> dict[str, Any]:
    """`{type, title, status, detail, code, retryable, …}`; extra members as the error names them."""
    problem: dict[str, Any] = {
        "type": f"urn:carehelp:problem:{error.code}",
        "title": gettext(error.title),
        "status": error.status,
        "detail": sentence(error),
        "code": error.code,
        "retryable": error.retryable,
    }
    if error.retry_after is not None:
        problem["retry_after"] = math.ceil(error.retry_after)
    return problem | error.members


def sentence(error: errors.CarehelpError) -> str:
    """In the reader's language, with the error's members where the sentence names them.

    Other braces stay: a provider's own words may hold some.
    """
    said = gettext(error.detail or error.title)
    return _MEMBER.sub(lambda name: str(error.members.get(name[1], name[0])), said)


def problem_response(error: errors.CarehelpError) -> JsonResponse:
    return JsonResponse(
        as_problem(error),
        status=error.status,
        content_type=CONTENT_TYPE,
        headers=_headers(error),
        json_dumps_params={"ensure_ascii": False},
    )


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook. What nobody foresaw goes on up, and becomes a logged 500 without its trace."""
    error = from_exception(exc)
    if error is None:
        return None
    return Response(
        as_problem(error),
        status=error.status,
        headers=_headers(error),
        content_type=CONTENT_TYPE,
    )


def from_exception(exc: BaseException) -> errors.CarehelpError | None:
    """Ours as it is, DRF's and Django's in our words, None for what nobody foresaw."""
    from django.core.exceptions import PermissionDenied, RequestDataTooBig
    from django.http import Http404

    match exc:
        case errors.CarehelpError():
            return exc
        case drf.ValidationError():
            return errors.Invalid(errors=list(field_errors(exc.detail)))
        case drf.ParseError():
            return errors.Malformed(str(exc.detail))
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return errors.NotSignedIn(headers={"WWW-Authenticate": "Bearer"})
        case drf.PermissionDenied() | PermissionDenied():
            return errors.Forbidden()
        case drf.NotFound() | Http404():
            return errors.NotFound()
        case drf.MethodNotAllowed():
            return errors.MethodNotAllowed()
        case drf.UnsupportedMediaType():
            return errors.UnsupportedMedia(str(exc.detail))
        case drf.Throttled():
            return errors.TooMany(retry_after=exc.wait)
        case RequestDataTooBig():
            return errors.TooLarge()
    return None


def field_errors(detail: Any, loc: tuple[str | int, ...] = ("body",)) -> Iterator[dict[str, Any]]:
    """DRF's nested errors, flat: `{"loc": ["body", "message"], "msg": "…", "type": "required"}`."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            here = loc if name == "non_field_errors" else (*loc, name)
            yield from field_errors(inner, here)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            here = (*loc, index) if isinstance(inner, dict) else loc
            yield from field_errors(inner, here)
    else:
        yield {"loc": list(loc), "msg": str(detail), "type": getattr(detail, "code", "invalid")}


def _headers(error: errors.CarehelpError) -> dict[str, str]:
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return headers


def bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return problem_response(errors.Malformed())


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return problem_response(errors.Forbidden())


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return problem_response(errors.NotFound())


def server_error(request: HttpRequest) -> JsonResponse:
    return problem_response(errors.CarehelpError())
