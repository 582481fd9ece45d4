"""What an upload really is, and a safe copy of it.

The name and the type a client gives are ignored. Decoding happens in another process, bounded in
memory and time, so that no picture or recording harms the turns of other patients.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from django.conf import settings

from ai.base import Media
from ai.decoding import Refusal, redraw, respeak
from carehelp.children import Children
from carehelp.errors import (
    CarehelpError,
    Invalid,
    Malformed,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)

T = TypeVar("T")

IMAGE_TYPES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
# To FFmpeg's names of the containers.
AUDIO_TYPES = {
    "audio/webm": "matroska",
    "audio/ogg": "ogg",
    "audio/mp4": "mov",
    "audio/3gpp": "mov",
    "audio/mpeg": "mp3",
    "audio/aac": "aac",
    "audio/amr": "amr",
    "audio/flac": "flac",
    "audio/wav": "wav",
}
_SLICE = 1024**2
_PIXELS = 16_000_000
_SIDE = 1600


class Unreadable(Invalid):
    """`reason` is a code of `ai.decoding.Refusal`, for a client to say in its own words."""

    code, title = "unreadable_media", "This file cannot be used"


_REFUSALS: dict[str, tuple[type[CarehelpError], str]] = {
    "unreadable": (Unreadable, "This file cannot be read."),
    "too_many_pixels": (TooLarge, "This picture has too many pixels."),
    "animated": (Unreadable, "Send a still picture."),
    "too_long": (TooLarge, "This recording is too long."),
    "too_short": (Unreadable, "This recording is too short to hold words."),
    "silent": (Unreadable, "Nothing can be heard in this recording."),
}


@dataclass(frozen=True, slots=True)
class Speech:
    """A recording as FLAC, 16 kHz, one channel, and its length in seconds."""

    media: Media
    duration_s: float


def sniff(data: bytes) -> str | None:
    """The real MIME type, by the first bytes; None for whatever we do not take."""
    head = bytes(data[:16])
    if head[4:12] in _PICTURES_LIKE_MP4:
        return None
    for start, offset, mime_type in _MAGIC:
        if head[offset : offset + len(start)] == start:
            return mime_type
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] and head[1] & 0xE6 in (0xE2, 0xE4)):
        return "audio/mpeg"
    if head[:1] == b"\xff" and head[1:2] and head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    return None


_PICTURES_LIKE_MP4 = {b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1", b"ftypavif", b"ftypavis"}
_MAGIC = (
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\x1aE\xdf\xa3", 0, "audio/webm"),
    (b"OggS", 0, "audio/ogg"),
    (b"ftyp3g", 4, "audio/3gpp"),
    (b"ftyp", 4, "audio/mp4"),
    (b"#!AMR", 0, "audio/amr"),
    (b"fLaC", 0, "audio/flac"),
)


def from_base64(text: str, *, limit: int) -> bytes:
    """Bytes of a base64 text or data URL; `Malformed` where it isn't, `TooLarge` over `limit`."""
    body = text.partition(",")[2] if text[:5] == "data:" else text
    if len(body) > limit * 4 // 3 + 4:
        raise TooLarge("At most {limit} bytes.", limit=limit)
    try:
        return b"".join(_decoded(body))
    except (binascii.Error, ValueError):
        raise Malformed("This is not base64.") from None


def _decoded(body: str) -> Iterator[bytes]:
    """A slice at a time: decoding keeps every other thread waiting until it returns."""
    for start in range(0, len(body), _SLICE):
        part = body[start : start + _SLICE]
        if "=" in part and start + _SLICE < len(body):
            raise ValueError("padding in the middle")
        yield base64.b64decode(part, validate=True)


def check(data: bytes) -> str:
    """The MIME type of an upload we take; raises what is wrong with it otherwise."""
    if not data:
        raise Unreadable("The file is empty.", reason="empty")
    mime_type = sniff(data)
    if mime_type is None:
        raise UnsupportedMedia(
            "Send a JPEG, PNG or WebP picture, or a recording.", accepted=accepted()
        )
    limit = limit_for(mime_type)
    if len(data) > limit:
        raise TooLarge("At most {limit} bytes.", limit=limit)
    return mime_type


def limit_for(mime_type: str) -> int:
    """Bytes."""
    image = mime_type.startswith("image/")
    return settings.IMAGE_MAX_BYTES if image else settings.AUDIO_MAX_BYTES


def accepted() -> list[str]:
    return [*IMAGE_TYPES, *AUDIO_TYPES]


async def picture(data: bytes) -> Media:
    """A JPEG of at most 1,600 pixels a side, without metadata."""
    mime_type = check(data)
    if mime_type not in IMAGE_TYPES:
        raise UnsupportedMedia("This is not a picture.", accepted=list(IMAGE_TYPES))
    image_format = IMAGE_TYPES[mime_type]
    clean = await _elsewhere(redraw, data, image_format, pixels=_PIXELS, side=_SIDE)
    return Media(clean, "image/jpeg")


async def speech(data: bytes) -> Speech:
    mime_type = check(data)
    if mime_type not in AUDIO_TYPES:
        raise UnsupportedMedia("This is not a recording.", accepted=list(AUDIO_TYPES))
    limit = settings.AUDIO_MAX_SECONDS
    clean, seconds = await _elsewhere(respeak, data, AUDIO_TYPES[mime_type], seconds=limit)
    return Speech(Media(clean, "audio/flac"), seconds)


@cache
def _children() -> Children:
    return Children(settings.MEDIA_PROCESSES, megabytes=1536, seconds=20.0)


def stop() -> None:
    """End the children, also those that hang."""
    _children().stop()


async def _elsewhere(work: Callable[..., T], *args: Any, **options: Any) -> T:
    """`work` in a child process, and what went wrong there in words."""
    try:
        return await _children().run(work, *args, **options)
    except Refusal as refusal:
        kind, detail = _REFUSALS[refusal.code]
        raise kind(detail, reason=refusal.code) from None
    except MemoryError:
        raise Unreadable("This file cannot be read.", reason="unreadable") from None
    except TimeoutError:
        raise Unreadable("This file takes too long to read.", reason="unreadable") from None
    except BrokenExecutor:
        raise Unavailable("The picture or recording could not be read; try again.") from None
