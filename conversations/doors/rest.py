"""The REST door: JSON and SSE in and out of `conversations.live`. Translates, decides nothing."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from typing import Any
from uuid import UUID

from adrf.views import APIView
from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.translation import get_language
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import limits, tickets
from carehelp.database.identity import run_as
from carehelp.errors import NotFound, NotSignedIn, Unavailable
from conversations import live, turn
from conversations.doors import lean, sse
from conversations.doors.refusals import refused
from conversations.doors.serializers import (
    ChatSerializer,
    TitleSerializer,
    TriageSerializer,
    incoming_of,
)
from conversations.incoming import Incoming
from conversations.models import Conversation, Message
from conversations.rendering import conversation_json, message_json, triage_json
from triage import rulebook

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 30.0


class ChatView(APIView):
    """POST a message; the answer as JSON, or as events where `stream` or `Accept` ask for them."""

    permission_classes = [AllowAny]

    async def post(self, request: Request) -> HttpResponseBase:
        try:
            incoming, stream = _incoming(request)
        except Exception as exc:
            raise refused(exc, request) from exc
        accepted = await live.start(incoming)
        if stream or sse.accepted_by(request):
            return sse.turn(request, accepted)
        ended = await live.ended(accepted.reply_id)
        return _turn(request, ended | {"duplicate": accepted.duplicate})


def _turn(request: Request, turn: dict[str, Any]) -> HttpResponseBase:
    """The turn with its ETag; shorter for those who save data, 304 for those who have it."""
    return _unless_known(request, lean.lean(turn) if lean.wanted(request) else turn)


def _incoming(request: Request) -> tuple[Incoming, bool]:
    asked = ChatSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    data = asked.validated_data
    key = idempotency_key(request)
    incoming = incoming_of(user_id(request), data, key=key, brief=lean.wanted(request))
    return incoming, data["stream"]


def idempotency_key(request: Request) -> str | None:
    return request.headers.get("Idempotency-Key", "")[:64] or None


def user_id(request: Request) -> UUID:
    if not request.user:
        raise request._request.identity_refused or NotSignedIn(
            headers={"WWW-Authenticate": "Bearer"}
        )
    caller: UUID = request.user.id
    return caller


class MessageView(APIView):
    """The turn as it stands; `Prefer: wait=20` waits for its end."""

    async def get(self, request: Request, reply_id: int) -> HttpResponseBase:
        wait = re.search(r"\bwait=(\d{1,3})", request.headers.get("Prefer", ""))
        if wait is None:
            return _turn(request, await live.standing(reply_id))
        seconds = min(float(wait[1]), LONGEST_WAIT_SECONDS)
        return _turn(request, await live.ended(reply_id, seconds))


class EventsView(APIView):
    """Follow or resume a reply as SSE, live or finished; honours `Last-Event-ID`."""

    async def get(self, request: Request, reply_id: int) -> HttpResponseBase:
        offset = sse.offset_of(request)
        await live.standing(reply_id)
        return sse.resumed(request, reply_id, offset)


class StopView(APIView):
    async def post(self, request: Request, reply_id: int) -> HttpResponseBase:
        await live.stop(reply_id)
        return _turn(request, await live.standing(reply_id))


class RetryView(APIView):
    """Ask again after an answer was cut off; a new reply to the same question."""

    async def post(self, request: Request, reply_id: int) -> HttpResponseBase:
        accepted = await live.start(Incoming(user_id=user_id(request), retry_of=reply_id))
        if sse.accepted_by(request):
            return sse.turn(request, accepted)
        return _turn(request, await live.ended(accepted.reply_id))


class TriageView(APIView):
    """How urgent these words are; nothing is stored. Limited by address, but for an emergency."""

    permission_classes = [AllowAny]

    async def post(self, request: Request) -> Response:
        asked = TriageSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        data = asked.validated_data
        incoming = Incoming(
            user_id=UUID(int=0),
            text=data["message"],
            language=data["language"],
            subject=data.get("patient") or {},
        )
        reading = turn.read(incoming)
        if not reading.emergency:
            await _count_reading(request)
        return Response(triage_json(reading))


async def _count_reading(request: Request) -> None:
    """Raises `TooMany`; a database that cannot count keeps nobody from an answer."""
    try:
        await limits.count(limits.Use(limits.TRIAGE_OF_ADDRESS, limits.client_address(request)))
    except Unavailable:
        logger.warning("triage was answered uncounted: the database does not answer")


class TicketView(APIView):
    """A ticket that opens one WebSocket, since a browser cannot send a token with it."""

    async def post(self, request: Request) -> Response:
        ticket = await tickets.issue(user_id(request))
        return Response({"ticket": ticket, "expires_in": tickets.LIFETIME_SECONDS}, status=201)


class EmergencyContactsView(APIView):
    permission_classes = [AllowAny]

    async def get(self, request: Request) -> Response:
        contacts = rulebook.contacts(request.query_params.get("region", ""))
        language, today = get_language() or "fr", timezone.localdate()
        return Response([contact.as_json(language[:2], today) for contact in contacts])


class NewestFirst(CursorPagination):
    ordering: tuple[str, ...] = ("-updated_at", "-id")
    page_size = 20
    max_page_size = 100
    page_size_query_param = "limit"


class OldestFirst(NewestFirst):
    ordering: tuple[str, ...] = ("id",)
    page_size = 50


class ConversationsView(APIView):
    async def get(self, request: Request) -> HttpResponseBase:
        return await _page(request, NewestFirst(), Conversation.objects.all(), conversation_json)


class ConversationView(APIView):
    async def get(self, request: Request, conversation_id: int) -> HttpResponseBase:
        conversation = await run_as(_theirs, conversation_id)
        return _unless_known(request, conversation_json(conversation))

    async def patch(self, request: Request, conversation_id: int) -> Response:
        asked = TitleSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        renamed = await run_as(_rename, conversation_id, asked.validated_data["title"])
        return Response(conversation_json(renamed))

    async def delete(self, request: Request, conversation_id: int) -> Response:
        await run_as(_erase, conversation_id)
        return Response(status=204)


class MessagesView(APIView):
    async def get(self, request: Request, conversation_id: int) -> HttpResponseBase:
        await run_as(_theirs, conversation_id)
        messages = Message.objects.filter(conversation_id=conversation_id)
        return await _page(request, OldestFirst(), messages, message_json)


def _theirs(conversation_id: int) -> Conversation:
    found = Conversation.objects.filter(pk=conversation_id).first()
    if found is None:
        raise NotFound("There is no such conversation.")
    return found


def _rename(conversation_id: int, title: str) -> Conversation:
    conversation = _theirs(conversation_id)
    conversation.title = title
    conversation.save(update_fields=["title", "updated_at"])
    return conversation


def _erase(conversation_id: int) -> None:
    _theirs(conversation_id)
    Conversation.objects.filter(pk=conversation_id).delete()


async def _page(
    request: Request, pages: CursorPagination, rows: Any, shape: Any
) -> HttpResponseBase:
    def read() -> dict[str, Any]:
        page = pages.paginate_queryset(rows, request)
        body: dict[str, Any] = pages.get_paginated_response([shape(row) for row in page]).data
        return body

    return _unless_known(request, await run_as(read))


def _unless_known(request: Request, body: dict[str, Any]) -> HttpResponseBase:
    """The body with its ETag, or 304 where the client has it already."""
    text = json.dumps(body, sort_keys=True, ensure_ascii=False)
    etag = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    known = [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]
    if etag in known:
        return HttpResponse(status=304, headers={"ETag": etag})
    return Response(body, headers={"ETag": etag, "Cache-Control": "private, no-cache"})
