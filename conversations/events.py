"""What a turn says, in order: the same events over REST, SSE and WebSocket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Accepted:
    """Question and empty reply are committed. `duplicate`: this message had been sent before."""

    type: ClassVar[str] = "accepted"
    conversation_id: int
    message_id: int
    reply_id: int
    client_message_id: str | None = None
    duplicate: bool = False
    reply_uid: UUID | None = None


@dataclass(frozen=True, slots=True)
class Triaged:
    """How urgent it is, before any provider is asked. `details` is what is kept with the reply so
    far, the triage object in it; the turn goes on filling it.
    """

    type: ClassVar[str] = "triage"
    details: dict[str, Any]

    @property
    def triage(self) -> dict[str, Any]:
        triage: dict[str, Any] = self.details["triage"]
        return triage


@dataclass(frozen=True, slots=True)
class Understood:
    """What was heard and seen in what came with the message; a `Triaged` that counts it follows."""

    type: ClassVar[str] = "transcript"
    message_id: int
    reply_id: int
    transcript: str
    attachments: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the answer rests on, numbered as the text cites it."""

    type: ClassVar[str] = "sources"
    reply_id: int
    sources: list[dict[str, Any]]


# Of these two there are dozens a second for each answer, and a frozen one takes three times as long
# to make.
@dataclass(slots=True)
class Text:
    """The next words of the answer, as the turn says them; a live reply numbers them."""

    text: str


@dataclass(slots=True)
class Delta:
    """Characters `offset` to `end` of the reply. Offsets count code points."""

    type: ClassVar[str] = "delta"
    reply_id: int
    offset: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn has ended as `status`; `details` is what is kept beside the text."""

    status: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """The reply as it stands for good: `turn` is what REST answers, `end` its length."""

    type: ClassVar[str] = "done"
    turn: dict[str, Any]
    end: int


@dataclass(frozen=True, slots=True)
class ClinicianSaid:
    """A clinician answered in the thread."""

    type: ClassVar[str] = "clinician_message"
    conversation_id: int
    message_id: int
    text: str
    author_title: str


TurnEvent = Accepted | Triaged | Understood | Sources | Text | Finished
"""What `take_turn` yields."""

Event = Accepted | Triaged | Understood | Sources | Delta | Done | ClinicianSaid
"""What a follower sees."""
