"""What is refused for its form, or for want of a token, is read all the same: danger is answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from rest_framework.request import Request

from carehelp.errors import CarehelpError
from carehelp.problem import from_exception
from conversations import turn
from conversations.incoming import Incoming
from conversations.rendering import triage_json

READ_AT_MOST = 1000
LONGEST_READ = 20_000


def with_triage(error: CarehelpError, messages: Iterable[Any]) -> CarehelpError:
    """The error, its problem carrying the triage of the worst of these messages."""
    texts = [text for text in messages if isinstance(text, str) and text.strip()]
    readings = [
        turn.read(Incoming(UUID(int=0), text[:LONGEST_READ])) for text in texts[:READ_AT_MOST]
    ]
    if readings:
        worst = max(readings, key=lambda reading: reading.level.rank)
        error.members.setdefault("triage", triage_json(worst))
    return error


def refused(exc: Exception, request: Request) -> Exception:
    """As `with_triage`, for whatever a view raised and whatever stands in the request's body."""
    error = from_exception(exc)
    try:
        data = request.data
    except Exception:
        return exc
    if error is None or not isinstance(data, dict):
        return exc
    queued = data.get("queued")
    items = queued if isinstance(queued, list) else []
    sent = [data, *(item for item in items if isinstance(item, dict))]
    return with_triage(error, [one.get("message") for one in sent])
