"""A whole turn with llama.cpp's own server behind it. It proves the wire, never the medicine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ai import ladder
from ai.tests.test_real_server import idle
from carehelp.tests.people import SignUp
from carehelp.tests.waiting import until
from conversations.live.runner import runner


@pytest.fixture
async def at_llama(settings: Any, llama: str) -> AsyncIterator[None]:
    settings.LMSTUDIO_BASE_URL, settings.AI_CHAT = llama, "lmstudio"
    settings.AI_ANSWER_TOKENS = 600
    yield
    await ladder.close()


async def test_a_turn_streams_from_a_real_model_and_its_stop_reaches_it(
    client: httpx.AsyncClient, sign_up: SignUp, at_llama: None, llama: str
) -> None:
    headers = await sign_up("store_history")
    body = {"message": "Hello, tell me a long story.", "language": "en"}
    asking = asyncio.create_task(client.post("/api/chat", json=body, headers=headers))
    await until(lambda: any(len(live.text) > 20 for live in runner().replies.values()), 120)
    (reply_id,) = runner().replies
    stopped = await client.post(f"/api/messages/{reply_id}/stop", headers=headers)
    turn = (await asking).json()
    assert (turn["status"], turn["mode"], turn["provider"]) == ("stopped", "normal", "lmstudio")
    assert turn["model"].endswith(".gguf")
    assert stopped.json()["response"] == turn["response"]
    assert len(turn["response"]) > 20
    await idle(llama)
