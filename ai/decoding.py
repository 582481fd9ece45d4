"""What a child process does with an upload: decode it, and write it anew.

No Django and nothing of ours is imported, so that a child starts quickly. Whatever a file hides
(where a picture was taken, a second file behind the first, a crafted header) stays behind: only
pixels and samples go on. Errors are `Refusal`, which can be pickled.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

RATE = 16_000
_QUALITY = 85
# Louder than this in some twentieth of a second, of a full scale of 1: else it is silence.
_SILENCE = 0.004
_SHORTEST_SECONDS = 0.3


class Refusal(Exception):
    """`code` is one of: unreadable, too_many_pixels, animated, too_long, too_short, silent."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def redraw(data: bytes, image_format: str, *, pixels: int, side: int) -> bytes:
    """A JPEG of at most `side` pixels a side, upright, without metadata."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=(image_format,))
            _check_size(image, pixels)
            image.draft("RGB", (side, side))
            upright = _on_white(ImageOps.exif_transpose(image))
    except (Refusal, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refusal("too_many_pixels") from None
    except Exception:
        # Decoders of hostile bytes raise whatever they like.
        raise Refusal("unreadable") from None
    upright.thumbnail((side, side))
    clean = Image.new("RGB", upright.size)
    clean.paste(upright)
    out = io.BytesIO()
    clean.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def _check_size(image: Any, pixels: int) -> None:
    """From the header alone, before a pixel is decoded. JPEG is decoded at a smaller scale."""
    allowed = pixels * 4 if image.format == "JPEG" else pixels
    if image.width * image.height > allowed:
        raise Refusal("too_many_pixels")
    if getattr(image, "n_frames", 1) > 1:
        raise Refusal("animated")


def _on_white(image: Any) -> Any:
    from PIL import Image

    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    page = Image.new("RGB", layer.size, "white")
    page.paste(layer, mask=layer.getchannel("A"))
    return page


def respeak(data: bytes, container: str, *, seconds: float) -> tuple[bytes, float]:
    """(FLAC of 16 kHz and one channel, its seconds).

    The container is told, never probed: FFmpeg's playlists and lists of files read other files and
    addresses.
    """
    import av

    try:
        with av.open(io.BytesIO(data), format=container) as source:
            return _reencoded(source, seconds)
    except (Refusal, MemoryError):
        raise
    except Exception:
        raise Refusal("unreadable") from None


def _reencoded(source: Any, seconds: float) -> tuple[bytes, float]:
    import av

    if not source.streams.audio:
        raise Refusal("unreadable")
    out = io.BytesIO()
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    meter = Meter(seconds)
    with av.open(out, "w", format="flac") as target:
        stream = target.add_stream("flac", rate=RATE, layout="mono")
        for frame in _frames(source, resampler):
            meter.hear(frame)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue(), meter.verdict()


def _frames(source: Any, resampler: Any) -> Any:
    for frame in source.decode(audio=0):
        # Timestamps of broken recordings run backwards; the samples alone count.
        frame.pts = None
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


class Meter:
    """Counts samples and notes how loud the loudest moment was."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._samples = 0
        self._loudest = 0.0

    def hear(self, frame: Any) -> None:
        self._samples += frame.samples
        if self._samples > self._limit * RATE:
            raise Refusal("too_long")
        wave = frame.to_ndarray().astype("float32").ravel() / 32768
        for start in range(0, len(wave), RATE // 20):
            part = wave[start : start + RATE // 20]
            self._loudest = max(self._loudest, float((part @ part / len(part)) ** 0.5))

    def verdict(self) -> float:
        """Seconds heard."""
        if self._samples < _SHORTEST_SECONDS * RATE:
            raise Refusal("too_short")
        if self._loudest < _SILENCE:
            raise Refusal("silent")
        return self._samples / RATE
