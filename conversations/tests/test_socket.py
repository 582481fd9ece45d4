"""The WebSocket door, over a real socket, as a phone would use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ai import ladder
from ai.tests.contract_server import ContractServer, serving
from carehelp.asgi import application
from carehelp.tests.serving import served

NEWBORN = "mon bébé de 3 semaines a de la fièvre et ne tète plus"
QUESTION = "Comment éviter le paludisme ?"


@pytest.fixture
async def base(database: None) -> AsyncIterator[str]:
    with served(application) as url:
        yield url


@pytest.fixture
async def slow_model(settings: Any) -> AsyncIterator[ContractServer]:
    """A model that says many words, slowly enough to be interrupted."""
    async with serving(ContractServer()) as model:
        model.words = [f"mot{number} " for number in range(200)]
        model.pause = 0.02
        settings.AI_CHAT = "lmstudio"
        settings.LMSTUDIO_BASE_URL = f"{model.url}/v1"
        ladder.forget()
        yield model
    ladder.forget()


async def sign_up(base: str) -> dict[str, str]:
    async with httpx.AsyncClient(base_url=base) as http:
        made = await http.post("/api/users/guest", json={"consents": ["store_history"]})
        return {"Authorization": f"Bearer {made.json()['access_token']}"}


def address(base: str, path: str = "/ws/chat") -> str:
    return base.replace("http://", "ws://") + path


@asynccontextmanager
async def signed_in(base: str, headers: dict[str, str]) -> AsyncIterator[ClientConnection]:
    token = headers["Authorization"].removeprefix("Bearer ")
    protocols: Any = ["carehelp.v1", f"carehelp.bearer.{token}"]
    async with connect(address(base), subprotocols=protocols) as socket:
        assert socket.subprotocol == "carehelp.v1"
        assert (await frame(socket))["type"] == "ready"
        yield socket


async def frame(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(20):
        received: dict[str, Any] = json.loads(await socket.recv())
    return received


async def until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    frames = [await frame(socket)]
    while frames[-1]["type"] != kind:
        frames.append(await frame(socket))
    return frames


async def say(socket: ClientConnection, **body: Any) -> None:
    await socket.send(json.dumps(body))


async def close_code(socket: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        while True:
            await frame(socket)
    return socket.close_code


def text_of(frames: list[dict[str, Any]]) -> str:
    """The client's rule: append at the end, cut back where what is stored is shorter."""
    text = ""
    for delta in (f for f in frames if f["type"] == "delta"):
        if delta["offset"] <= len(text):
            text = text[: delta["offset"]] + delta["text"]
    return text


async def test_a_message_is_answered_with_the_same_events_as_over_http(base: str) -> None:
    headers = await sign_up(base)
    async with signed_in(base, headers) as socket:
        await say(socket, type="send", message=QUESTION, client_message_id="one")
        frames = await until(socket, "done")
    assert [f["type"] for f in frames][:2] == ["accepted", "triage"]
    done = frames[-1]
    assert (done["status"], done["end"]) == ("completed", len(text_of(frames)))
    async with httpx.AsyncClient(base_url=base, headers=headers) as http:
        turn = (await http.get(f"/api/messages/{done['reply_id']}")).json()
    assert turn["response"] == text_of(frames)


async def test_a_ticket_opens_one_socket_only(base: str) -> None:
    headers = await sign_up(base)
    async with httpx.AsyncClient(base_url=base, headers=headers) as http:
        made = await http.post("/api/ws-ticket")
    assert made.status_code == 201
    protocols: Any = ["carehelp.v1", f"carehelp.ticket.{made.json()['ticket']}"]
    async with connect(address(base), subprotocols=protocols) as socket:
        assert (await frame(socket))["type"] == "ready"
    async with connect(address(base), subprotocols=protocols) as socket:
        assert await close_code(socket) == 4401


async def test_a_first_frame_signs_in(base: str) -> None:
    token = (await sign_up(base))["Authorization"].removeprefix("Bearer ")
    async with connect(address(base)) as socket:
        await say(socket, type="auth", token=token)
        assert (await frame(socket))["type"] == "ready"
        await say(socket, type="ping")
        assert (await frame(socket))["type"] == "pong"


@pytest.mark.parametrize("token", ["garbage", "", "a.b.c"])
async def test_a_bad_token_closes_with_4401(base: str, token: str) -> None:
    async with connect(address(base)) as socket:
        await say(socket, type="auth", token=token)
        assert (await frame(socket))["type"] == "error"
        assert await close_code(socket) == 4401


async def test_frames_before_signing_in_close_with_4401(base: str) -> None:
    async with connect(address(base)) as socket:
        await say(socket, type="ping")
        assert await close_code(socket) == 4401


async def test_an_origin_that_is_not_listed_closes_with_4403(base: str, settings: Any) -> None:
    settings.CORS_ALLOW_ORIGINS = ["https://app.example"]
    async with connect(address(base), origin="https://evil.example") as socket:  # type: ignore[arg-type]
        assert await close_code(socket) == 4403
    async with connect(address(base), origin="https://app.example") as socket:  # type: ignore[arg-type]
        await say(socket, type="auth", token="garbage")
        assert await close_code(socket) == 4401


async def test_an_unknown_path_closes_with_4404(base: str) -> None:
    async with connect(address(base, "/ws/other")) as socket:
        assert await close_code(socket) == 4404


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '"text"',
        "{}",
        '{"type": 5}',
        '{"type": "dance"}',
        '{"type": "send"}',
        '{"type": "send", "message": "a"}',
        '{"type": "send", "message": 5, "client_message_id": "x"}',
        '{"type": "resume", "reply_id": 1, "offset": -1}',
        '{"type": "resume", "reply_id": 99999999999999999999}',
        '{"type": "stop", "reply_id": 424242}',
        '{"type": "join", "conversation_id": 424242}',
    ],
)
async def test_a_bad_frame_is_answered_and_the_socket_stays(base: str, text: str) -> None:
    async with signed_in(base, await sign_up(base)) as socket:
        await socket.send(text)
        error = await frame(socket)
        assert error["type"] == "error"
        assert error["code"] in {"malformed", "invalid", "not_found"}
        await say(socket, type="ping")
        assert (await frame(socket))["type"] == "pong"


async def test_a_binary_frame_is_malformed(base: str) -> None:
    async with signed_in(base, await sign_up(base)) as socket:
        await socket.send(b"\x00\xff")
        assert (await frame(socket))["code"] == "malformed"


async def test_too_many_frames_close_with_4429(base: str) -> None:
    async with signed_in(base, await sign_up(base)) as socket:
        with suppress(ConnectionClosed):
            for _ in range(10_000):
                await socket.send('{"type": "ping"}')
        assert await close_code(socket) == 4429


async def test_a_cut_connection_loses_and_repeats_nothing(
    base: str, slow_model: ContractServer
) -> None:
    headers = await sign_up(base)
    async with signed_in(base, headers) as socket:
        await say(socket, type="send", message=QUESTION, client_message_id="cut")
        seen = await until(socket, "delta")
        seen.append(await frame(socket))
    reply_id = seen[0]["reply_id"]
    got = text_of(seen)
    assert 0 < len(got) < len("".join(slow_model.words))
    async with signed_in(base, headers) as socket:
        await say(socket, type="resume", reply_id=reply_id, offset=len(got))
        rest = await until(socket, "done")
    text = text_of([{"type": "delta", "offset": 0, "text": got}, *rest])
    assert "".join(slow_model.words) in text
    assert rest[-1]["end"] == len(text)


async def test_stop_keeps_what_was_said(base: str, slow_model: ContractServer) -> None:
    async with signed_in(base, await sign_up(base)) as socket:
        await say(socket, type="send", message=QUESTION, client_message_id="stop")
        seen = await until(socket, "delta")
        await say(socket, type="stop", reply_id=seen[0]["reply_id"])
        seen += await until(socket, "done")
    assert seen[-1]["status"] == "stopped"
    assert 0 < seen[-1]["end"] == len(text_of(seen)) < len("".join(slow_model.words))


async def test_leaving_stops_nothing(base: str, slow_model: ContractServer) -> None:
    headers = await sign_up(base)
    async with signed_in(base, headers) as socket:
        await say(socket, type="send", message=QUESTION, client_message_id="leave")
        reply_id = (await until(socket, "delta"))[0]["reply_id"]
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as http:
        waited = await http.get(f"/api/messages/{reply_id}", headers={"Prefer": "wait=20"})
    assert waited.json()["status"] == "completed"
    assert "".join(slow_model.words) in waited.json()["response"]


async def test_a_second_question_waits_but_an_emergency_does_not(
    base: str, slow_model: ContractServer
) -> None:
    async with signed_in(base, await sign_up(base)) as socket:
        await say(socket, type="send", message=QUESTION, client_message_id="a")
        seen = await until(socket, "delta")
        conversation = seen[0]["conversation_id"]
        more = {"type": "send", "conversation_id": conversation}
        await say(socket, **more, message="Et la fièvre ?", client_message_id="b")
        refused = (await until(socket, "error"))[-1]
        assert (refused["code"], refused["retryable"]) == ("turn_in_progress", True)
        assert refused["client_message_id"] == "b"
        await say(socket, **more, message=NEWBORN, client_message_id="c")
        ends = {}
        while len(ends) < 2:
            done = (await until(socket, "done"))[-1]
            ends[done["client_message_id"]] = (done["status"], done["emergency"])
    assert ends == {"a": ("stopped", False), "c": ("completed", True)}


async def test_another_device_hears_what_happens_in_a_conversation(base: str) -> None:
    headers = await sign_up(base)
    async with signed_in(base, headers) as phone, signed_in(base, headers) as tablet:
        await say(phone, type="send", message="Bonjour", client_message_id="1")
        conversation = (await until(phone, "done"))[0]["conversation_id"]
        await say(tablet, type="join", conversation_id=conversation)
        await say(tablet, type="ping")
        await until(tablet, "pong")
        body = {"message": QUESTION, "conversation_id": conversation}
        await say(phone, type="send", client_message_id="2", **body)
        here, there = await until(phone, "done"), await until(tablet, "done")
    assert text_of(there) == text_of(here)
    assert there[0]["reply_id"] == here[0]["reply_id"]


async def test_following_one_reply_many_times_is_one_follower(
    base: str, slow_model: ContractServer
) -> None:
    async with signed_in(base, await sign_up(base)) as socket:
        await say(socket, type="send", message=QUESTION, client_message_id="many")
        reply_id = (await until(socket, "delta"))[0]["reply_id"]
        for _ in range(40):
            await say(socket, type="resume", reply_id=reply_id, offset=0)
        await say(socket, type="stop", reply_id=reply_id)
        frames = await until(socket, "done")
    assert sum(f["type"] == "done" for f in frames) == 1
