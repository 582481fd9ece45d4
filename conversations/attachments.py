"""What patients send besides words: a recording or a picture, whole or in pieces.

Only a copy that `ai.media` made anew is kept; pieces on their way are the client's bytes, sealed like
everything else. Runs as the patient who is acting, in short transactions: nothing is held while a
file is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from ai import media
from ai.base import Media
from carehelp.database.identity import require_current, run_as
from carehelp.errors import (
    CarehelpError,
    Conflict,
    Invalid,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
    UnsupportedMedia,
)
from conversations.models import Attachment, AttachmentPiece, Message

PIECE_BYTES, SMALLEST_PIECE = 1024**2, 1024
WAITING_AT_ONCE = 16
WAIT = timedelta(hours=1)
"""How long an upload waits for the message that takes it."""

_SNIFFED_BYTES = 16


class OffsetMismatch(Conflict):
    """`offset` is where the next piece begins."""

    code, title = "offset_mismatch", "Another piece of this file is expected"
    retryable: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Clean:
    """What `ai.media` made of an upload, and what the upload had been."""

    kind: str
    mime_type: str
    data: bytes
    duration_s: float | None


async def cleaned(data: bytes) -> Clean:
    """Raises what is wrong with the file."""
    mime_type = media.check(data)
    if mime_type in media.IMAGE_TYPES:
        picture = await media.picture(data)
        return Clean(Attachment.Kind.IMAGE, mime_type, picture.data, None)
    speech = await media.speech(data)
    return Clean(Attachment.Kind.AUDIO, mime_type, speech.media.data, speech.duration_s)


async def receive(data: bytes, key: str | None = None) -> Attachment:
    """A whole file. The same `key` again is the same attachment."""
    known = await run_as(_known, key, len(data))
    if known is None:
        clean = await cleaned(data)
        known = await _once(key, len(data), clean)
    return known


async def begin(size: int, key: str | None = None) -> Attachment:
    """An upload of `size` bytes that will come in pieces; see `append`."""
    most = max(settings.AUDIO_MAX_BYTES, settings.IMAGE_MAX_BYTES)
    if size > most:
        raise TooLarge("At most {limit} bytes.", limit=most)
    return await run_as(_known, key, size) or await _once(key, size, None)


async def _once(key: str | None, size: int, clean: Clean | None) -> Attachment:
    try:
        return await run_as(_create, key, size, clean)
    except IntegrityError:
        # The same key, by another request, a moment ago.
        known = await run_as(_known, key, size)
        if known is None:
            raise
        return known


async def append(attachment_id: int, offset: int, data: bytes) -> Attachment:
    """The next piece; the last one completes the file, or tells what is wrong with it.

    A piece that came before changes nothing. Raises `OffsetMismatch` for any other that is not the
    next.
    """
    upload = await run_as(_append, attachment_id, offset, data)
    if upload.complete or upload.received < upload.size:
        return upload
    try:
        clean = await cleaned(await run_as(_bytes, attachment_id))
    except Unavailable:
        raise
    except CarehelpError:
        await run_as(_discard, attachment_id)
        raise
    return await run_as(_complete, attachment_id, clean)


async def load(attachment: Attachment) -> Media:
    """A complete attachment as providers take it."""
    image = attachment.kind == Attachment.Kind.IMAGE
    data = await run_as(_bytes, attachment.pk)
    return Media(data, "image/jpeg" if image else "audio/flac")


def find(attachment_id: int) -> Attachment:
    found = Attachment.objects.filter(pk=attachment_id).first()
    if found is None:
        raise NotFound("There is no such attachment.")
    return found


def claim(ids: Sequence[int], message: Message, *, lenient: bool) -> None:
    """Give uploads to the message that they were sent with.

    Raises for one that is not theirs, not complete or taken; `lenient` leaves it out instead, since
    danger is answered whatever came with it.
    """
    free = Attachment.objects.filter(pk__in=ids, complete=True, message=None)
    taken = list(free.select_for_update().values_list("pk", flat=True))
    if not lenient and (missing := set(ids) - set(taken)):
        _refuse(missing)
    Attachment.objects.filter(pk__in=taken).update(message=message)


def _refuse(missing: Iterable[int]) -> None:
    for attachment_id in sorted(missing):
        complete = find(attachment_id).complete
        msg = _("Was sent with another message.") if complete else _("Is not complete yet.")
        kind = "taken" if complete else "incomplete"
        raise Invalid(errors=[{"loc": ["body", "attachments"], "msg": msg, "type": kind}])


def erase_unclaimed() -> int:
    """As the worker: what no message took in time."""
    erased, _ = Attachment.objects.filter(message=None, created_at__lt=Now() - WAIT).delete()
    return erased


def _known(key: str | None, size: int) -> Attachment | None:
    found = Attachment.objects.filter(client_key=key).first() if key else None
    if found is not None and found.size != size:
        raise Invalid("This Idempotency-Key was used for another file.")
    return found


def _create(key: str | None, size: int, clean: Clean | None) -> Attachment:
    user_id = UUID(require_current().sub)
    if Attachment.objects.filter(message=None).count() >= WAITING_AT_ONCE:
        raise TooMany("Too many files wait for a message.", retry_after=WAIT.total_seconds())
    upload = Attachment.objects.create(user_id=user_id, client_key=key, size=size)
    return _complete(upload.pk, clean) if clean else upload


def _append(attachment_id: int, offset: int, data: bytes) -> Attachment:
    upload = Attachment.objects.select_for_update().filter(pk=attachment_id).first()
    if upload is None:
        raise NotFound("There is no such attachment.")
    if upload.complete or _came_before(upload, offset, data):
        return upload
    if offset != upload.received:
        raise OffsetMismatch("The next piece begins at `offset`.", offset=upload.received)
    if offset + len(data) > upload.size:
        raise TooLarge("This is more than was announced.", limit=upload.size)
    if len(data) < SMALLEST_PIECE and offset + len(data) < upload.size:
        raise Invalid("Send larger pieces.", at_least=SMALLEST_PIECE)
    if offset == 0:
        _refuse_early(data, upload.size)
    _add(upload, offset, data)
    upload.received += len(data)
    upload.save(update_fields=["received"])
    return upload


def _came_before(upload: Attachment, offset: int, data: bytes) -> bool:
    piece = AttachmentPiece.objects.filter(attachment=upload, start=offset).first()
    return not data or (piece is not None and piece.content == data)


def _refuse_early(head: bytes, size: int) -> None:
    """Its first bytes tell whether the rest is worth sending."""
    if len(head) < min(_SNIFFED_BYTES, size):
        return
    mime_type = media.sniff(head)
    if mime_type is None:
        raise UnsupportedMedia(
            "Send a JPEG, PNG or WebP picture, or a recording.", accepted=media.accepted()
        )
    limit = media.limit_for(mime_type)
    if size > limit:
        raise TooLarge("At most {limit} bytes.", limit=limit)


def _complete(attachment_id: int, clean: Clean) -> Attachment:
    upload = Attachment.objects.select_for_update().get(pk=attachment_id)
    if upload.complete:
        return upload
    AttachmentPiece.objects.filter(attachment=upload).delete()
    for start in range(0, len(clean.data), PIECE_BYTES):
        _add(upload, start, clean.data[start : start + PIECE_BYTES])
    upload.kind, upload.mime_type = clean.kind, clean.mime_type
    upload.duration_s = clean.duration_s
    upload.received, upload.complete = upload.size, True
    upload.save(update_fields=["kind", "mime_type", "duration_s", "received", "complete"])
    return upload


def _add(upload: Attachment, start: int, data: bytes) -> None:
    AttachmentPiece.objects.create(
        user_id=upload.user_id, attachment=upload, start=start, content=data
    )


def _bytes(attachment_id: int) -> bytes:
    pieces = AttachmentPiece.objects.filter(attachment_id=attachment_id).order_by("start")
    return b"".join(piece.content for piece in pieces)


def _discard(attachment_id: int) -> None:
    Attachment.objects.filter(pk=attachment_id, complete=False).delete()
