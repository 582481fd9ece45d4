import asyncio
import base64
import gc
import io
import logging
import math
import struct
import time
import zlib

import av
import numpy as np
import pytest
from django.utils.translation import gettext, override
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from PIL import Image

from ai import media
from ai.decoding import Refusal, redraw, respeak
from ai.media import Unreadable, from_base64, picture, sniff, speech
from carehelp import children
from carehelp.errors import Malformed, Overloaded, TooLarge, UnsupportedMedia


@pytest.fixture(scope="module", autouse=True)
def children_end():
    yield
    media.stop()


def image(image_format="JPEG", size=(320, 200), mode="RGB", **options):
    out = io.BytesIO()
    Image.new(mode, size, "red").save(out, image_format, **options)
    return out.getvalue()


def bomb(side=13000):
    """A PNG of about 20 kB that decodes to 169 million pixels."""

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(b"\0" * (side // 8 + 2)) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", rows + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def recording(container="ogg", codec="libopus", seconds=1.5, loudness=0.3, rate=48000):
    """A tone, as a phone would send it."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as target:
        stream = target.add_stream(codec, rate=rate, layout="mono")
        wave = loudness * np.sin(np.arange(int(seconds * rate)) * 2 * math.pi * 440 / rate)
        resampler = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=rate, frame_size=stream.frame_size or 960
        )
        whole = av.AudioFrame.from_ndarray(
            (wave * 32767).astype("int16")[np.newaxis], format="s16", layout="mono"
        )
        whole.sample_rate = rate
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()


RECORDINGS = {
    "audio/webm": ("webm", "libopus", 48000),
    "audio/ogg": ("ogg", "libopus", 48000),
    "audio/mp4": ("ipod", "aac", 44100),
    "audio/3gpp": ("3gp", "aac", 16000),
    "audio/mpeg": ("mp3", "libmp3lame", 44100),
    "audio/aac": ("adts", "aac", 44100),
    "audio/flac": ("flac", "flac", 16000),
    "audio/wav": ("wav", "pcm_s16le", 8000),
}
# One frame of AMR-NB at 12.2 kbit/s: 20 ms.
AMR_FRAME = bytes([0x3C]) + bytes(range(31))


def resident():
    """Bytes of memory this process holds, without what only waits to be collected."""
    gc.collect()
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1]) * 4096


@pytest.mark.parametrize("mime_type", RECORDINGS)
async def test_each_container_phones_send_becomes_speech(mime_type):
    container, codec, rate = RECORDINGS[mime_type]
    data = recording(container, codec, rate=rate)
    assert sniff(data) == mime_type
    heard = await speech(data)
    assert heard.duration_s == pytest.approx(1.5, abs=0.15)
    assert heard.media.mime_type == "audio/flac"
    with av.open(io.BytesIO(heard.media.data)) as flac:
        assert (flac.streams.audio[0].rate, flac.streams.audio[0].channels) == (16000, 1)


async def test_amr_becomes_speech():
    data = b"#!AMR\n" + AMR_FRAME * 100
    assert sniff(data) == "audio/amr"
    assert (await speech(data)).duration_s == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
async def test_each_picture_becomes_a_small_jpeg(image_format):
    clean = await picture(image(image_format, (2400, 1800)))
    seen = Image.open(io.BytesIO(clean.data))
    assert (seen.format, seen.size) == ("JPEG", (1600, 1200))


async def test_where_a_picture_was_taken_does_not_stay_in_it():
    exif = Image.Exif()
    exif[0x010F] = "Tecno"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (4.0, 3.0, 0.0)
    data = image(exif=exif.tobytes(), comment=b"<script>")
    clean = await picture(data + b"PK\x03\x04<html><script>alert(1)</script>")
    seen = Image.open(io.BytesIO(clean.data))
    assert not dict(seen.getexif())
    assert b"script" not in clean.data
    assert b"Tecno" not in clean.data


async def test_a_picture_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    clean = await picture(image(size=(300, 100), exif=exif.tobytes()))
    assert Image.open(io.BytesIO(clean.data)).size == (100, 300)


async def test_a_transparent_picture_stands_on_white():
    out = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(out, "PNG")
    clean = await picture(out.getvalue())
    assert Image.open(io.BytesIO(clean.data)).getpixel((5, 5)) == (255, 255, 255)


async def test_a_picture_bomb_is_refused_and_takes_no_memory():
    data = bomb()
    assert len(data) < 30_000
    before = resident()
    with pytest.raises(TooLarge) as caught:
        await picture(data)
    assert caught.value.members["reason"] == "too_many_pixels"
    assert resident() - before < 50 * 1024**2


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"bonjour, je suis un texte",
        b"GIF89a......",
        b"%PDF-1.7",
        b"MZ\x90\x00",
        b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\nfile:///etc/passwd",
        b"ffconcat version 1.0\nfile /etc/passwd",
        b"\0\0\0\x18ftypheic\0\0\0\0",
        b"RIFF\0\0\0\0AVI LIST",
    ],
)
async def test_what_is_neither_picture_nor_speech_is_415(data):
    for take in (picture, speech):
        with pytest.raises(UnsupportedMedia) as caught:
            await take(data)
        assert "image/jpeg" in caught.value.members["accepted"] + ["image/jpeg"]


async def test_a_recording_is_not_a_picture():
    with pytest.raises(UnsupportedMedia):
        await picture(recording())
    with pytest.raises(UnsupportedMedia):
        await speech(image())


@pytest.mark.parametrize("take", [picture, speech])
async def test_an_empty_upload_says_so(take):
    with pytest.raises(Unreadable) as caught:
        await take(b"")
    assert caught.value.members["reason"] == "empty"


async def test_a_silent_recording_says_so():
    with pytest.raises(Unreadable) as caught:
        await speech(recording(loudness=0.0001))
    assert caught.value.members["reason"] == "silent"


async def test_a_click_is_too_short():
    with pytest.raises(Unreadable) as caught:
        await speech(recording("wav", "pcm_s16le", seconds=0.1, rate=8000))
    assert caught.value.members["reason"] == "too_short"


async def test_a_two_hour_recording_is_refused_within_its_memory(settings):
    settings.AUDIO_MAX_SECONDS = 60
    data = recording("ogg", "libopus", seconds=120, rate=48000)
    data = data if len(data) < settings.AUDIO_MAX_BYTES else data[: settings.AUDIO_MAX_BYTES]
    before = resident()
    with pytest.raises(TooLarge) as caught:
        await speech(data)
    assert caught.value.members["reason"] == "too_long"
    assert resident() - before < 50 * 1024**2


async def test_too_many_bytes_are_refused_before_they_are_read(settings):
    settings.IMAGE_MAX_BYTES = settings.AUDIO_MAX_BYTES = 1000
    with pytest.raises(TooLarge):
        await picture(image(size=(1000, 1000)))
    with pytest.raises(TooLarge):
        await speech(recording())


@pytest.mark.parametrize("data", [image()[:300], image("PNG")[:60], image("WEBP")[:40]])
async def test_half_a_picture_is_unreadable(data):
    with pytest.raises(Unreadable):
        await picture(data)


async def test_a_still_picture_is_wanted():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(Unreadable) as caught:
        await picture(out.getvalue())
    assert caught.value.members["reason"] == "animated"


async def test_a_child_that_dies_or_hangs_takes_nobody_with_it(monkeypatch):
    monkeypatch.setattr(media._children(), "seconds", 1.5)
    await picture(image())
    (child,) = media._children().pool()._processes.values()
    with pytest.raises(Unreadable):
        await media._elsewhere(time.sleep, 60)
    child.join(5)
    assert not child.is_alive()
    assert (await picture(image())).mime_type == "image/jpeg"


async def test_waiting_for_a_child_takes_nothing_of_the_time_to_read(monkeypatch):
    await picture(image())
    monkeypatch.setattr(media._children(), "seconds", 3)
    naps = [media._elsewhere(time.sleep, 0.8) for _ in range(6)]
    assert await asyncio.gather(*naps) == [None] * 6


async def test_a_long_queue_is_told_to_come_again(monkeypatch):
    monkeypatch.setattr(children, "MOST_WAITING", 2)
    naps = [media._elsewhere(time.sleep, 0.1) for _ in range(4)]
    ended = await asyncio.gather(*naps, return_exceptions=True)
    assert [type(one) for one in ended] == [type(None)] * 2 + [Overloaded] * 2
    assert ended[-1].retry_after


@pytest.mark.alone
async def test_decoding_does_not_hold_the_loop(caplog):
    media.stop()
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.05
    loop.set_debug(True)
    with caplog.at_level(logging.WARNING, logger="asyncio"):
        await picture(image("PNG", (3000, 3000)))
    loop.set_debug(False)
    assert not [r for r in caplog.records if "Executing" in r.getMessage()]


@given(st.binary(max_size=200), st.sampled_from(list(media.IMAGE_TYPES.values())))
@given_settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_a_picture_or_refused(data, image_format):
    with pytest.raises(Refusal):
        redraw(data, image_format, pixels=1_000_000, side=100)


@given(st.binary(max_size=300), st.sampled_from(list(media.AUDIO_TYPES.values())))
@given_settings(max_examples=50)
def test_any_bytes_are_a_recording_or_refused(data, container):
    with pytest.raises(Refusal):
        respeak(data, container, seconds=5)


@given(st.binary(max_size=32))
def test_any_first_bytes_can_be_sniffed(data):
    assert sniff(data) in (None, *media.accepted())


def test_base64_that_is_not_is_malformed():
    assert from_base64(base64.b64encode(b"abc").decode(), limit=10) == b"abc"
    assert from_base64("data:image/png;base64,YWJj", limit=10) == b"abc"
    for text in ("%%%", "YWJ", "é", "YW Jj"):
        with pytest.raises(Malformed):
            from_base64(text, limit=10)
    with pytest.raises(TooLarge):
        from_base64("YWJj" * 100, limit=10)


def test_base64_of_many_slices_is_whole_and_padded_only_at_its_end():
    data = bytes(range(256)) * 12_000 + b"end"
    text = base64.b64encode(data).decode()
    assert from_base64(text, limit=len(data)) == data
    at = 1024**2 - 4
    with pytest.raises(Malformed):
        from_base64(text[:at] + "YQ==" + text[at + 4 :], limit=len(data))


def test_what_is_wrong_with_a_file_is_said_in_french():
    with override("fr"):
        said = {gettext(detail) for _, detail in media._REFUSALS.values()}
    assert not {detail for _, detail in media._REFUSALS.values()} & said
