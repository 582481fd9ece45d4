"""The form of what clients send and get about accounts."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as PasswordRefused
from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts import consents, tokens
from accounts.emails import normalised
from accounts.models import Consent, User
from accounts.services import SignedIn

LANGUAGE = re.compile(r"[a-z]{2,8}")


class Text(serializers.CharField):
    """A JSON string: a number or a truth value is a mistake."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Truth(serializers.BooleanField):
    """JSON's true and false only: `"no"` is a mistake, not a choice."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Email(Text):
    default_error_messages = {"not_an_address": "This is not an e-mail address."}

    def to_internal_value(self, data: Any) -> str:
        address = normalised(super().to_internal_value(data))
        if not address:
            self.fail("not_an_address")
        return address


class Password(Text):
    """Taken as typed, spaces too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=256, trim_whitespace=False, write_only=True, **options)


class Language(Text):
    """The main part of a language tag: `fr-CM` is kept as `fr`."""

    default_error_messages = {"not_a_language": "This is not a language code."}

    def to_internal_value(self, data: Any) -> str:
        code = re.split("[-_]", super().to_internal_value(data).lower())[0]
        if not LANGUAGE.fullmatch(code):
            self.fail("not_a_language")
        return code


class Purposes(serializers.ListField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            child=serializers.ChoiceField(consents.PURPOSES),
            max_length=len(consents.PURPOSES),
            **options,
        )


class ProfileSerializer(serializers.Serializer[dict[str, Any]]):
    """What a person may say of themselves, at any time."""

    preferred_language = Language(required=False, max_length=35)
    full_name = Text(required=False, allow_blank=True, max_length=200)
    phone = Text(required=False, allow_blank=True, max_length=32)
    region = Text(required=False, allow_blank=True, max_length=64)
    save_data = Truth(required=False)


class RegisterSerializer(ProfileSerializer):
    email = Email(max_length=254)
    password = Password()
    consents = Purposes(default=list)

    def validate_password(self, password: str) -> str:
        try:
            validate_password(password)
        except PasswordRefused as error:
            raise serializers.ValidationError(error.messages, "weak_password") from error
        return password


class GuestSerializer(serializers.Serializer[dict[str, Any]]):
    preferred_language = Language(required=False, max_length=35)
    consents = Purposes(default=list)


class LoginSerializer(serializers.Serializer[dict[str, Any]]):
    """JSON's `email`, or `username` as OAuth's password form has it."""

    email = Text(required=False, max_length=320)
    username = Text(required=False, max_length=320)
    password = Password()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        name = attrs.get("email") or attrs.get("username")
        if not name:
            raise serializers.ValidationError({"email": [_("This field is required.")]}, "required")
        return {"email": normalised(name) or name.lower(), "password": attrs["password"]}


class RefreshSerializer(serializers.Serializer[dict[str, Any]]):
    refresh_token = Text(max_length=512)


class ConsentSerializer(serializers.Serializer[dict[str, Any]]):
    purpose = serializers.ChoiceField(consents.PURPOSES)
    granted = Truth()
    version = Text(required=False, max_length=20)


def signed_in_json(session: SignedIn) -> dict[str, Any]:
    """The body that registering, signing in and refreshing share."""
    return {
        "user": user_json(session.user, session.consents),
        "access_token": session.access_token,
        "refresh_token": session.refresh_token,
        "token_type": "bearer",
        "expires_in": tokens.lifetime_seconds(),
    }


def user_json(user: User, agreed: frozenset[str]) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "email": user.email,
        "full_name": user.full_name,
        "preferred_language": user.preferred_language,
        "phone": user.phone,
        "region": user.region,
        "save_data": user.save_data,
        "bytes_used": user.bytes_used,
        "guest": user.email is None,
        "created_at": user.created_at.isoformat(),
        "consents": consents.as_json(agreed),
    }


def consent_json(consent: Consent) -> dict[str, Any]:
    return {
        "purpose": consent.purpose,
        "granted": consent.granted,
        "version": consent.version,
        "at": consent.at.isoformat(),
    }
