"""What was said before a question: the latest messages, and a summary of those left out.

The summary is the patient's own words, chosen by rules: of each message left out the sentence that
tells most. It is kept, encrypted, in the conversation's `context`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from django.db import Error as DatabaseError

from carehelp.database.identity import run_as
from carehelp.errors import Unavailable
from conversations.models import Conversation, Message, without_misheard
from conversations.remember import Opened
from triage import rulebook

logger = logging.getLogger(__name__)

MESSAGES = 16
AT_ONCE = 50
"""Messages left out that are summed up in one turn."""

LINES, LINE = 8, 160
FIRST_LINES = 2
"""Of a summary that is too long the beginning stays, which says what brought them, and the end."""

_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")


@dataclass(frozen=True, slots=True)
class Said:
    role: Literal["user", "assistant"]
    text: str
    message_id: int = 0


@dataclass(frozen=True, slots=True)
class Earlier:
    said: list[Said]
    summary: str = ""


Choose = Callable[[Sequence[Said]], list[Said]]


async def before(opened: Opened, that_fit: Choose) -> Earlier:
    """Never raises for a database that is down: an answer can do without."""
    if opened.begins:
        return Earlier([])
    try:
        return await run_as(_before, opened, that_fit)
    except (DatabaseError, Unavailable) as error:
        logger.warning("answering without the history: %s", type(error).__name__)
        return Earlier([])


def _before(opened: Opened, that_fit: Choose) -> Earlier:
    rows = _earlier(opened).order_by("-id")[:MESSAGES]
    heard = without_misheard(rows, opened.corrects)
    kept = that_fit([said for row in reversed([*heard]) if (said := _said(row))])
    oldest = kept[0].message_id if kept else opened.message_id
    return Earlier(kept, _summary(opened, oldest))


def _earlier(opened: Opened):  # type: ignore[no-untyped-def]
    return Message.objects.filter(conversation_id=opened.conversation_id, id__lt=opened.message_id)


def _said(row: Message) -> Said | None:
    role: Literal["user", "assistant"] = "user" if row.role == Message.Role.USER else "assistant"
    return Said(role, row.words, row.pk) if row.words else None


def _summary(opened: Opened, oldest: int) -> str:
    """The summary up to the oldest message that is sent whole; kept where it has grown."""
    conversation = Conversation.objects.select_for_update().get(pk=opened.conversation_id)
    context = json.loads(conversation.context or "{}")
    kept = context.get("summary") or {"until": 0, "lines": []}
    left_out = _earlier(opened).filter(id__gt=kept["until"], id__lt=oldest).order_by("id")[:AT_ONCE]
    rows = list(left_out)
    if rows:
        patient = [row.words for row in rows if row.role == Message.Role.USER and row.words]
        kept = {"until": rows[-1].pk, "lines": shortened([*kept["lines"], *map(telling, patient)])}
        conversation.context = json.dumps(context | {"summary": kept})
        conversation.save(update_fields=["context"])
    return "\n".join(f"- {line}" for line in kept["lines"])


def telling(message: str) -> str:
    """The sentence of a message in which triage reads most signs, else its first."""
    sentences = [s.strip() for s in _SENTENCE.findall(message) if s.strip()] or [message.strip()]
    return max(sentences, key=_signs)[:LINE]


def _signs(sentence: str) -> int:
    return len(rulebook.current().reader.read(sentence).signs)


def shortened(lines: Iterable[str]) -> list[str]:
    unique = list(dict.fromkeys(lines))
    if len(unique) <= LINES:
        return unique
    return unique[:FIRST_LINES] + unique[FIRST_LINES - LINES :]
