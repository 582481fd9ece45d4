"""When there is too much to do: who waits, who is told to come back, and that danger is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from ai import ladder
from ai.tests.contract_server import ContractServer, serving
from carehelp.tests.people import SignUp
from carehelp.tests.waiting import until
from conversations.incoming import Incoming
from conversations.live.runner import runner

NEWBORN = "mon bébé de 3 semaines a de la fièvre et ne tète plus"
QUESTION = {"message": "Comment éviter le paludisme ?"}


@pytest.fixture
async def model(settings: Any) -> AsyncIterator[ContractServer]:
    """Takes two seconds to answer."""
    async with serving(ContractServer()) as model:
        model.words, model.pause = ["mot "] * 20, 0.1
        settings.LMSTUDIO_BASE_URL = f"{model.url}/v1"
        settings.AI_CHAT = "lmstudio"
        yield model
        await ladder.close()


async def ask(client: httpx.AsyncClient, headers: dict[str, str], **body: Any) -> httpx.Response:
    return await client.post("/api/chat", json=QUESTION | body, headers=headers)


async def asking(
    client: httpx.AsyncClient, headers: dict[str, str], model: ContractServer
) -> asyncio.Task[httpx.Response]:
    """A question that the model is answering."""
    before = len(model.requests)
    task = asyncio.create_task(ask(client, headers))
    await until(lambda: len(model.requests) > before)
    return task


def assert_told_to_wait(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["retryable"] is True
    assert answer.json()["triage"]["level"] == "none"


async def test_one_person_has_so_many_answers_at_once_and_danger_is_not_counted(
    client: httpx.AsyncClient, sign_up: SignUp, model: ContractServer, settings: Any
) -> None:
    settings.TURNS_PER_USER = 1
    headers, another = await sign_up("store_history"), await sign_up("store_history")
    first = await asking(client, headers, model)
    assert_told_to_wait(await ask(client, headers), 429, "too_many_requests")
    urgent = (await ask(client, headers, message=NEWBORN)).json()
    assert (urgent["emergency"], urgent["status"]) == (True, "completed")
    assert (await ask(client, another)).json()["status"] == "completed"
    assert (await first).json()["status"] == "completed"


async def test_a_turn_is_counted_once_at_every_moment_of_its_beginning(
    client: httpx.AsyncClient, sign_up: SignUp, model: ContractServer, settings: Any
) -> None:
    settings.TURNS_PER_USER = 4
    headers = await sign_up("store_history")
    person = (await client.get("/api/users/me", headers=headers)).json()["id"]
    fourth = Incoming(UUID(person), "Bonjour")

    async def always_let_in() -> None:
        while True:
            runner()._admit(fourth)
            await asyncio.sleep(0)

    looking = asyncio.create_task(always_let_in())
    asked = [await asking(client, headers, model) for _ in range(3)]
    assert not looking.done(), looking.exception()
    looking.cancel()
    assert {(await one).json()["status"] for one in asked} == {"completed"}


async def test_a_process_answers_some_lets_some_wait_and_sheds_the_rest(
    client: httpx.AsyncClient, sign_up: SignUp, model: ContractServer, settings: Any
) -> None:
    settings.TURNS_RUNNING, settings.TURNS_WAITING = 1, 1
    people = [await sign_up("store_history") for _ in range(3)]
    first = await asking(client, people[0], model)
    waiting = asyncio.create_task(ask(client, people[1]))
    await until(lambda: len(runner().replies) == 2)
    assert_told_to_wait(await ask(client, people[2]), 503, "overloaded")
    urgent = (await ask(client, people[2], message=NEWBORN)).json()
    assert (urgent["emergency"], urgent["status"]) == (True, "completed")
    assert (await first).json()["mode"] == (await waiting).json()["mode"] == "normal"
    assert model.most_open == 1


async def test_danger_is_read_where_the_database_takes_no_more(
    client: httpx.AsyncClient, sign_up: SignUp, settings: Any
) -> None:
    headers = await sign_up("store_history")
    settings.DATABASE_MAX_WAITING = 0
    answer = await ask(client, headers, message=NEWBORN)
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.json()["triage"]["level"] == "emergency"
    assert answer.json()["triage"]["advice"]
