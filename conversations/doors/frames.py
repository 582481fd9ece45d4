"""An event as the JSON that SSE and WebSocket both send."""

from __future__ import annotations

from typing import Any

from carehelp.errors import CarehelpError
from carehelp.problem import as_problem
from conversations.doors.lean import lean, lean_triage
from conversations.events import (
    Accepted,
    ClinicianSaid,
    Delta,
    Done,
    Event,
    Sources,
    Triaged,
    Understood,
)

TOLD_BEFORE = {
    *("response", "triage", "sources", "transcript", "attachments"),
    *("conversation_id", "message_id", "client_message_id", "duplicate"),
}


def frame_of(event: Event, save_data: bool = False) -> dict[str, Any]:
    """The body of a frame, without its type. `done` carries `end` in place of the text.

    With `save_data` nothing is said twice: `done` leaves out triage and sources, told before.
    """
    match event:
        case Delta():
            return {
                "reply_id": event.reply_id,
                "offset": event.offset,
                "end": event.end,
                "text": event.text,
            }
        case Accepted():
            return {
                "client_message_id": event.client_message_id,
                "conversation_id": event.conversation_id,
                "message_id": event.message_id,
                "reply_id": event.reply_id,
                "duplicate": event.duplicate,
            }
        case Triaged():
            return lean_triage(event.triage) if save_data else event.triage
        case Understood():
            return {
                "message_id": event.message_id,
                "reply_id": event.reply_id,
                "transcript": event.transcript,
                "attachments": event.attachments,
            }
        case Sources():
            return {"reply_id": event.reply_id, "sources": event.sources}
        case ClinicianSaid():
            return {
                "conversation_id": event.conversation_id,
                "message_id": event.message_id,
                "text": event.text,
                "author_title": event.author_title,
            }
        case Done():
            said = TOLD_BEFORE if save_data else {"response"}
            told = lean(event.turn) if save_data else event.turn
            return {key: value for key, value in told.items() if key not in said} | {
                "end": event.end
            }


def problem_frame(error: CarehelpError) -> dict[str, Any]:
    """The body of `error`: a problem whose own `type`, which a frame has already, is `problem`."""
    problem = as_problem(error)
    return {"problem": problem.pop("type"), **problem}
