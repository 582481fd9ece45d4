"""The form of what clients send; what it means is decided elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.fields import empty

from ai.language import code_of, codes
from conversations.incoming import Incoming

ATTACHMENTS_AT_ONCE = 4


class LanguageField(serializers.CharField):
    """A language by any of its names, or `auto`."""

    default_error_messages = {"unknown": _("Unknown language; known are: {known}.")}

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        code = "auto" if name.casefold() == "auto" else code_of(name)
        return code or self.fail("unknown", known=", ".join(codes()))


class StrictBooleanField(serializers.BooleanField):
    """JSON's true and false only: `"no"` is a mistake, not a choice."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictCharField(serializers.CharField):
    """A JSON string: a number is a mistake."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WordsField(StrictCharField):
    """What a patient typed; nothing need be where something is attached."""

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        given = super().get_value(dictionary)
        silent = given is empty or given is None or (isinstance(given, str) and not given.strip())
        return _SILENT if silent and dictionary.get("attachments") else given

    def run_validation(self, data: Any = empty) -> str:
        return "" if data is _SILENT else super().run_validation(data)


_SILENT: Any = object()


class IdField(serializers.IntegerField):
    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=2**63 - 1, **options)


class SubjectSerializer(serializers.Serializer[dict[str, Any]]):
    """Whom the message is about."""

    key = StrictCharField(max_length=40, required=False)
    relation = serializers.ChoiceField(["self", "child", "other"], required=False)
    age_years = serializers.FloatField(min_value=0, max_value=130, required=False, allow_null=True)
    age_days = serializers.IntegerField(
        min_value=0, max_value=50000, required=False, allow_null=True
    )
    sex = serializers.ChoiceField(["female", "male"], required=False, allow_null=True)
    pregnant = StrictBooleanField(required=False, allow_null=True)


class ChatSerializer(serializers.Serializer[dict[str, Any]]):
    """`message`, `attachments`, or both. `corrects` is a message of theirs that was heard wrongly."""

    message = WordsField(max_length=settings.MESSAGE_MAX_CHARACTERS)
    conversation_id = IdField(required=False, allow_null=True)
    attachments = serializers.ListField(
        child=IdField(), max_length=ATTACHMENTS_AT_ONCE, required=False
    )
    corrects = IdField(required=False, allow_null=True)
    language = LanguageField(default="auto")
    client_message_id = StrictCharField(max_length=64, required=False, allow_null=True)
    stream = StrictBooleanField(default=False)
    subject = SubjectSerializer(required=False, allow_null=True)


def incoming_of(
    user_id: UUID, data: Mapping[str, Any], *, key: str | None = None, brief: bool = False
) -> Incoming:
    """What `ChatSerializer` let through, as a turn takes it. `key` stands in for a
    `client_message_id` that is not there.
    """
    return Incoming(
        user_id=user_id,
        text=data["message"],
        conversation_id=data.get("conversation_id"),
        language=data["language"],
        client_message_id=data.get("client_message_id") or key,
        subject=data.get("subject") or {},
        attachments=tuple(dict.fromkeys(data.get("attachments", ()))),
        corrects=data.get("corrects"),
        brief=brief,
    )


class TriageSerializer(serializers.Serializer[dict[str, Any]]):
    message = StrictCharField(max_length=settings.MESSAGE_MAX_CHARACTERS)
    language = LanguageField(default="auto")
    patient = SubjectSerializer(required=False, allow_null=True)


class TitleSerializer(serializers.Serializer[dict[str, Any]]):
    title = StrictCharField(max_length=200)


class SendSerializer(ChatSerializer):
    client_message_id = StrictCharField(max_length=64)


class ReplySerializer(serializers.Serializer[dict[str, Any]]):
    reply_id = IdField()


class ConversationSerializer(serializers.Serializer[dict[str, Any]]):
    conversation_id = IdField()


class ResumeSerializer(ReplySerializer):
    offset = serializers.IntegerField(min_value=0, max_value=10**9, default=0)


class BeginSerializer(serializers.Serializer[dict[str, Any]]):
    """How many bytes will come in pieces."""

    bytes = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class AppendSerializer(serializers.Serializer[dict[str, Any]]):
    offset = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class HearSerializer(serializers.Serializer[dict[str, Any]]):
    language = LanguageField(default="auto")


class LookSerializer(HearSerializer):
    prompt = StrictCharField(
        max_length=settings.MESSAGE_MAX_CHARACTERS, default="", allow_blank=True
    )


class TranslateSerializer(serializers.Serializer[dict[str, Any]]):
    text = StrictCharField(max_length=settings.MESSAGE_MAX_CHARACTERS)
    target_language = StrictCharField(max_length=40)
    source_language = LanguageField(default="auto")
