"""Files as phones send them, made when first asked for."""

from __future__ import annotations

from functools import cache

from ai.tests.test_media import bomb, image, recording

__all__ = ["bomb", "photo", "silence", "two_hours", "voice"]


@cache
def voice() -> bytes:
    """A tone: the contract server hears in it whatever it is told to."""
    data: bytes = recording(seconds=1.0)
    return data


@cache
def photo() -> bytes:
    data: bytes = image(size=(400, 300))
    return data


@cache
def silence() -> bytes:
    data: bytes = recording("wav", "pcm_s16le", loudness=0.00001, seconds=1.0, rate=8000)
    return data


def two_hours(*, best: bool = False) -> bytes:
    """AMR, 4.7 MB or at its best 11.5: its length, not its size, is what is too much."""
    frame = bytes([0x3C, *range(31)]) if best else bytes([0x04, *range(12)])
    return b"#!AMR\n" + frame * (2 * 3600 * 50)
