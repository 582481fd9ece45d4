from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.language import claims, code_of, detect, english_name, opening

MESSAGES = Path(__file__).parent / "data" / "languages_test.tsv"


def rows():
    return [line.split("\t") for line in MESSAGES.read_text(encoding="utf-8").splitlines()]


def test_at_least_95_of_100_messages_kept_apart_are_recognised():
    right = [(detect(text).language or "-") in expected.split("|") for expected, text in rows()]
    assert len(right) >= 400
    assert sum(right) / len(right) >= 0.95


@pytest.mark.parametrize("language", ["fr", "en", "pcm"])
def test_each_language_alone_is_recognised(language):
    mine = [detect(text).language == language for expected, text in rows() if expected == language]
    assert sum(mine) / len(mine) >= 0.92


@pytest.mark.parametrize("text", ["", "   ", "12345", "!!!", "🤒", "8/10"])
def test_nothing_to_read_is_no_language(text):
    assert detect(text).language is None


def test_a_mixed_message_names_both_languages():
    found = detect("J'ai pris le médicament hier and then my whole body was itching all night")
    assert {found.language, found.also} == {"fr", "en"}


def test_a_short_word_shared_by_languages_is_a_guess():
    assert not detect("fatigue").sure


@pytest.mark.parametrize(
    ("head", "language"),
    [
        ("Pour", "fr"),
        (" Lavez-vous les", "fr"),
        ("Wash", "en"),
        ("1. **La ", "fr"),
        ("Bonjour, you ", "en"),
        ("Bonjour", None),
        ("D", None),
        ("On", None),
        ("Pikin dem ", "pcm"),
        ("", None),
    ],
)
def test_the_first_word_of_an_answer_tells_its_language_or_nothing(head, language):
    assert opening(head) == language


@given(st.text(max_size=300))
def test_any_text_gets_an_answer(text):
    assert detect(text).language in (None, "fr", "en", "pcm")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("fr", "fr"),
        ("fr-CM", "fr"),
        ("FR_cm", "fr"),
        ("french", "fr"),
        ("Français", "fr"),
        ("fra_Latn", "fr"),
        ("en-GB", "en"),
        ("Pidgin", "pcm"),
        ("wes", "pcm"),
        ("Fulfulde", "ff"),
        ("peul", "ff"),
        ("ewondo", "ewo"),
        ("douala", "dua"),
        ("klingon", None),
        ("", None),
        ("auto", None),
    ],
)
def test_languages_are_known_by_their_many_names(name, code):
    assert code_of(name) == code


def test_an_unknown_code_keeps_its_own_name():
    assert (english_name("pcm"), english_name("xx")) == ("Cameroon Pidgin English", "xx")


def test_claims_are_those_of_the_models_makers():
    assert claims("transcribe", "openai/whisper-large-v3")["fr"] == "verified"
    assert claims("transcribe", "distil-whisper/distil-large-v3") == {"en": "verified"}
    assert claims("chat_stream", "meta-llama/Meta-Llama-3-8B-Instruct")["fr"] == "experimental"
    assert claims("chat_stream", "llama3.1:8b")["fr"] == "verified"
    assert "pcm" not in claims("translate", "facebook/nllb-200-distilled-600M")
    assert claims("translate", "facebook/nllb-200-distilled-600M")["ff"] == "experimental"
    assert claims("embed", "anything") == {}
