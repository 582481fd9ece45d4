"""Step three of a turn: recordings are heard and pictures looked at, then triage reads again.

A transcript counts as the patient's words. What a model says of a picture may only raise. What cannot
be understood is `unknown`, which is not harmless; a provider that fails never fails the turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from ai import ladder
from ai.base import Media
from ai.ladder import Answered, NobodyAnswered, Reason
from carehelp.database.identity import run_as
from carehelp.errors import CarehelpError
from conversations import attachments, languages, remember
from conversations.incoming import Incoming
from conversations.models import Attachment, Conversation, Message
from conversations.remember import Opened
from conversations.rendering import opening_details
from triage import rulebook
from triage.engine import Assessment, State, assess
from triage.levels import Level

logger = logging.getLogger(__name__)

NOTHING_HEARD, FAILED = "nothing_understood", "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one attachment: its words, or the reason why there are none."""

    attachment: Attachment
    text: str = ""
    reason: str | None = None
    provider: str | None = None
    model: str | None = None

    @property
    def heard(self) -> bool:
        return self.attachment.kind == Attachment.Kind.AUDIO

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.attachment.pk,
            "kind": self.attachment.kind,
            "text": self.text or None,
            "understood": bool(self.text),
            "reason": self.reason,
            "provider": self.provider,
            "model": self.model,
        }


async def understand(opened: Opened, incoming: Incoming, abroad: bool, why_not: Reason) -> Opened:
    """The turn as it stands once everything that came with it was heard and seen, and is on record."""
    looks = [_look(one, opened, incoming, abroad, why_not) for one in opened.attached]
    found = await asyncio.gather(*looks)
    return await run_as(_count_in, opened, incoming, found, timezone.now())


def picture_raises(seen: Assessment, before: Assessment | None) -> bool:
    """Whether a picture's description counts: where it names danger that the words did not."""
    return bool(seen.matches) and (before is None or seen.level.rank > before.level.rank)


async def _look(
    one: Attachment, opened: Opened, incoming: Incoming, abroad: bool, why_not: Reason
) -> Finding:
    if one.words:
        return Finding(one, one.words)
    try:
        media = await attachments.load(one)
        answered = await _asked(one, media, opened, incoming, abroad, why_not)
    except NobodyAnswered as nobody:
        return Finding(one, reason=nobody.reason)
    except CarehelpError as error:
        return Finding(one, reason=error.code)
    except Exception:
        logger.exception("an attachment could not be understood")
        return Finding(one, reason=FAILED)
    text = answered.result.strip()
    return Finding(one, text, None if text else NOTHING_HEARD, answered.provider, answered.model)


async def _asked(
    one: Attachment,
    media: Media,
    opened: Opened,
    incoming: Incoming,
    abroad: bool,
    why_not: Reason,
) -> Answered[str]:
    if one.kind == Attachment.Kind.IMAGE:
        return await ladder.describe(
            media,
            question=opened.question,
            language=opened.language,
            abroad=abroad,
            reason_if_not_abroad=why_not,
            known_names=opened.names,
        )
    language = None if incoming.language == "auto" else incoming.language
    heard = await ladder.transcribe(
        media, language=language, abroad=abroad, reason_if_not_abroad=why_not
    )
    return Answered(heard.result.text, heard.provider, heard.model, heard.fell_back, heard.reason)


def _count_in(opened: Opened, incoming: Incoming, found: Sequence[Finding], at: datetime) -> Opened:
    """Keep what was understood, and what triage makes of it; an emergency opens a case."""
    conversation = Conversation.objects.select_for_update().get(pk=opened.conversation_id)
    _keep_words(found)
    question = Message.objects.get(pk=opened.message_id)
    reading = _read(opened, incoming, found, remember.known_state(conversation), at)
    worst = reading.worst
    assert worst is not None
    if not conversation.title:
        conversation.title = remember.title(question.words)
        conversation.save(update_fields=["title"])
    if reading.state is not None:
        remember.keep_state(conversation, reading.state, worst.language)
    if worst.level is Level.EMERGENCY:
        remember.open_case(question, worst, opened.consents)
    return replace(
        opened,
        question=question.words,
        language=worst.language,
        assessment=worst,
        readings=(*opened.readings, *reading.readings),
        details=opened.details
        | opening_details(worst, worst.language, opened.region)
        | _told(found),
    )


def _keep_words(found: Sequence[Finding]) -> None:
    for finding in found:
        if finding.text and not finding.attachment.words:
            finding.attachment.words = finding.text
            finding.attachment.save(update_fields=["words"])


def _told(found: Sequence[Finding]) -> dict[str, Any]:
    transcript = "\n".join(finding.text for finding in found if finding.heard and finding.text)
    return {
        "transcript": transcript or None,
        "attachments": [finding.as_json() for finding in found],
    }


@dataclass(slots=True)
class Reading:
    """What triage knows while it reads on. `worst` is None while nobody has said anything."""

    worst: Assessment | None
    state: State | None
    readings: tuple[Assessment, ...] = ()

    def count(self, now: Assessment, after: State) -> None:
        self.state = after
        self.readings += (now,)
        if self.worst is None or now.level.rank >= self.worst.level.rank:
            self.worst = now


def _read(
    opened: Opened,
    incoming: Incoming,
    found: Sequence[Finding],
    state: State | None,
    at: datetime,
) -> Reading:
    typed = bool(opened.question)
    reading = Reading(opened.assessment if typed else None, state)
    if typed and state is not None:
        # What was asked because of the typed words has not been read by anybody yet.
        reading.state = replace(state, asked=())
    for text, is_theirs in _texts(found):
        now, after = _assess(text, opened, incoming, reading.state, at)
        if is_theirs or picture_raises(now, reading.worst):
            reading.count(now, after)
    if reading.worst is None:
        reading.count(*_assess("", opened, incoming, reading.state, at))
    return reading


def _texts(found: Sequence[Finding]) -> Iterator[tuple[str, bool]]:
    """What triage reads, and whether it is the patient's own: words, or that they were not heard."""
    for finding in found:
        yield finding.text, finding.heard or not finding.text


def _assess(
    text: str, opened: Opened, incoming: Incoming, state: State | None, at: datetime
) -> tuple[Assessment, State]:
    fresh = incoming.conversation_id is None
    return assess(
        text,
        rulebook.current(),
        state=state,
        declared=incoming.subject,
        language=languages.of_message(incoming.language, text, opened.language, fresh=fresh),
        at=at,
    )
