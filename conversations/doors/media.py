"""Doors for recordings, pictures and translations: files to send with a message, and models' verbs
by themselves. No address that a client names is ever fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from adrf.views import APIView
from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import consents, limits
from accounts.models import User
from ai import ladder, media
from ai.ladder import NobodyOffers, Reason
from ai.language import code_of, detect, name_of
from carehelp.database.identity import run_as
from carehelp.errors import CarehelpError, Invalid
from carehelp.problem import field_errors
from conversations import abroad, attachments, turn, wording
from conversations.doors import uploads
from conversations.doors.rest import idempotency_key, user_id
from conversations.doors.serializers import (
    AppendSerializer,
    BeginSerializer,
    HearSerializer,
    LookSerializer,
    TranslateSerializer,
)
from conversations.incoming import Incoming
from conversations.rendering import attachment_json, triage_json
from conversations.understand import picture_raises
from triage.engine import Assessment

ASKED_OF_MODELS = limits.Limit("recordings, pictures and texts of a person", 120, limits.HOUR)

FORMS = [JSONParser, MultiPartParser]

OURS = {
    "chat": {"fr": "verified", "en": "verified", "pcm": "experimental"},
    "triage": {"fr": "verified", "en": "verified", "pcm": "experimental"},
}
"""What Carehelp does without a model: answers composed from guidance, and rules."""


class AttachmentsView(APIView):
    """POST a whole file, or `{"bytes": n}` to send it in pieces."""

    parser_classes = FORMS

    async def post(self, request: Request) -> Response:
        key = idempotency_key(request)
        most = max(settings.AUDIO_MAX_BYTES, settings.IMAGE_MAX_BYTES)
        upload = await uploads.read(request, "audio_base64", "image_base64", limit=most)
        if upload.data is None and "bytes" in upload.fields:
            size = checked(BeginSerializer, upload.fields)["bytes"]
            received = await attachments.begin(size, key)
        else:
            received = await attachments.receive(upload.file, key)
        return Response(attachment_json(received), status=201)


class AttachmentView(APIView):
    """Where an upload stands, and its next piece."""

    parser_classes = FORMS

    async def get(self, request: Request, attachment_id: int) -> Response:
        return Response(attachment_json(await run_as(attachments.find, attachment_id)))

    async def put(self, request: Request, attachment_id: int) -> Response:
        offset = checked(AppendSerializer, request.query_params, place="query")["offset"]
        piece = await uploads.read(request, limit=attachments.PIECE_BYTES)
        received = await attachments.append(attachment_id, offset, piece.file)
        return Response(attachment_json(received))


class TranscribeView(APIView):
    """Speech to text; what was said is triaged, nothing is stored."""

    parser_classes = FORMS

    async def post(self, request: Request) -> Response:
        upload = await uploads.read(request, "audio_base64", limit=settings.AUDIO_MAX_BYTES)
        language = checked(HearSerializer, upload.fields)["language"]
        leave = await _asked(request)
        speech = await media.speech(upload.file)
        heard = await ladder.transcribe(
            speech.media,
            language=None if language == "auto" else language,
            abroad=leave.abroad,
            reason_if_not_abroad=leave.why_not,
        )
        reading = _read(request, heard.result.text, language)
        return Response(
            {
                "text": heard.result.text,
                "language": heard.result.language or reading.language,
                "duration_s": round(speech.duration_s, 2),
                "provider": heard.provider,
                "model": heard.model,
                "triage": triage_json(reading),
            }
        )


class AnalyzeImageView(APIView):
    """A picture in words, never a diagnosis; what was asked is triaged whatever becomes of it."""

    parser_classes = FORMS

    async def post(self, request: Request) -> Response:
        upload = await uploads.read(request, "image_base64", limit=settings.IMAGE_MAX_BYTES)
        asked = checked(LookSerializer, upload.fields)
        reading = _read(request, asked["prompt"], asked["language"])
        try:
            return Response(await _seen(request, upload.file, asked, reading))
        except CarehelpError as error:
            if asked["prompt"]:
                error.members.setdefault("triage", triage_json(reading))
            raise


async def _seen(
    request: Request, file: bytes, asked: Mapping[str, Any], reading: Assessment
) -> dict[str, Any]:
    prompt, language = asked["prompt"], asked["language"]
    if language == "auto":
        language = reading.language if prompt else (get_language() or "fr")[:2]
    leave = await _asked(request, reading)
    picture = await media.picture(file)
    seen = await ladder.describe(
        picture,
        question=prompt,
        language=language,
        abroad=leave.abroad,
        reason_if_not_abroad=leave.why_not,
        known_names=leave.names,
    )
    described = _read(request, seen.result, language)
    if picture_raises(described, reading if prompt else None):
        reading = described
    return {
        "description": seen.result,
        "language": language,
        "provider": seen.provider,
        "model": seen.model,
        "triage": triage_json(reading, language),
        "disclaimer": wording.of_a_picture(language),
    }


class TranslateView(APIView):
    async def post(self, request: Request) -> Response:
        asked = checked(TranslateSerializer, request.data)
        text, source = asked["text"], asked["source_language"]
        target = _translatable(asked["target_language"])
        leave = await _asked(request, _read(request, text, "auto"))
        known = detect(text).language if source == "auto" else source
        said = await ladder.translate(
            text,
            source=known,
            target=target,
            abroad=leave.abroad,
            reason_if_not_abroad=leave.why_not,
            known_names=leave.names,
        )
        return Response(
            {
                "translated_text": said.result,
                "source_language": known or "auto",
                "target_language": target,
                "provider": said.provider,
                "model": said.model,
            }
        )


class LanguagesView(APIView):
    """What is claimed for each language, of the providers that are configured here."""

    permission_classes = [AllowAny]

    async def get(self, request: Request) -> Response:
        shown = get_language() or "fr"
        return Response(
            {
                code: {"name": name_of(code, shown), **_claims(code, verbs)}
                for code, verbs in ladder.languages().items()
            }
        )


def _claims(code: str, verbs: Mapping[str, str]) -> dict[str, str]:
    return {
        "chat": verbs.get("chat_stream") or OURS["chat"].get(code, "none"),
        "triage": OURS["triage"].get(code, "none"),
        "transcribe": verbs.get("transcribe", "none"),
        "translate": verbs.get("translate", "none"),
    }


def _translatable(name: str) -> str:
    """The language's code; raises with those that some configured model writes."""
    supported = [code for code, verbs in ladder.languages().items() if "translate" in verbs]
    if not supported:
        raise NobodyOffers("no_provider")
    code = code_of(name)
    if code not in supported:
        msg = _("Nothing here translates into this language.")
        error = {"loc": ["body", "target_language"], "msg": msg, "type": "unsupported"}
        raise Invalid(errors=[error], supported=supported)
    return code


@dataclass(frozen=True, slots=True)
class Leave:
    """Whether a person's words may leave the country, why not, and the names to hide in them."""

    abroad: bool
    why_not: Reason
    names: tuple[str, ...]


async def _asked(request: Request, *readings: Assessment) -> Leave:
    """Counts the question, and says what may become of it."""
    caller = user_id(request)
    await limits.count(limits.Use(ASKED_OF_MODELS, str(caller)))
    agreed, name = await run_as(_person, caller)
    return Leave(*abroad.may_go(agreed, *readings), (name,) if name else ())


def _person(caller: UUID) -> tuple[frozenset[str], str]:
    return consents.granted(caller), User.objects.get(pk=caller).full_name or ""


def _read(request: Request, text: str, language: str) -> Assessment:
    caller: UUID = user_id(request)
    return turn.read(Incoming(caller, text=text, language=language))


def checked(form: type[Any], data: Any, *, place: str = "body") -> dict[str, Any]:
    asked = form(data=data)
    if not asked.is_valid():
        raise Invalid(errors=list(field_errors(asked.errors, (place,))))
    found: dict[str, Any] = asked.validated_data
    return found
