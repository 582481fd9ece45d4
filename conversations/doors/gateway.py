"""One address for clients that know only one: an action and its payload go to that action's own door,
and its answer comes back unchanged.
"""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import orjson
from adrf.views import APIView
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from carehelp.errors import Invalid
from conversations.doors import uploads
from conversations.doors.media import AnalyzeImageView, TranscribeView, TranslateView
from conversations.doors.rest import ChatView

ACTIONS: dict[str, Any] = {
    "chat": ChatView.as_view(),
    "transcribe": TranscribeView.as_view(),
    "analyze-image": AnalyzeImageView.as_view(),
    "translate": TranslateView.as_view(),
}


class GatewayView(APIView):
    """`{"action": …, "payload": {…}}`; whoever may use the action may use it here."""

    permission_classes = [AllowAny]

    async def post(self, request: Request) -> HttpResponseBase:
        action, inner = await asyncio.to_thread(_inner, request)
        response: HttpResponseBase = await ACTIONS[action](inner)
        return response


def _inner(request: Request) -> tuple[str, ASGIRequest]:
    """The request as the action's own door would have got it."""
    asked = uploads.json_of(request)
    if not isinstance(asked, dict) or not isinstance(asked.get("payload"), dict):
        raise _refused("payload", _("Send an action and a payload, which is an object."), "invalid")
    action = asked.get("action")
    if not isinstance(action, str) or action not in ACTIONS:
        raise _refused("action", _("There is no such action."), "unknown")
    outer: Any = request._request
    inner: Any = _with_body(outer, f"/api/{action}", orjson.dumps(asked["payload"]))
    inner.identity, inner.identity_refused = outer.identity, outer.identity_refused
    return action, inner


def _with_body(outer: ASGIRequest, path: str, body: bytes) -> ASGIRequest:
    told = {b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    kept = [(name, value) for name, value in outer.scope["headers"] if name not in told]
    scope = {**outer.scope, "path": path, "raw_path": path.encode(), "query_string": b""}
    return ASGIRequest({**scope, "headers": [*kept, *told.items()]}, BytesIO(body))


def _refused(name: str, msg: str, kind: str) -> Invalid:
    return Invalid(
        errors=[{"loc": ["body", name], "msg": msg, "type": kind}], actions=list(ACTIONS)
    )
