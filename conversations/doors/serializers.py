"""The form of what clients send; what it means is decided elsewhere."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from conversations.languages import NAMES, code_of


class LanguageField(serializers.CharField):
    """A language by any of its names, or `auto`."""

    default_error_messages = {"unknown": "Unknown language; known are: {known}."}

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        code = "auto" if name.casefold() == "auto" else code_of(name)
        return code or self.fail("unknown", known=", ".join(NAMES))


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
    message = StrictCharField(max_length=settings.MESSAGE_MAX_CHARACTERS)
    conversation_id = serializers.IntegerField(
        min_value=1, max_value=2**63 - 1, required=False, allow_null=True
    )
    language = LanguageField(default="auto")
    client_message_id = StrictCharField(max_length=64, required=False, allow_null=True)
    stream = StrictBooleanField(default=False)
    subject = SubjectSerializer(required=False, allow_null=True)


class TriageSerializer(serializers.Serializer[dict[str, Any]]):
    message = StrictCharField(max_length=settings.MESSAGE_MAX_CHARACTERS)
    language = LanguageField(default="auto")
    patient = SubjectSerializer(required=False, allow_null=True)


class TitleSerializer(serializers.Serializer[dict[str, Any]]):
    title = StrictCharField(max_length=200)


class SendSerializer(ChatSerializer):
    client_message_id = StrictCharField(max_length=64)


class ReplySerializer(serializers.Serializer[dict[str, Any]]):
    reply_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class ConversationSerializer(serializers.Serializer[dict[str, Any]]):
    conversation_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class ResumeSerializer(ReplySerializer):
    offset = serializers.IntegerField(min_value=0, max_value=10**9, default=0)
