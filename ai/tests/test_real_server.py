"""Against llama.cpp's own server, not ours."""

import asyncio

import aiohttp
import pytest

from ai import ladder
from ai.base import ChatMessage, Declined
from ai.ladder import NobodyAnswered, open_chat
from ai.providers.huggingface import HuggingFace
from ai.providers.openai_style import LMStudio

QUESTION = [ChatMessage("user", "Say hello.")]


@pytest.fixture
def at_llama(settings, llama):
    settings.AI_ANSWER_TOKENS = 24
    settings.LMSTUDIO_BASE_URL = llama
    settings.HF_BASE_URL = llama
    settings.HF_API_TOKEN = ""
    return settings


@pytest.mark.parametrize("provider", ["lmstudio", "hf"])
async def test_a_real_server_streams_through_the_ladder(at_llama, provider):
    at_llama.AI_CHAT = provider
    async with open_chat(QUESTION, abroad=False) as answer:
        pieces = [piece async for piece in answer]
    assert len(pieces) > 3
    assert "".join(pieces).strip()


async def test_the_placeholder_becomes_the_model_that_is_loaded(at_llama):
    provider = LMStudio("local-model")
    assert (await provider.resolve()).endswith(".gguf")
    await provider.close()


async def test_the_official_client_of_hugging_face_completes(at_llama):
    provider = HuggingFace("any")
    said = await provider.translate("Good morning", source="en", target="pcm")
    assert said.strip()
    await provider.close()


async def test_the_official_client_of_openai_completes(at_llama):
    provider = LMStudio("local-model")
    assert (await provider.translate("Good morning", source="en", target="pcm")).strip()
    await provider.close()


async def test_leaving_early_stops_the_real_server(at_llama, llama):
    at_llama.AI_CHAT, at_llama.AI_ANSWER_TOKENS = "lmstudio", 900
    async with open_chat(QUESTION, abroad=False) as answer:
        await anext(aiter(answer))
    await idle(llama)
    assert ladder.ladder("chat_stream").rungs[0].breaker.state() == "ok"


async def test_an_overlong_prompt_is_declined_and_no_failure(at_llama):
    at_llama.AI_CHAT = "lmstudio"
    with pytest.raises(NobodyAnswered):
        await leave([ChatMessage("user", "word " * 5000)])
    breaker = ladder.ladder("chat_stream").rungs[0].breaker
    assert (breaker.state(), breaker.last_error) == ("ok", None)
    with pytest.raises(Declined):
        await anext(LMStudio("local-model").chat_stream([ChatMessage("user", "word " * 5000)]))


async def leave(messages):
    async with open_chat(messages, abroad=False):
        pass


async def idle(llama):
    """Until no slot of the server is at work."""
    url = llama.removesuffix("/v1") + "/slots"
    async with asyncio.timeout(10), aiohttp.ClientSession() as http:
        while True:
            slots = await (await http.get(url)).json()
            if not any(slot["is_processing"] for slot in slots):
                return
            await asyncio.sleep(0.05)
