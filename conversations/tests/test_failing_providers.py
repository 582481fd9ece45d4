"""Whole turns through REST while providers fail and clients leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ai import ladder
from ai.tests.contract_server import ANSWER, ContractServer, serving
from carehelp.asgi import application
from carehelp.tests.people import SignUp
from carehelp.tests.serving import served

PEOPLE, EACH = 100, 3


@pytest.fixture
async def dead(settings: Any) -> AsyncIterator[ContractServer]:
    """First in the ladder; it drops every connection before a word."""
    ladder.forget()
    async with serving(ContractServer()) as server:
        settings.AI_CHAT = "lmstudio,nearby"
        settings.LMSTUDIO_BASE_URL = f"{server.url}/v1"
        settings.LMSTUDIO_MODEL = "qwen-fault-cut-before"
        server.served = ["qwen-fault-cut-before"]
        yield server
    await ladder.close()
    ladder.forget()


@pytest.fixture
async def nearby(settings: Any) -> AsyncIterator[ContractServer]:
    """Second in the ladder; it answers."""
    async with serving(ContractServer()) as server:
        settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY = f"{server.url}/v1", "sk-test"
        settings.AI_PROVIDERS = {
            **settings.AI_PROVIDERS,
            "nearby": "ai.tests.providers.Nearby",
        }
        yield server


async def test_300_parallel_turns_with_a_dead_first_provider_are_all_answered(
    client: httpx.AsyncClient, sign_up: SignUp, nearby: ContractServer, dead: ContractServer
) -> None:
    people = [await sign_up("store_history") for _ in range(PEOPLE)]
    client.timeout = httpx.Timeout(240)

    async def ask(headers: dict[str, str]) -> dict[str, Any]:
        answer = await client.post("/api/chat", json={"message": "Bonjour"}, headers=headers)
        assert answer.status_code == 200, answer.text
        turn: dict[str, Any] = answer.json()
        return turn

    turns = await asyncio.gather(*(ask(headers) for headers in people * EACH))
    assert len({turn["reply_id"] for turn in turns}) == PEOPLE * EACH
    assert {(turn["status"], turn["mode"]) for turn in turns} == {("completed", "fallback")}
    assert all(turn["response"].startswith(ANSWER) for turn in turns)
    assert 0 < dead.calls["/v1/chat/completions"] < 70


@pytest.fixture
async def slow(settings: Any) -> AsyncIterator[ContractServer]:
    ladder.forget()
    async with serving(ContractServer()) as server:
        settings.AI_CHAT, settings.LMSTUDIO_BASE_URL = "lmstudio", f"{server.url}/v1"
        # All 40 are to be asked at once or after one another, however slow this machine is.
        settings.AI_PLACE_SECONDS = 60
        server.words, server.pause = ["mot "] * 60, 0.05
        yield server
    await ladder.close()
    ladder.forget()


async def until_nothing_is_open(server: ContractServer) -> None:
    async with asyncio.timeout(60):
        while server.open:  # noqa: ASYNC110  the server tells nobody when a stream ends
            await asyncio.sleep(0.05)


async def leave(base: str, headers: dict[str, str], *, stop: bool) -> int:
    """Read a stream's first words, then hang up; `stop` says so first."""
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as phone:
        body = {"message": "Bonjour", "stream": True}
        async with phone.stream("POST", "/api/chat", json=body) as stream:
            assert stream.status_code == 200
            lines = stream.aiter_lines()
            reply_id = 0
            async for line in lines:
                if line.startswith("id: "):
                    reply_id = int(line.removeprefix("id: ").partition(":")[0])
                    break
        if stop:
            await phone.post(f"/api/messages/{reply_id}/stop")
    return reply_id


@pytest.mark.parametrize("stop", [False, True])
async def test_40_clients_leaving_leave_nothing_open_and_move_no_breaker(
    client: httpx.AsyncClient, sign_up: SignUp, slow: ContractServer, stop: bool
) -> None:
    """A turn outlives its client; a stopped one lets go of its upstream."""
    people = [await sign_up("store_history") for _ in range(20)]
    with served(application) as base:
        left = await asyncio.gather(*(leave(base, one, stop=stop) for one in people * 2))
        await until_nothing_is_open(slow)
    assert len(set(left)) == 40
    ended = [
        (await client.get(f"/api/messages/{reply_id}", headers=headers)).json()
        for reply_id, headers in zip(left, people * 2, strict=True)
    ]
    status = "stopped" if stop else "completed"
    assert {(turn["status"], turn["mode"]) for turn in ended} == {(status, "normal")}
    assert (slow.left, slow.finished) == ((40, 0) if stop else (0, 40))
    [rung] = ladder.ladder("chat_stream").rungs
    assert (rung.breaker.state(), rung.breaker.last_error) == ("ok", None)
