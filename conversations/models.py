"""What was said. Two of the seed's tables (`conversations`, `messages`) and what a turn needs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.fields import EncryptedBinaryField, EncryptedTextField
from carehelp.database.owned import ALL, Grants, Ownership, PatientOwned

READABLE_CASE = (
    "EXISTS (SELECT 1 FROM cases AS c WHERE c.conversation_id = {column} AND c.readable)"
)


def belongs_to(parent: str, **options: Any) -> models.ForeignKey:
    """A link whose row goes when its parent goes, by the database's own cascade."""
    options.setdefault("related_name", "+")
    return models.ForeignKey(parent, on_delete=models.DO_NOTHING, db_constraint=False, **options)


class Conversation(PatientOwned):
    """`context` is JSON: what triage knows of each subject, and a summary of what was left out."""

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    user = belongs_to(settings.AUTH_USER_MODEL)
    title: Any = EncryptedTextField(null=True)
    context: Any = EncryptedTextField(null=True)
    language = models.CharField(max_length=12, default="fr")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField(null=True)

    ownership = Ownership(
        retention="When its patient erases it; an hour after the last message without store_history.",
        patient=Grants(
            select=ALL,
            insert=ALL,
            update=("title", "context", "language", "updated_at", "expires_at"),
            delete=True,
        ),
        clinician=Grants(select=ALL, where=READABLE_CASE.format(column="conversations.id")),
        worker=Grants(select=("id", "expires_at"), delete=True, where="expires_at IS NOT NULL"),
        export=("id", "title", "language", "created_at", "updated_at"),
    )

    class Meta:
        db_table = "conversations"
        indexes = [
            models.Index(fields=["user", "-updated_at", "-id"], name="conversations_of_user"),
            models.Index(fields=["expires_at"], name="conversations_expiring"),
        ]


class Message(PatientOwned):
    """A patient's question, Carehelp's reply, or a clinician's.

    A reply is inserted empty and `running` with its question; from then on only the process that
    holds its lease writes it. `details` is JSON, the rest of what the doors answer (triage, sources,
    provider, mode…), encrypted because it quotes the patient; of a question what came with the words
    (`attachments`, and whose transcript it `corrects`), null where nothing did.
    """

    class Role(models.TextChoices):
        USER = "user"
        ASSISTANT = "assistant"
        CLINICIAN = "clinician"

    class Status(models.TextChoices):
        RUNNING = "running"
        COMPLETED = "completed"
        STOPPED = "stopped"
        INTERRUPTED = "interrupted"
        FAILED = "failed"

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    user = belongs_to(settings.AUTH_USER_MODEL)
    conversation = belongs_to("conversations.Conversation", related_name="messages")
    role = models.CharField(max_length=10, choices=Role)
    content: Any = EncryptedTextField(null=True)
    details: Any = EncryptedTextField(null=True)
    language = models.CharField(max_length=12, default="fr")
    level = models.CharField(max_length=10, default="none")
    status = models.CharField(max_length=12, choices=Status, default=Status.COMPLETED)
    client_message_id = models.CharField(max_length=64, null=True)  # noqa: DJ001  unique, or absent
    question = belongs_to("self", null=True)
    runner = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True)

    ownership = Ownership(
        retention="With its conversation.",
        parent=("conversation_id", "conversations"),
        patient=Grants(
            select=ALL,
            insert=ALL,
            insert_check=(
                "(role = 'user' AND status = 'completed') OR "
                "(role = 'assistant' AND status = 'running' AND content IS NULL)"
            ),
            update=("status", "completed_at"),
            update_where="role = 'assistant' AND status = 'running'",
            update_check="role = 'assistant' AND status = 'stopped'",
        ),
        clinician=Grants(select=ALL, where=READABLE_CASE.format(column="messages.conversation_id")),
        worker=Grants(
            select=("id", "role", "status", "runner", "leased_until"),
            update=(
                "content",
                "details",
                "status",
                "leased_until",
                "completed_at",
                "language",
                "level",
            ),
            where="role = 'assistant'",
            update_where="role = 'assistant' AND status = 'running'",
            update_check="role = 'assistant'",
        ),
        export=("id", "conversation_id", "role", "content", "language", "level", "created_at"),
    )

    @cached_property
    def came_with(self) -> dict[str, Any]:
        """Of a question: the `attachments` that it was sent with, and which message it `corrects`."""
        question = self.role == self.Role.USER and self.details is not None
        return json.loads(self.details) if question else {}

    @cached_property
    def attached(self) -> list[Attachment]:
        """No query for a message that came alone."""
        if not self.came_with.get("attachments"):
            return []
        return list(Attachment.objects.filter(message_id=self.pk).order_by("id"))

    @property
    def words(self) -> str:
        """What was said, and what was heard or seen in what came with it; of a reply that its own
        process did not end, its chunks up to a gap.

        Chunks may overlap: a flush whose commit was lost on the way back is written again, longer.
        """
        if self.role == self.Role.USER:
            said = [self.content or "", *(one.told for one in self.attached)]
            return "\n".join(part for part in said if part)
        if self.content is not None or self.role != self.Role.ASSISTANT:
            return self.content or ""
        text = ""
        for chunk in ReplyChunk.objects.filter(reply_id=self.pk).order_by("start", "id"):
            if chunk.start <= len(text):
                text += chunk.content[len(text) - chunk.start :]
        return text

    class Meta:
        db_table = "messages"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "client_message_id"],
                condition=Q(client_message_id__isnull=False),
                name="one_message_per_client_message_id",
            ),
            models.UniqueConstraint(
                fields=["conversation"],
                condition=Q(status="running"),
                name="one_running_turn_per_conversation",
            ),
        ]
        indexes = [
            models.Index(fields=["conversation", "id"], name="messages_of_conversation"),
            models.Index(fields=["question"], name="messages_by_question"),
            models.Index(
                fields=["leased_until"], condition=Q(status="running"), name="messages_running"
            ),
        ]


def without_misheard(rows: Iterable[Message], corrects: int | None = None) -> list[Message]:
    """Leaves out what was heard wrongly and corrected since (lastly by a message that `corrects` it),
    and the replies to it.
    """
    kept = list(rows)
    misheard = {corrects, *(row.came_with.get("corrects") for row in kept)} - {None}
    return [row for row in kept if not misheard & {row.pk, row.question_id}]


class ReplyChunk(PatientOwned):
    """A piece of a reply, characters `start` to `end`, folded into it by the process that ends it.

    Of a reply that another process ended (a stop elsewhere, an interruption) they stay as they are.
    """

    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    user = belongs_to(settings.AUTH_USER_MODEL)
    reply = belongs_to("conversations.Message", related_name="chunks")
    start = models.IntegerField()
    end = models.IntegerField()
    content: Any = EncryptedTextField()

    ownership = Ownership(
        retention="With its reply; gone once folded into it.",
        parent=("reply_id", "messages"),
        patient=Grants(select=ALL),
        worker=Grants(select=("id", "reply_id"), insert=ALL, delete=True),
        export=("id", "reply_id", "start", "content"),
    )

    class Meta:
        db_table = "reply_chunks"
        indexes = [models.Index(fields=["reply", "start"], name="chunks_of_reply")]


class Attachment(PatientOwned):
    """A recording or a picture, on its way or complete; its bytes are its pieces.

    While it is sent in pieces they are the client's; once `complete` they are a copy made anew by
    `ai.media` (FLAC or JPEG) and `mime_type` says what had been sent. `words` is what was heard or
    seen in it.
    """

    class Kind(models.TextChoices):
        AUDIO = "audio"
        IMAGE = "image"

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    user = belongs_to(settings.AUTH_USER_MODEL)
    message = belongs_to("conversations.Message", null=True)
    client_key = models.CharField(max_length=64, null=True)  # noqa: DJ001  unique, or absent
    kind = models.CharField(max_length=5, choices=Kind, blank=True, default="")
    mime_type = models.CharField(max_length=40, blank=True, default="")
    size = models.IntegerField()
    received = models.IntegerField(default=0)
    complete = models.BooleanField(default=False)
    duration_s = models.FloatField(null=True)
    words: Any = EncryptedTextField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    ownership = Ownership(
        retention="With its message; an hour after it came where no message took it.",
        parent=("message_id", "messages"),
        patient=Grants(
            select=ALL,
            insert=ALL,
            insert_check="message_id IS NULL",
            update=(
                "message_id",
                "kind",
                "mime_type",
                "received",
                "complete",
                "duration_s",
                "words",
            ),
            update_check=(
                "message_id IS NULL OR EXISTS (SELECT 1 FROM messages AS parent "
                "WHERE parent.id = message_id AND parent.user_id = (SELECT app.uid()))"
            ),
            delete=True,
        ),
        clinician=Grants(
            select=ALL,
            where=READABLE_CASE.format(
                column="(SELECT conversation_id FROM messages AS m WHERE m.id = message_id)"
            ),
        ),
        worker=Grants(
            select=("id", "message_id", "created_at"), delete=True, where="message_id IS NULL"
        ),
        export=(
            "id",
            "message_id",
            "kind",
            "mime_type",
            "size",
            "duration_s",
            "words",
            "created_at",
        ),
    )

    @property
    def told(self) -> str:
        """Its words as part of a message: what was heard is the patient's, what was seen is not."""
        if not self.words or self.kind == self.Kind.AUDIO:
            return self.words or ""
        return f"[photo: {self.words}]"

    class Meta:
        db_table = "attachments"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "client_key"],
                condition=Q(client_key__isnull=False),
                name="one_attachment_per_client_key",
            ),
        ]
        indexes = [
            models.Index(fields=["message"], name="attachments_of_message"),
            models.Index(
                fields=["created_at"],
                condition=Q(message__isnull=True),
                name="attachments_waiting",
            ),
        ]


class AttachmentPiece(PatientOwned):
    """Bytes of an attachment, from `start` on."""

    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    user = belongs_to(settings.AUTH_USER_MODEL)
    attachment = belongs_to("conversations.Attachment", related_name="pieces")
    start = models.IntegerField()
    content: Any = EncryptedBinaryField()

    ownership = Ownership(
        retention="With its attachment.",
        parent=("attachment_id", "attachments"),
        patient=Grants(select=ALL, insert=ALL, delete=True),
        export=("id", "attachment_id", "start", "content"),
    )

    class Meta:
        db_table = "attachment_pieces"
        constraints = [
            models.UniqueConstraint(
                fields=["attachment", "start"], name="one_piece_per_start_of_attachment"
            ),
        ]


class ErasedMessage(PatientOwned):
    """That a message with this id was sent and has been erased: it is not to be answered again.

    Written by a trigger when a message goes, whoever erased it.
    """

    user = belongs_to(settings.AUTH_USER_MODEL)
    client_message_id = models.CharField(max_length=64)

    ownership = Ownership(
        retention="With the account.",
        patient=Grants(select=ALL),
        gate=Grants(select=("user_id", "client_message_id"), insert=ALL),
    )

    class Meta:
        db_table = "erased_messages"
        indexes = [models.Index(fields=["user", "client_message_id"], name="erased_by_user")]


class Case(PatientOwned):
    """An emergency for a clinician to review.

    Without the patient's `clinician_review` it is not `readable`: it holds level, rule ids and
    times, and opens no conversation. `claimed_by_name` is how the clinician is called to the patient
    and to colleagues, who may not read each other's accounts.
    """

    user = belongs_to(settings.AUTH_USER_MODEL)
    conversation = belongs_to("conversations.Conversation", related_name="cases")
    message = belongs_to("conversations.Message")
    level = models.CharField(max_length=10)
    rules = models.JSONField(default=list)
    readable = models.BooleanField(default=False)
    opened_at = models.DateTimeField(auto_now_add=True)
    claimed_by = models.UUIDField(null=True)
    claimed_by_name = models.CharField(max_length=200, blank=True, default="")
    claimed_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    ownership = Ownership(
        retention="With its conversation.",
        parent=("conversation_id", "conversations"),
        patient=Grants(
            select=ALL,
            insert=(
                "user_id",
                "conversation_id",
                "message_id",
                "level",
                "rules",
                "readable",
                "opened_at",
                "claimed_by",
                "claimed_by_name",
                "claimed_at",
                "closed_at",
            ),
            insert_check=(
                "claimed_by IS NULL AND claimed_by_name = '' AND claimed_at IS NULL "
                "AND closed_at IS NULL"
            ),
            update=("readable",),
        ),
        clinician=Grants(
            select=ALL,
            update=("claimed_by", "claimed_by_name", "claimed_at", "closed_at"),
            update_where=(
                "closed_at IS NULL AND (claimed_by IS NULL OR claimed_by = (SELECT app.uid()))"
            ),
            update_check="claimed_by IS NULL OR claimed_by = (SELECT app.uid())",
        ),
        export=("id", "conversation_id", "level", "rules", "opened_at", "claimed_at", "closed_at"),
    )

    class Meta:
        db_table = "cases"
        indexes = [models.Index(fields=["closed_at", "-opened_at"], name="cases_open_first")]
