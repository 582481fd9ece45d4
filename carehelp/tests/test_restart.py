"""A restart in the middle of answers, with the processes and signals of production."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from ai.tests.contract_server import ContractServer, serving
from carehelp.database import embedded
from carehelp.tests.proof.site import Process, environment, free_port, own_database
from conversations import wording

NEWBORN = "mon bébé de 3 semaines a de la fièvre et ne tète plus"
QUESTION = "Comment éviter le paludisme ?"
TWO_WORKERS = {"WORKERS": "2", "DRAIN_DELAY_SECONDS": "0", "DRAIN_SECONDS": "60"}
WORDS = [f"mot{number} " for number in range(100)]
SAID = wording.NOT_FOUND["fr"] + "\n\n" + "".join(WORDS)


@pytest.fixture(scope="module")
def urls(postgres: embedded.Server) -> Iterator[dict[str, str]]:
    with own_database(postgres) as urls:
        yield urls


@pytest.fixture
async def model() -> AsyncIterator[ContractServer]:
    """Says a hundred words in five seconds."""
    async with serving(ContractServer()) as model:
        model.words, model.pause = WORDS, 0.05
        yield model


@dataclass
class Place:
    """A running server, and somebody who is signed in to it."""

    process: Process
    http: httpx.AsyncClient
    headers: dict[str, str]
    admin: str

    def signal(self, sign: signal.Signals) -> None:
        assert self.process.running is not None
        self.process.running.send_signal(sign)

    async def ended(self, seconds: float = 30) -> int:
        assert self.process.running is not None
        return await asyncio.to_thread(self.process.running.wait, seconds)

    async def ask(self, message: str = QUESTION) -> httpx.Response:
        body = {"message": message}
        return await self.http.post("/api/chat", json=body, headers=self.headers)

    def statuses(self) -> list[str]:
        query = "SELECT status FROM messages WHERE role = 'assistant' ORDER BY id"
        with psycopg.connect(self.admin) as connection:
            connection.execute("SET search_path = app, public")
            return [row[0] for row in connection.execute(query)]


@pytest.fixture
async def place(
    urls: dict[str, str], model: ContractServer, tmp_path: Path, request: Any
) -> AsyncIterator[Place]:
    own = {
        "AI_CHAT": "lmstudio",
        "LMSTUDIO_BASE_URL": f"{model.url}/v1",
        "TURN_LEASE_SECONDS": "3",
        "DRAIN_DELAY_SECONDS": "2",
        "DRAIN_SECONDS": "20",
        **getattr(request, "param", {}),
    }
    given = {key: value for key, value in urls.items() if key != "ADMIN"}
    process = Process(
        free_port(), environment(given | own), tmp_path / "log", workers=int(own.pop("WORKERS", 1))
    )
    async with AsyncExitStack() as stack:
        stack.callback(process.stop)
        await process.start()
        http = httpx.AsyncClient(base_url=process.url, timeout=30)
        await stack.enter_async_context(http)
        made = await http.post("/api/users/guest", json={"consents": ["store_history"]})
        headers = {"Authorization": f"Bearer {made.json()['access_token']}"}
        yield Place(process, http, headers, urls["ADMIN"])
        print(process.log.read_text()[-2000:])


async def told(place: Place, heard: list[tuple[str, dict[str, Any]]], begun: asyncio.Event) -> None:
    """One question as SSE, heard until its end."""
    body = {"message": QUESTION, "stream": True}
    request = place.http.stream("POST", "/api/chat", json=body, headers=place.headers)
    async with request as answer:
        kind = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                heard.append((kind, json.loads(line[6:])))
                if kind == "delta":
                    begun.set()


async def begin(place: Place) -> tuple[asyncio.Task[None], list[tuple[str, dict[str, Any]]]]:
    """A question whose answer has begun."""
    heard: list[tuple[str, dict[str, Any]]] = []
    begun = asyncio.Event()
    task = asyncio.create_task(told(place, heard, begun))
    async with asyncio.timeout(60):
        await begun.wait()
    return task, heard


def text_of(heard: list[tuple[str, dict[str, Any]]]) -> str:
    return "".join(body["text"] for kind, body in heard if kind == "delta")


async def draining(place: Place) -> dict[str, Any]:
    """Once the first signal was noticed."""
    async with asyncio.timeout(60):
        while True:
            ready = await place.http.get("/health/ready")
            if ready.status_code == 503:
                return ready.json()
            await asyncio.sleep(0.02)


async def test_a_restart_refuses_new_turns_answers_danger_and_ends_running_ones(
    place: Place,
) -> None:
    token = place.headers["Authorization"].removeprefix("Bearer ")
    protocols: Any = ["carehelp.v1", f"carehelp.bearer.{token}"]
    address = place.process.url.replace("http://", "ws://") + "/ws/chat"
    answering, heard = await begin(place)
    async with connect(address, subprotocols=protocols) as socket:
        await socket.recv()
        place.signal(signal.SIGTERM)
        assert await draining(place) == {"status": "draining"}
        refused = await place.ask()
        urgent = await place.ask(NEWBORN)
        await socket.send(json.dumps({"type": "send", "message": "a", "client_message_id": "a"}))
        error = json.loads(await socket.recv())
        with suppress(ConnectionClosed):
            await socket.recv()
        assert (error["code"], error["retryable"]) == ("restarting", True)
        assert socket.close_code == 1012
    assert (refused.status_code, refused.json()["code"]) == (503, "restarting")
    assert refused.headers["Retry-After"] == "5"
    assert (urgent.status_code, urgent.json()["emergency"]) == (200, True)
    await answering
    assert heard[-1][1]["status"] == "completed"
    assert text_of(heard).startswith(SAID)
    await place.ended()


@pytest.mark.parametrize(
    "place", [{"DRAIN_DELAY_SECONDS": "0", "DRAIN_SECONDS": "1"}], indirect=True
)
async def test_what_has_no_time_to_end_is_kept_as_interrupted(place: Place) -> None:
    answering, heard = await begin(place)
    place.signal(signal.SIGTERM)
    await answering
    await place.ended()
    assert heard[-1][1]["status"] == "interrupted"
    said = text_of(heard)
    assert 0 < len(said) < len(SAID)
    assert SAID.startswith(said)
    assert heard[-1][1]["end"] == len(said)
    assert place.statuses()[-1] == "interrupted"


@pytest.mark.alone
async def test_a_second_signal_ends_at_once_and_loses_nothing(place: Place) -> None:
    answering, heard = await begin(place)
    place.signal(signal.SIGTERM)
    await draining(place)
    at = time.monotonic()
    place.signal(signal.SIGTERM)
    await answering
    await place.ended()
    assert time.monotonic() - at < 4, "the answer alone would have taken five seconds"
    assert heard[-1][1]["status"] == "interrupted"
    assert SAID.startswith(text_of(heard))


@pytest.mark.parametrize("place", [TWO_WORKERS], indirect=True)
async def test_a_worker_that_dies_is_replaced_and_all_end_with_their_parent(
    place: Place, model: ContractServer
) -> None:
    answering, heard = await begin(place)
    for worker in children(place):
        os.kill(worker, signal.SIGKILL)
    with suppress(httpx.TransportError):
        await answering
    reply = f"/api/messages/{heard[0][1]['reply_id']}"
    kept = await interrupted(place, reply)
    assert len(children(place)) == 2
    assert SAID.startswith(kept["response"])
    again = await place.http.post(f"{reply}/retry", headers=place.headers)
    assert again.json()["status"] == "completed"
    workers = children(place)
    model.pause = 0.2
    answering, heard = await begin(place)
    place.signal(signal.SIGTERM)
    await refused(place)
    assert not answering.done(), "connections were taken that nobody would have answered"
    await answering
    assert await place.ended() == 0
    assert heard[-1][1]["status"] == "completed"
    assert not any(alive(worker) for worker in workers)


async def refused(place: Place) -> None:
    """Until nobody takes a connection."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with httpx.AsyncClient(timeout=2) as fresh:
                    await fresh.get(f"{place.process.url}/health/live")
            except httpx.ConnectError:
                return
            except httpx.TransportError:
                continue


async def interrupted(place: Place, reply: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                turn = (await place.http.get(reply, headers=place.headers)).json()
                if turn["status"] == "interrupted":
                    return turn
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("place", [TWO_WORKERS], indirect=True)
async def test_a_parent_that_is_killed_leaves_nobody_behind(place: Place) -> None:
    workers = children(place)
    answering, heard = await begin(place)
    place.process.kill()
    await answering
    assert heard[-1][1]["status"] == "completed"
    await asyncio.to_thread(gone, workers)


def gone(workers: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(place: Place) -> list[int]:
    """The workers that take connections: not Python's own helper processes."""
    assert place.process.running is not None
    parent = place.process.running.pid
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in found if "spawn_main" in command(int(pid))]


def command(pid: int) -> str:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def alive(pid: int) -> bool:
    """Not counting one that only waits to be collected."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
