"""The model in this process, where requirements-local.txt is installed and espeak-ng speaks."""

import shutil
import subprocess

import pytest

from ai import media
from ai.providers.local import Local

pytestmark = pytest.mark.skipif(
    bool(Local.lacks("transcribe", "whisper-base")) or not shutil.which("espeak-ng"),
    reason="needs requirements-local.txt and espeak-ng",
)


def spoken(text, voice="fr"):
    said = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", "140", "--stdout", text], capture_output=True, check=True
    )
    return said.stdout


async def test_french_is_heard_as_french_and_never_as_malay():
    """All hundred languages allowed, the model takes this recording for Malay."""
    recording = await media.speech(
        spoken("Je suis enceinte et je saigne beaucoup depuis ce matin.")
    )
    heard = await Local("whisper-base").transcribe(recording.media, language=None)
    assert heard.language == "fr"
    assert "je" in heard.text.lower()


async def test_english_is_heard_as_english():
    recording = await media.speech(spoken("I have had fever for three days.", "en"))
    heard = await Local("whisper-base").transcribe(recording.media, language="pcm")
    assert heard.language == "en"
