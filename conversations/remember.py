"""Step two of a turn: the question and an empty reply, committed before anything can fail.

Runs as the patient, in one transaction; see `open_turn`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts import consents
from accounts.models import User
from carehelp.errors import Conflict, Gone, Invalid, NotFound, TurnInProgress
from conversations import attachments, languages
from conversations.incoming import Incoming
from conversations.models import Attachment, Case, Conversation, ErasedMessage, Message
from conversations.rendering import opening_details
from triage import rulebook
from triage.engine import Assessment, State, assess
from triage.levels import Level

LEASE = timedelta(seconds=settings.TURN_LEASE_SECONDS)
SITTING = timedelta(hours=1)
REVIEW = timedelta(hours=72)
STORE_HISTORY, CLINICIAN_REVIEW = "store_history", "clinician_review"
TITLE_CHARACTERS = 60
RETRYABLE = (Message.Status.INTERRUPTED, Message.Status.FAILED, Message.Status.STOPPED)


@dataclass(frozen=True, slots=True)
class Opened:
    """A turn that is on record. `question` is what is known of the patient's words: what was typed,
    and what was heard or seen in `attached` once that is understood. `assessment` is None for a turn
    that had been sent before; `readings` are all that triage made of it, `details` is what the reply
    begins with. `begins`: nothing was said in this conversation before.
    """

    conversation_id: int
    message_id: int
    reply_id: int
    reply_uid: UUID
    question: str
    language: str
    client_message_id: str | None = None
    assessment: Assessment | None = None
    readings: tuple[Assessment, ...] = ()
    attached: tuple[Attachment, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    begins: bool = False
    consents: frozenset[str] = field(default_factory=frozenset)
    corrects: int | None = None
    names: tuple[str, ...] = ()
    region: str = ""
    duplicate: bool = False


def open_turn(incoming: Incoming, runner: UUID, at: datetime) -> Opened:
    """Commit question and empty reply, or find the turn that this message already started.

    Raises `NotFound` for a conversation that is not theirs, `TurnInProgress` where an answer is
    being written and this is no emergency, `Invalid` where a `client_message_id` comes again with
    other content.
    """
    if incoming.retry_of is not None:
        return _reopen(incoming, runner, at)
    earlier = _already_sent(incoming)
    if earlier is not None:
        return earlier
    _refuse_erased(incoming)
    try:
        return _record(incoming, runner, at)
    except IntegrityError as error:
        if "one_running_turn" in str(error):
            raise TurnInProgress(retry_after=2) from error
        if "one_message_per_client_message_id" in str(error):
            raise SentTwiceAtOnce from error
        raise


def _reopen(incoming: Incoming, runner: UUID, at: datetime) -> Opened:
    """Ask the same question again, with a new reply; the old one stays as it ended.

    Retrying a reply whose question was asked again already finds that newer reply: a client that
    lost the answer to its retry may repeat it.
    """
    reply = Message.objects.filter(pk=incoming.retry_of, role=Message.Role.ASSISTANT).first()
    if reply is None:
        raise NotFound("There is no such reply.")
    if reply.status not in RETRYABLE:
        raise Conflict("Only an answer that was cut off, stopped or failed can be asked again.")
    user = User.objects.get(pk=incoming.user_id)
    agreed = consents.granted(user.pk)
    question = Message.objects.get(pk=reply.question_id)
    again = replace(
        incoming,
        text=question.content or "",
        conversation_id=question.conversation_id,
        language=question.language,
    )
    conversation = _conversation(again, user, agreed)
    newest = _newest_reply(question)
    if newest.pk != reply.pk:
        return _opened(question, newest, duplicate=True)
    assessment = _assess(again, conversation, at)
    _make_way(conversation, assessment.level is Level.EMERGENCY)
    return _answering(question, assessment, runner, user, agreed)


class SentTwiceAtOnce(Conflict):
    """The same message is being recorded by another request: look it up and follow that turn."""


def _already_sent(incoming: Incoming) -> Opened | None:
    if incoming.client_message_id is None:
        return None
    message = Message.objects.filter(
        user_id=incoming.user_id, client_message_id=incoming.client_message_id
    ).first()
    if message is None:
        return None
    sent = (message.content, message.came_with)
    if sent != (incoming.text, _came_with(incoming)):
        raise Invalid("This client_message_id was used for another message.")
    return _opened(message, _newest_reply(message), duplicate=True)


def _newest_reply(question: Message) -> Message:
    return Message.objects.filter(question=question, role=Message.Role.ASSISTANT).latest("id")


def _refuse_erased(incoming: Incoming) -> None:
    sent = Q(user_id=incoming.user_id, client_message_id=incoming.client_message_id)
    if incoming.client_message_id and ErasedMessage.objects.filter(sent).exists():
        raise Gone("This message was answered, and has been erased since.")


def _record(incoming: Incoming, runner: UUID, at: datetime) -> Opened:
    user = User.objects.get(pk=incoming.user_id)
    agreed = consents.granted(user.pk)
    conversation = _conversation(incoming, user, agreed)
    begins = conversation.pk is None
    # Again, now that the conversation is ours: the same message may have come by another door.
    earlier = None if begins else _already_sent(incoming)
    if earlier is not None:
        return earlier
    assessment = _assess(incoming, conversation, at)
    emergency = assessment.level is Level.EMERGENCY
    if not begins:
        _make_way(conversation, emergency, corrects=incoming.corrects)
    message = _question(incoming, conversation, assessment)
    attachments.claim(incoming.attachments, message, lenient=emergency)
    if emergency:
        open_case(message, assessment, agreed)
    opened = _answering(message, assessment, runner, user, agreed)
    return replace(opened, begins=begins)


def _conversation(incoming: Incoming, user: User, agreed: frozenset[str]) -> Conversation:
    """Theirs and locked until the end of this transaction, or a new one that is not saved yet."""
    wanted = _corrected_in(incoming) if incoming.corrects else incoming.conversation_id
    if wanted is None:
        return Conversation(
            user=user,
            title=title(incoming.text),
            language=user.preferred_language,
            expires_at=_expiry(agreed, None),
        )
    found = Conversation.objects.select_for_update().filter(pk=wanted).first()
    if found is None:
        raise NotFound("There is no such conversation.")
    found.expires_at = _expiry(agreed, found.expires_at)
    return found


def title(words: str) -> str | None:
    """The first line, shortened; None while nothing was said."""
    return words.strip().partition("\n")[0][:TITLE_CHARACTERS].strip() or None


def _corrected_in(incoming: Incoming) -> int:
    """The conversation of the message that this one corrects: one of theirs that had to be heard."""
    found = Message.objects.filter(pk=incoming.corrects, role=Message.Role.USER).first()
    if found is None or incoming.conversation_id not in (None, found.conversation_id):
        raise NotFound("There is no such message.")
    if not found.came_with.get("attachments"):
        raise Conflict("Only what was heard or seen in a recording or a picture can be corrected.")
    conversation_id: int = found.conversation_id
    return conversation_id


def _expiry(agreed: frozenset[str], before: datetime | None) -> datetime | None:
    """Without `store_history` a conversation lives for its sitting; a later end stays."""
    if STORE_HISTORY in agreed:
        return None
    sitting = timezone.now() + SITTING
    return max(sitting, before) if before else sitting


def _assess(incoming: Incoming, conversation: Conversation, at: datetime) -> Assessment:
    assessment, state = assess(
        incoming.text,
        rulebook.current(),
        state=known_state(conversation),
        declared=incoming.subject,
        language=_language(incoming, conversation),
        at=at,
    )
    if incoming.text:
        keep_state(conversation, state, assessment.language)
    else:
        # Nothing was said yet: that establishes nothing, until what came with it is understood.
        _save(conversation, "updated_at", "expires_at")
    return assessment


def _language(incoming: Incoming, conversation: Conversation) -> str:
    """As asked for, else as it is written; a message that hardly tells keeps the conversation's."""
    fresh = incoming.conversation_id is None and incoming.corrects is None
    return languages.of_message(
        incoming.language, incoming.text, conversation.language, fresh=fresh
    )


def known_state(conversation: Conversation) -> State | None:
    """What triage knows of each subject of a conversation."""
    context = json.loads(conversation.context or "{}")
    return State.from_json(context["triage"]) if "triage" in context else None


def keep_state(conversation: Conversation, state: State, language: str) -> None:
    context = json.loads(conversation.context or "{}")
    conversation.context = json.dumps(context | {"triage": state.to_json()})
    conversation.language = language
    _save(conversation, "context", "language", "updated_at", "expires_at")


def _save(conversation: Conversation, *changed: str) -> None:
    """The fields that changed; a new one whole."""
    conversation.save(update_fields=changed if conversation.pk else None)


def _make_way(conversation: Conversation, emergency: bool, *, corrects: int | None = None) -> None:
    """One running turn a conversation; an emergency stops it, a correction stops the answer to what
    was misheard, anything else waits its turn.
    """
    running = Message.objects.filter(conversation=conversation, status=Message.Status.RUNNING)
    if corrects is not None:
        mistaken = running.filter(question_id=corrects)
        mistaken.update(status=Message.Status.STOPPED, completed_at=Now())
    if emergency:
        running.update(status=Message.Status.STOPPED, completed_at=Now())
    elif running.exists():
        raise TurnInProgress(retry_after=2)


def _question(incoming: Incoming, conversation: Conversation, assessment: Assessment) -> Message:
    return Message.objects.create(
        user_id=incoming.user_id,
        conversation=conversation,
        role=Message.Role.USER,
        content=incoming.text,
        details=json.dumps(_came_with(incoming)) if _came_with(incoming) else None,
        language=assessment.language,
        level=assessment.level,
        client_message_id=incoming.client_message_id,
    )


def _came_with(incoming: Incoming) -> dict[str, Any]:
    """What a question keeps besides its words; see `Message.came_with`."""
    sent = {"attachments": list(incoming.attachments), "corrects": incoming.corrects}
    return {name: value for name, value in sent.items() if value}


def _answering(
    question: Message, assessment: Assessment, runner: UUID, user: User, agreed: frozenset[str]
) -> Opened:
    """With a reply that is empty but for its triage, which a process that dies takes with it not."""
    details = opening_details(assessment, question.language, user.region or "")
    reply = Message.objects.create(
        user_id=question.user_id,
        conversation_id=question.conversation_id,
        role=Message.Role.ASSISTANT,
        status=Message.Status.RUNNING,
        details=json.dumps(details, ensure_ascii=False),
        question=question,
        language=question.language,
        level=question.level,
        runner=runner,
        leased_until=Now() + LEASE,
    )
    return replace(
        _opened(question, reply),
        assessment=assessment,
        readings=(assessment,),
        attached=tuple(question.attached),
        details=details,
        consents=agreed,
        names=(user.full_name,) if user.full_name else (),
        region=user.region or "",
    )


def open_case(message: Message, assessment: Assessment, agreed: frozenset[str]) -> None:
    """An emergency for a clinician, who may take three days where the patient allows it."""
    Case.objects.create(
        user_id=message.user_id,
        conversation_id=message.conversation_id,
        message=message,
        level=assessment.level,
        rules=[match.id for match in assessment.matches],
        readable=CLINICIAN_REVIEW in agreed,
    )
    if CLINICIAN_REVIEW in agreed and STORE_HISTORY not in agreed:
        conversation = Conversation.objects.filter(pk=message.conversation_id)
        conversation.update(expires_at=timezone.now() + REVIEW)


def _opened(message: Message, reply: Message, *, duplicate: bool = False) -> Opened:
    return Opened(
        conversation_id=message.conversation_id,
        message_id=message.pk,
        reply_id=reply.pk,
        reply_uid=reply.uid,
        question=message.content or "",
        language=message.language,
        client_message_id=message.client_message_id,
        corrects=message.came_with.get("corrects"),
        duplicate=duplicate,
    )
