from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from ai.checks import chosen_providers_can_do_their_verbs, some_provider_can_chat


def found(check):
    return [message.id for message in check()]


def test_the_default_settings_pass():
    assert found(chosen_providers_can_do_their_verbs) == []


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("AI_CHAT", "hf,nobody", "ai.E001"),
        ("AI_CHAT", "broken", "ai.E002"),
        ("AI_TRANSCRIBE", "ollama", "ai.E003"),
        ("AI_CHAT", "local", "ai.E003"),
    ],
)
def test_a_provider_that_cannot_is_an_error(settings, setting, value, problem):
    settings.AI_PROVIDERS = {**settings.AI_PROVIDERS, "broken": "ai.nowhere.Nothing"}
    setattr(settings, setting, value)
    assert found(chosen_providers_can_do_their_verbs) == [problem]


def test_one_provider_for_everything_need_not_do_everything(settings):
    for setting in ("PROVIDER", "CHAT", "TRANSCRIBE", "DESCRIBE", "TRANSLATE", "EMBED"):
        setattr(settings, f"AI_{setting}", "ollama")
    assert found(chosen_providers_can_do_their_verbs) == []


def test_a_deployment_without_anybody_to_chat_is_warned(settings):
    settings.AI_CHAT, settings.HF_API_TOKEN = "hf", ""
    assert found(some_provider_can_chat) == ["ai.W001"]
    settings.AI_CHAT = "offline"
    assert found(some_provider_can_chat) == []


def run(*verbs):
    out = StringIO()
    call_command("ai_check", *verbs, stdout=out, no_color=True, skip_checks=True)
    return out.getvalue()


def fails(*verbs):
    """What it says where it ends with an error."""
    out = StringIO()
    with pytest.raises(CommandError, match="None of the models chosen works"):
        call_command("ai_check", *verbs, stdout=out, no_color=True, skip_checks=True)
    return out.getvalue()


def test_ai_check_says_what_is_missing(settings):
    settings.AI_CHAT = settings.AI_TRANSCRIBE = "hf"
    settings.HF_API_TOKEN = ""
    said = fails("chat_stream", "transcribe")
    assert "HF_API_TOKEN is not set" in said
    assert "Answers are composed from guidance." in said


def test_ai_check_says_what_to_do_where_nobody_listens(settings):
    settings.AI_CHAT, settings.OLLAMA_BASE_URL = "ollama", "http://127.0.0.1:9"
    said = fails("chat_stream")
    assert "FAILS" in said
    assert "cannot be reached. Start it, or correct its address" in said


def test_ai_check_passes_where_a_later_model_works(settings, llama):
    settings.AI_CHAT, settings.LMSTUDIO_BASE_URL = "ollama,lmstudio", llama
    settings.OLLAMA_BASE_URL, settings.AI_ANSWER_TOKENS = "http://127.0.0.1:9", 8
    said = run("chat_stream")
    assert "FAILS" in said
    assert "works" in said


def test_ai_check_passes_where_nobody_was_chosen(settings):
    settings.AI_CHAT = "offline"
    assert "chat_stream: nobody" in run("chat_stream")


def test_ai_check_knows_its_verbs():
    with pytest.raises(CommandError, match="no such verb: chat"):
        run("chat")


def test_ai_check_measures_what_works(settings, llama):
    settings.AI_CHAT, settings.LMSTUDIO_BASE_URL = "lmstudio", llama
    settings.AI_ANSWER_TOKENS = 8
    said = run("chat_stream")
    assert "chat_stream  works" in said
    assert "local-model" not in said
