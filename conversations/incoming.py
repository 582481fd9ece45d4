"""What a door hands to a turn, already checked for form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message of a patient. `subject` is whom it is about, as the API names it; `attachments` are
    uploads of theirs; `corrects` is their earlier message that was heard wrongly; `retry_of` asks the
    question of an ended reply again instead of sending a new one; `brief` wants a short answer.
    """

    user_id: UUID
    text: str = ""
    conversation_id: int | None = None
    language: str = "auto"
    client_message_id: str | None = None
    subject: dict[str, Any] = field(default_factory=dict)
    attachments: tuple[int, ...] = ()
    corrects: int | None = None
    retry_of: int | None = None
    brief: bool = False
