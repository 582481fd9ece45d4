"""What happens in a conversation from now on: other devices' turns, clinicians' replies."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from carehelp.database.identity import acting_as, require_current, run_as
from carehelp.errors import NotFound
from conversations.events import Accepted, ClinicianSaid
from conversations.live.relay import conversation_topic, relay
from conversations.models import Conversation, Message

News = Accepted | ClinicianSaid


async def watch(conversation_id: int) -> AsyncGenerator[News, None]:
    """Turns that begin and clinicians' messages, as the patient who is acting when this is called.

    Raises `NotFound` where the conversation is not theirs.
    """
    principal = require_current()
    async with relay().listening(conversation_topic(conversation_id)) as hint:
        with acting_as(principal):
            last = await run_as(_latest, conversation_id)
        while True:
            await hint.wait()
            with acting_as(principal):
                news, last = await run_as(_since, conversation_id, last)
            for event in news:
                yield event


def _latest(conversation_id: int) -> int:
    if not Conversation.objects.filter(pk=conversation_id).exists():
        raise NotFound("There is no such conversation.")
    newest = Message.objects.filter(conversation_id=conversation_id).order_by("-id").first()
    return newest.pk if newest else 0


def _since(conversation_id: int, last: int) -> tuple[list[News], int]:
    rows = Message.objects.filter(conversation_id=conversation_id, id__gt=last).order_by("id")
    news: list[News] = []
    for row in rows:
        last = row.pk
        if row.role == Message.Role.ASSISTANT:
            news.append(Accepted(conversation_id, row.question_id, row.pk))
        elif row.role == Message.Role.CLINICIAN:
            news.append(ClinicianSaid(conversation_id, row.pk, row.content or "", ""))
    return news, last
