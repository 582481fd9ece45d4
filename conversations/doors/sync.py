"""The offline outbox: messages that were written without a network, and what changed meanwhile.

Everything is triaged before anything is stored; emergencies go first. The client's clock is shown
back and trusted for nothing.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterable
from typing import Any

import orjson
from adrf.views import APIView
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from carehelp.database.identity import run_as
from carehelp.errors import CarehelpError, Invalid
from carehelp.problem import as_problem
from conversations import live, turn
from conversations.doors.refusals import refused
from conversations.doors.rest import user_id
from conversations.doors.serializers import ChatSerializer, StrictCharField, incoming_of
from conversations.incoming import Incoming
from conversations.models import Conversation, Message
from conversations.rendering import conversation_json, message_json, triage_json
from triage.engine import Assessment

ITEMS_AT_ONCE = 100
CHANGES_AT_ONCE = 200
SECONDS = 18.0


class QueuedSerializer(ChatSerializer):
    client_message_id = StrictCharField(max_length=64)
    sent_at = serializers.DateTimeField(required=False, allow_null=True)


class SyncSerializer(serializers.Serializer[dict[str, Any]]):
    queued = serializers.ListField(
        child=QueuedSerializer(), max_length=ITEMS_AT_ONCE, default=list, allow_empty=True
    )
    cursor = StrictCharField(max_length=200, required=False, allow_null=True)


class SyncView(APIView):
    """`{queued, cursor?}` → `{results, changes: {conversations, messages, all}, cursor, more}`."""

    permission_classes = [AllowAny]

    async def post(self, request: Request) -> Response:
        try:
            items, last = _outbox(request)
        except Exception as exc:
            raise refused(exc, request) from exc
        readings = [turn.read(item) for item in items]
        results = await _send_all(items, readings)
        changes, last, more = await run_as(_changes, last)
        return Response(
            {"results": results, "changes": changes, "cursor": write_cursor(last), "more": more}
        )


def _outbox(request: Request) -> tuple[list[Incoming], int]:
    """Its messages, and what the phone has seen."""
    sender = user_id(request)
    asked = SyncSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    data = asked.validated_data
    items = [incoming_of(sender, item) for item in data["queued"]]
    return items, read_cursor(data.get("cursor"))


async def _send_all(items: list[Incoming], readings: list[Assessment]) -> list[dict[str, Any]]:
    """Emergencies first, then in the order written; one after another, as a person would."""
    until = time.monotonic() + SECONDS
    order = sorted(range(len(items)), key=lambda i: (-readings[i].level.rank, i))
    results: dict[int, dict[str, Any]] = {}
    for index in order:
        results[index] = {
            "client_message_id": items[index].client_message_id,
            "triage": triage_json(readings[index]),
        } | await _send(items[index], until)
    return [results[index] for index in range(len(items))]


async def _send(item: Incoming, until: float) -> dict[str, Any]:
    """`completed` with its turn, `accepted` where the answer is still being written, `rejected`."""
    if time.monotonic() > until:
        return {"status": "rejected", "problem": as_problem(NoTimeLeft())}
    try:
        accepted = await live.start(item)
        ended = await live.ended(accepted.reply_id, max(0.0, until - time.monotonic()))
    except CarehelpError as error:
        error.members.pop("triage", None)
        return {"status": "rejected", "problem": as_problem(error)}
    status = "accepted" if ended["status"] == Message.Status.RUNNING else "completed"
    return {"status": status, "turn": ended | {"duplicate": accepted.duplicate}}


class NoTimeLeft(CarehelpError):
    """The rest of the outbox waits for the next sync; nothing of it was stored."""

    status, code, title = 503, "no_time_left", "Send this again"
    retryable = True


def _changes(last: int) -> tuple[dict[str, Any], int, bool]:
    """Messages after `last`, their conversations, and the ids of all there are: others are erased."""
    rows = list(Message.objects.filter(id__gt=last).order_by("id")[: CHANGES_AT_ONCE + 1])
    shown, more = rows[:CHANGES_AT_ONCE], len(rows) > CHANGES_AT_ONCE
    touched = Conversation.objects.filter(id__in={row.conversation_id for row in shown})
    changes = {
        "conversations": [conversation_json(c) for c in touched.order_by("id")],
        "messages": [message_json(row) for row in shown],
        "all": list(Conversation.objects.order_by("id").values_list("id", flat=True)),
    }
    return changes, _seen(last, shown), more


def _seen(last: int, shown: Iterable[Message]) -> int:
    """Up to the first reply that is still being written: it will be shown again when it has ended."""
    for row in shown:
        if row.status == Message.Status.RUNNING:
            break
        last = row.pk
    return last


def write_cursor(last: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([1, last])).decode().rstrip("=")


def read_cursor(cursor: str | None) -> int:
    """Raises `Invalid` for one that we did not write."""
    if not cursor:
        return 0
    try:
        version, last = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if version == 1 and isinstance(last, int) and 0 <= last < 2**63:
            return last
    except (ValueError, TypeError, binascii.Error):
        pass
    raise Invalid(
        errors=[{"loc": ["body", "cursor"], "msg": _("Not a cursor."), "type": "invalid"}]
    )
