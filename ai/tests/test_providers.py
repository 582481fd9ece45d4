"""Each provider against the contract server: what it sends, and what it makes of what comes."""

import asyncio
import json
import logging
import subprocess
import sys

import pytest

from ai import base, wire
from ai.base import ChatMessage, Media
from ai.ladder import NobodyOffers, close, describe, embed, ladder, open_chat, transcribe, translate
from ai.providers.huggingface import HuggingFace
from ai.providers.ollama import Ollama
from ai.providers.openai_style import Chunks, LMStudio, OpenAI
from ai.tests.contract_server import ANSWER
from ai.tests.hub import forget_what_was_looked_up, hugging_face

QUESTION = [ChatMessage("system", "Be brief."), ChatMessage("user", "Bonjour")]
PICTURE = Media(b"\xff\xd8\xff", "image/jpeg")
SPEECH = Media(b"OggS....", "audio/ogg")


@pytest.fixture
def hub(settings, server, monkeypatch):
    """Hugging Face's hub, router and tasks, at the contract server."""
    with hugging_face(server, settings, monkeypatch):
        yield server


async def text_of(provider, messages=QUESTION):
    try:
        return "".join([piece async for piece in provider.chat_stream(messages)])
    finally:
        await provider.close()


async def fails(provider, ask):
    """The error with which `ask(provider)` ends."""
    try:
        with pytest.raises(base.ProviderError) as caught:
            await ask(provider)
    finally:
        await provider.close()
    return caught.value


STATUSES = [
    ("400", base.Declined),
    ("401", base.Refused),
    ("402", base.QuotaExhausted),
    ("403", base.Refused),
    ("404", base.ModelMissing),
    ("413", base.Declined),
    ("422", base.Declined),
    ("429", base.RateLimited),
    ("500", base.ServerFault),
    ("503", base.ServerFault),
    ("504", base.TooSlow),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
async def test_each_status_of_a_stream_is_our_error(hub, second, status, kind):
    hub.pulled.append("llama3.1:8b")
    for provider in (
        HuggingFace(f"m-fault-{status}"),
        OpenAI(f"m-fault-{status}"),
        Ollama(f"llama3.1:8b-fault-{status}"),
    ):
        error = await fails(provider, text_of)
        assert type(error) is kind


@pytest.mark.parametrize(("status", "kind"), STATUSES)
async def test_each_status_of_the_official_clients_is_our_error(hub, second, status, kind):
    for provider in (
        HuggingFace(f"m-fault-{status}"),
        OpenAI(f"m-fault-{status}"),
        Ollama(f"llama3.1:8b-fault-{status}"),
    ):
        error = await fails(provider, lambda p: p.translate("x", source="en", target="pcm"))
        assert type(error) is kind


@pytest.mark.parametrize("ask", [text_of, lambda p: p.translate("x", source="en", target="pcm")])
async def test_an_address_where_nobody_listens_is_unreachable(settings, ask):
    nowhere = "http://127.0.0.1:9"
    settings.HF_BASE_URL = settings.OLLAMA_BASE_URL = nowhere
    settings.LMSTUDIO_BASE_URL = f"{nowhere}/v1"
    for provider in (HuggingFace("m"), LMStudio("m"), Ollama("m")):
        assert type(await fails(provider, ask)) is base.Unreachable


@pytest.mark.alone
async def test_words_that_come_soon_after_others_come_together(server, monkeypatch):
    server.pause, server.words = 0.01, [f"mot{number} " for number in range(12)]
    provider = LMStudio("qwen")
    try:
        pieces = [piece async for piece in provider.chat_stream(QUESTION)]
    finally:
        await provider.close()
    assert "".join(pieces) == "".join(server.words)
    assert len(pieces) <= len(server.words) / 2


async def test_retry_after_is_read_in_both_forms():
    assert wire.retry_after({"retry-after": "7"}) == 7
    assert wire.retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 1
    assert wire.retry_after({"retry-after": "99999999"}) == 600
    assert wire.retry_after({"retry-after": "soon"}) is None


async def test_words_in_a_body_outweigh_its_status():
    empty_purse = wire.error_for(429, {}, b'{"code": "insufficient_quota"}', who="openai")
    nobody = wire.error_for(400, {}, b"not supported by any provider you have enabled", who="hf")
    assert type(empty_purse) is base.QuotaExhausted
    assert type(nobody) is base.ModelMissing


async def test_a_patients_words_in_an_error_body_are_not_repeated():
    error = wire.error_for(400, {}, b"bad prompt: my secret", who="hf")
    assert "secret" not in str(error) + error.detail


async def test_hugging_face_streams_from_its_router_with_the_token(hub):
    assert await text_of(HuggingFace("meta-llama/Meta-Llama-3-8B-Instruct")) == ANSWER
    sent = hub.requests[0]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["headers"]["authorization"] == "Bearer hf_test"
    assert (sent["model"], sent["stream"]) == ("meta-llama/Meta-Llama-3-8B-Instruct", True)
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Bonjour"},
    ]


async def test_hugging_face_does_its_other_verbs(hub, settings):
    for verb in ("AI_TRANSCRIBE", "AI_DESCRIBE", "AI_TRANSLATE", "AI_EMBED"):
        setattr(settings, verb, "hf")
    heard = await transcribe(SPEECH, language="fr", abroad=True)
    seen = await describe(PICTURE, question="C'est quoi ?", language="fr", abroad=True)
    said = await translate("J'ai mal à la tête", source="fr", target="en", abroad=True)
    vectors = await embed(["a", "bb"], kind="query", abroad=True)
    assert heard.result.text == "J'ai mal à la tête."
    assert (seen.result, seen.model) == (ANSWER, settings.HF_VISION_MODEL)
    assert (said.result, said.model) == ("My head hurts.", settings.HF_TRANSLATION_MODEL)
    assert [len(vector) for vector in vectors.result] == [3, 3]
    posted = {request["path"]: request for request in hub.requests}
    speech = posted["/hf-inference/models/openai/whisper-large-v3"]
    assert (speech["data"], speech["headers"]["content-type"]) == (SPEECH.data, "audio/ogg")
    spoken = json.loads(posted[f"/hf-inference/models/{settings.HF_TRANSLATION_MODEL}"]["data"])
    assert spoken["parameters"] == {"src_lang": "fra_Latn", "tgt_lang": "eng_Latn"}


async def test_blip_describes_where_no_vision_model_can(hub, settings):
    settings.AI_DESCRIBE, settings.HF_VISION_MODEL = "hf", "qwen-vl-fault-404"
    seen = await describe(PICTURE, question="", language="fr", abroad=True)
    assert seen.result == "a red spot on an arm"
    assert seen.model == settings.HF_VISION_CAPTION_MODEL


async def test_the_chat_model_translates_what_nllb_does_not_know(hub, settings):
    settings.AI_TRANSLATE = "hf"
    said = await translate("Hello", source="en", target="pcm", abroad=True)
    assert (said.result, said.model) == (ANSWER, settings.HF_TEXT_MODEL)
    assert ladder("translate").rungs[0].breaker.state() == "ok"


async def test_a_language_that_no_rung_translates_is_not_offered(hub, settings):
    settings.AI_TRANSLATE, settings.HF_TEXT_MODEL = "hf", ""
    with pytest.raises(NobodyOffers):
        await translate("Hello", source="en", target="pcm", abroad=True)


async def test_an_english_only_model_is_not_asked_for_french(hub, settings, caplog):
    settings.AI_TRANSCRIBE = "hf"
    settings.HF_ASR_MODEL = "distil-whisper/distil-large-v3,openai/whisper-large-v3"
    with caplog.at_level(logging.WARNING):
        heard = await transcribe(SPEECH, language=None, abroad=True)
    assert heard.model == "openai/whisper-large-v3"
    assert "English only" in caplog.text
    english = await transcribe(SPEECH, language="en", abroad=True)
    assert english.model == "distil-whisper/distil-large-v3"


@pytest.mark.parametrize("model", ["org/whisper-fault-nobody", "org/whisper-fault-404"])
async def test_a_model_nobody_serves_is_missing_not_a_runtime_error(hub, model):
    error = await fails(HuggingFace(model), lambda p: p.transcribe(SPEECH, language="fr"))
    assert type(error) is base.ModelMissing
    assert "choose another" in error.detail


async def test_an_unreadable_answer_of_a_task_is_a_bad_answer(hub):
    error = await fails(
        HuggingFace("org/whisper-fault-malformed"), lambda p: p.transcribe(SPEECH, language="fr")
    )
    assert type(error) is base.BadAnswer


@pytest.mark.alone
async def test_the_clients_blocking_look_ups_do_not_block_the_loop(hub, settings, caplog):
    settings.AI_TRANSCRIBE, settings.HF_ASR_MODEL = "hf", "org/whisper-fault-slow-hub"
    slow = await slow_callbacks(caplog, lambda: transcribe(SPEECH, language="fr", abroad=True))
    assert slow == []


@pytest.mark.alone
@pytest.mark.parametrize("name", ["hf", "ollama", "lmstudio", "openai"])
async def test_no_verb_blocks_the_loop_for_50_ms(hub, second, settings, caplog, name):
    for verb in ("AI_CHAT", "AI_DESCRIBE", "AI_TRANSLATE", "AI_EMBED"):
        setattr(settings, verb, name)

    async def everything():
        async with open_chat(QUESTION, abroad=True) as answer:
            assert "".join([piece async for piece in answer]) == ANSWER
        await describe(PICTURE, question="?", language="fr", abroad=True)
        await translate("Bonjour", source="fr", target="en", abroad=True)
        await embed(["a"], kind="passage", abroad=True)

    assert await slow_callbacks(caplog, everything) == []


async def slow_callbacks(caplog, work, attempts=5):
    """asyncio's complaints about whatever held the loop for over 50 ms, of the quietest attempt.

    A busy machine holds a loop now and then; what blocks by itself does so each time, since each
    attempt begins with new clients and nothing looked up.
    """
    complaints = []
    for _ in range(attempts):
        await close()
        forget_what_was_looked_up()
        complaints = await complaints_about(work, caplog)
        if not complaints:
            break
    return complaints


async def complaints_about(work, caplog):
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.05
    caplog.clear()
    loop.set_debug(True)
    try:
        with caplog.at_level(logging.WARNING, logger="asyncio"):
            await work()
    finally:
        loop.set_debug(False)
    return [r.getMessage() for r in caplog.records if "Executing" in r.getMessage()]


def test_cold_clients_import_and_look_up_in_other_threads():
    script = [sys.executable, "-m", "ai.tests.cold_start"]
    ran = subprocess.run(script, capture_output=True, text=True, check=True, timeout=100)
    assert ran.stdout.split("\n") == ["", ""]


async def test_ollama_streams_and_asks_for_room_and_to_stay_loaded(server, settings):
    picture = ChatMessage("user", "Et ceci ?", images=(PICTURE,))
    assert await text_of(Ollama("llama3.1:8b"), [*QUESTION, picture]) == ANSWER
    sent = server.requests[0]
    assert sent["path"] == "/api/chat"
    assert (sent["stream"], sent["keep_alive"]) == (True, "30m")
    assert sent["options"]["num_ctx"] == settings.OLLAMA_CONTEXT_TOKENS
    assert sent["messages"][2]["images"] == ["/9j/"]


async def test_ollama_describes_translates_and_embeds(server, settings):
    settings.AI_DESCRIBE = settings.AI_TRANSLATE = settings.AI_EMBED = "ollama"
    seen = await describe(PICTURE, question="?", language="fr", abroad=False)
    said = await translate("Bonjour", source="fr", target="en", abroad=False)
    vectors = await embed(["a", "bb"], kind="query", abroad=False)
    assert (seen.result, seen.model) == (ANSWER, "llava:7b")
    assert (said.result, said.model) == (ANSWER, "llama3.1:8b")
    assert len(vectors.result) == 2


@pytest.mark.parametrize("ask", [text_of, lambda p: p.warm_up()])
async def test_a_model_that_was_not_pulled_names_the_command(server, ask):
    error = await fails(Ollama("mistral:7b"), ask)
    assert type(error) is base.ModelMissing
    assert "ollama pull mistral:7b" in error.detail


async def test_ollama_that_is_not_running_says_what_to_do(settings):
    settings.OLLAMA_BASE_URL = "http://127.0.0.1:9"
    error = await fails(Ollama("m"), lambda p: p.warm_up())
    assert "ollama serve" in error.detail


async def test_a_local_model_may_load_longer_than_a_provider_abroad_may_think(server, settings):
    settings.AI_CHAT = "ollama"
    settings.AI_FIRST_WORD_SECONDS_ABROAD, settings.AI_FIRST_WORD_SECONDS_LOCAL = 0.1, 5
    server.pause = 0.3
    server.words = ["fini"]
    async with open_chat(QUESTION, abroad=False) as answer:
        assert [piece async for piece in answer] == ["fini"]


async def test_pictures_go_to_an_openai_style_server_as_data_urls(server):
    await text_of(LMStudio("any"), [ChatMessage("user", "?", images=(PICTURE,))])
    parts = server.requests[0]["messages"][0]["content"]
    assert parts[1]["image_url"]["url"] == "data:image/jpeg;base64,/9j/"


def test_an_answer_that_says_why_it_ended_is_over_without_done():
    chunks = Chunks("x")
    said = chunks.text([b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}'])
    assert (said, chunks.over, chunks.fault) == ("a", True, None)


async def test_vectors_come_back_in_the_order_of_their_texts(server):
    provider = LMStudio("text-embedding-small")
    vectors = await provider.embed(["a", "bb", "ccc"], kind="passage")
    await provider.close()
    assert [vector[0] for vector in vectors] == [1, 2, 3]


async def test_lm_studio_with_nothing_loaded_says_what_to_do(server):
    server.served = ["text-embedding-small"]
    error = await fails(LMStudio("local-model"), text_of)
    assert "lms load" in error.detail


async def test_openai_transcribes(second, settings):
    settings.AI_TRANSCRIBE = "openai"
    heard = await transcribe(SPEECH, language="fr", abroad=True)
    assert heard.result.text == "J'ai mal à la tête."


@pytest.mark.parametrize(
    ("url", "home"),
    [
        ("http://localhost:1234/v1", True),
        ("http://127.0.0.1:11434", True),
        ("http://192.168.1.20:11434", True),
        ("http://ollama:11434", True),
        ("http://gpu.local", True),
        ("http://[::1]:80", True),
        ("https://ollama.com", False),
        ("https://api.openai.com/v1", False),
        ("http://8.8.8.8", False),
        ("https://models.hospital.cm", True),
    ],
)
def test_at_home_is_the_operators_own_network(settings, url, home):
    settings.AI_HOME_HOSTS = ["models.hospital.cm"]
    assert base.at_home(url) is home


async def test_a_local_provider_at_a_public_address_counts_as_abroad(settings):
    settings.AI_CHAT, settings.OLLAMA_BASE_URL = "ollama", "https://ollama.com"
    assert ladder("chat_stream").rungs[0].abroad


async def test_a_dedicated_endpoint_at_home_needs_no_token_and_no_consent(settings):
    settings.HF_API_TOKEN, settings.HF_BASE_URL = "", "http://10.0.0.5:8080"
    settings.AI_CHAT = settings.AI_TRANSCRIBE = "hf"
    chat, speech = ladder("chat_stream").rungs[0], ladder("transcribe").rungs[0]
    assert (chat.lacks, chat.abroad) == ("", False)
    assert (bool(speech.lacks), speech.abroad) == (True, True)
