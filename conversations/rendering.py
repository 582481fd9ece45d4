"""A turn and a message as clients see them. One shape, whichever door asks."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

from conversations import wording
from conversations.events import Accepted
from conversations.models import Attachment, Conversation, Message
from triage import render, rulebook
from triage.engine import Assessment


def triage_json(
    assessment: Assessment, language: str | None = None, region: str = ""
) -> dict[str, Any]:
    """The triage object, with the numbers to call where there is reason to."""
    contacts = rulebook.contacts(region)
    return render.as_json(assessment, language, contacts, unsigned=settings.UNSIGNED_CONTENT)


def opening_details(assessment: Assessment, language: str, region: str) -> dict[str, Any]:
    """What is kept beside a reply's text from its first moment on; the turn adds to it."""
    return {
        "language": language,
        "triage": triage_json(assessment, language, region),
        "disclaimer": wording.say(wording.DISCLAIMER, language),
        "sources": [],
    }


def turn_json(
    accepted: Accepted, status: str, text: str, details: dict[str, Any]
) -> dict[str, Any]:
    """What POST /api/chat answers and what `done` carries."""
    triage = details.get("triage") or {}
    return {
        "conversation_id": accepted.conversation_id,
        "message_id": accepted.message_id,
        "reply_id": accepted.reply_id,
        "client_message_id": accepted.client_message_id,
        "duplicate": accepted.duplicate,
        "status": status,
        "response": text,
        "language": details.get("language"),
        "emergency": triage.get("level") == "emergency",
        "triage": triage or None,
        "transcript": details.get("transcript"),
        "attachments": details.get("attachments", []),
        "disclaimer": details.get("disclaimer"),
        "sources": details.get("sources", []),
        "provider": details.get("provider"),
        "model": details.get("model"),
        "mode": details.get("mode"),
        "mode_reason": details.get("mode_reason"),
    }


def message_json(message: Message) -> dict[str, Any]:
    """One line of a conversation's history."""
    details = json.loads(message.details or "{}")
    shown: dict[str, Any] = {
        "id": message.pk,
        "conversation_id": message.conversation_id,
        "role": message.role,
        "content": message.words,
        "language": message.language,
        "status": message.status,
        "triage_level": message.level,
        "created_at": message.created_at.isoformat(),
    }
    if message.role == Message.Role.USER:
        return shown | {
            "content": message.content or "",
            "client_message_id": message.client_message_id,
            "attachments": [attachment_json(one) for one in message.attached],
            "corrects": message.came_with.get("corrects"),
        }
    return shown | {
        "reply_to": message.question_id,
        "sources": details.get("sources", []),
        "mode": details.get("mode"),
        "mode_reason": details.get("mode_reason"),
    }


def attachment_json(one: Attachment) -> dict[str, Any]:
    """An upload as its patient sees it: how far it has come, and what was heard or seen in it."""
    return {
        "id": one.pk,
        "kind": one.kind or None,
        "mime_type": one.mime_type or None,
        "bytes": one.size,
        "offset": one.received,
        "complete": one.complete,
        "duration_s": one.duration_s,
        "text": one.words,
    }


def conversation_json(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.pk,
        "title": conversation.title or "",
        "language": conversation.language,
        "created_at": conversation.created_at.isoformat(),
        "updated_at": conversation.updated_at.isoformat(),
        "expires_at": conversation.expires_at and conversation.expires_at.isoformat(),
    }
