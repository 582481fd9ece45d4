"""The WebSocket door, over a real socket, as a phone would use it."""

from __future__ import annotations

import asyncio
import json
import socket as socketlib
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
from carehelp.tests.waiting import until as wait
from conversations.doors import sse

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
    # No pings of the client's own: it shares a core with the server, which may be busy for long.
    async with connect(address(base), subprotocols=protocols, ping_interval=None) as socket:
        assert socket.subprotocol == "carehelp.v1"
        assert (await frame(socket))["type"] == "ready"
        yield socket


async def frame(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(60):
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


async def test_a_frame_over_256_kibibytes_closes_with_1009(base: str) -> None:
    headers = await sign_up(base)
    async with signed_in(base, headers) as socket:
        await socket.send("x" * 256 * 1024)
        assert (await frame(socket))["code"] == "malformed"
        with suppress(ConnectionClosed):
            await socket.send("x" * (256 * 1024 + 1))
        assert await close_code(socket) == 1009


@pytest.mark.parametrize("signed_in_first", [True, False])
async def test_danger_in_a_frame_that_is_refused_is_read(base: str, signed_in_first: bool) -> None:
    headers = await sign_up(base)
    opened = signed_in(base, headers) if signed_in_first else connect(address(base))
    async with opened as socket:
        await say(socket, type="send", message=NEWBORN)
        error = await frame(socket)
    assert error["code"] == ("invalid" if signed_in_first else "not_signed_in")
    assert error["triage"]["level"] == "emergency"


async def test_someone_elses_reply_is_not_there_running_or_ended(
    base: str, slow_model: ContractServer
) -> None:
    hers, his = await sign_up(base), await sign_up(base)
    async with signed_in(base, hers) as woman, signed_in(base, his) as man:
        await say(woman, type="send", message=QUESTION, client_message_id="1")
        reply_id = (await until(woman, "delta"))[0]["reply_id"]
        for kind in ("resume", "stop", "retry"):
            await say(man, type=kind, reply_id=reply_id)
            assert (await frame(man))["code"] == "not_found"
        await say(woman, type="stop", reply_id=reply_id)
        assert (await until(woman, "done"))[-1]["status"] == "stopped"
        for kind in ("resume", "stop", "retry"):
            await say(man, type=kind, reply_id=reply_id)
            assert (await frame(man))["code"] == "not_found"


async def test_an_offset_beyond_the_end_is_cut_back_to_what_is_there(
    base: str, slow_model: ContractServer
) -> None:
    headers = await sign_up(base)
    beyond = 10**8
    async with signed_in(base, headers) as socket:
        await say(socket, type="send", message=QUESTION, client_message_id="1")
        reply_id = (await until(socket, "delta"))[0]["reply_id"]
        await say(socket, type="resume", reply_id=reply_id, offset=beyond)
        back = next(f for f in await until(socket, "delta") if f["type"] == "delta")
        assert back["offset"] < beyond
        await say(socket, type="stop", reply_id=reply_id)
        end = (await until(socket, "done"))[-1]["end"]
        await say(socket, type="resume", reply_id=reply_id, offset=beyond)
        again = (await until(socket, "done"))[-2:]
    assert (again[0]["offset"], again[0]["end"], again[0]["text"]) == (end, end, "")
    assert again[1]["end"] == end
    async with httpx.AsyncClient(base_url=base, headers=headers) as http:
        events = (await http.get(f"/api/messages/{reply_id}/events?offset={beyond}")).text
    assert f"id: {reply_id}:{end}\n" in events


async def test_the_same_message_by_every_door_is_one_turn_though_its_answer_was_lost(
    base: str, slow_model: ContractServer
) -> None:
    headers = await sign_up(base)
    one = {"message": QUESTION, "client_message_id": "once"}
    token = headers["Authorization"].removeprefix("Bearer ")
    protocols: Any = ["carehelp.v1", f"carehelp.bearer.{token}"]
    async with connect(address(base), subprotocols=protocols) as lost:
        await say(lost, type="send", **one)
        await wait(lambda: len(slow_model.requests) == 1)
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as http:
        streamed = await http.post("/api/chat", json=one | {"stream": True})
        plain = (await http.post("/api/chat", json=one)).json()
        synced = (await http.post("/api/sync", json={"queued": [one]})).json()["results"][0]
    async with signed_in(base, headers) as socket:
        await say(socket, type="send", **one)
        accepted = await frame(socket)
    assert accepted["duplicate"] is plain["duplicate"] is synced["turn"]["duplicate"] is True
    assert accepted["reply_id"] == plain["reply_id"] == synced["turn"]["reply_id"]
    assert f'"reply_id":{plain["reply_id"]},"duplicate":true' in streamed.text
    assert len(slow_model.requests) == 1


async def test_asking_again_keeps_the_messages_own_id(
    base: str, slow_model: ContractServer
) -> None:
    async with signed_in(base, await sign_up(base)) as socket:
        await say(socket, type="send", message=QUESTION, client_message_id="mine")
        reply_id = (await until(socket, "delta"))[0]["reply_id"]
        await say(socket, type="stop", reply_id=reply_id)
        await until(socket, "done")
        await say(socket, type="retry", reply_id=reply_id)
        again = (await until(socket, "accepted"))[-1]
    assert again["client_message_id"] == "mine"
    assert again["reply_id"] > reply_id


async def test_who_leaves_a_conversation_hears_no_more_of_it(base: str) -> None:
    headers = await sign_up(base)
    async with signed_in(base, headers) as phone, signed_in(base, headers) as tablet:
        await say(phone, type="send", message="Bonjour", client_message_id="1")
        conversation = (await until(phone, "done"))[0]["conversation_id"]
        for kind in ("join", "leave"):
            await say(tablet, type=kind, conversation_id=conversation)
        body = {"message": "Merci", "conversation_id": conversation}
        await say(phone, type="send", client_message_id="2", **body)
        await until(phone, "done")
        await say(tablet, type="ping")
        assert (await frame(tablet))["type"] == "pong"


async def test_a_token_that_expires_ends_the_socket_and_not_the_answer(
    base: str, slow_model: ContractServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.authentication.RECHECK_SECONDS", 0.2)
    settings.ACCESS_TOKEN_EXPIRE_MINUTES = 3 / 60
    async with httpx.AsyncClient(base_url=base, timeout=60) as http:
        made = (await http.post("/api/users/guest", json={"consents": ["store_history"]})).json()
        headers = {"Authorization": f"Bearer {made['access_token']}"}
        async with signed_in(base, headers) as socket:
            await say(socket, type="send", message=QUESTION, client_message_id="1")
            heard = await until(socket, "error")
            assert heard[-1]["code"] == "not_signed_in"
            assert await close_code(socket) == 4401
        reply = f"/api/messages/{heard[0]['reply_id']}"
        assert (await http.get(f"{reply}/events", headers=headers)).status_code == 401
        settings.ACCESS_TOKEN_EXPIRE_MINUTES = 60
        token = {"refresh_token": made["refresh_token"]}
        fresh = (await http.post("/api/users/refresh", json=token)).json()["access_token"]
        headers = {"Authorization": f"Bearer {fresh}", "Prefer": "wait=30"}
        turn = (await http.get(reply, headers=headers)).json()
    assert turn["status"] == "completed"
    assert "".join(slow_model.words) in turn["response"]


async def test_a_client_that_never_reads_is_closed(
    database: None, slow_model: ContractServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.doors.socket.DRAIN_SECONDS", 1.0)
    slow_model.words, slow_model.pause = ["x" * 20_000] * 50, 0.0
    with served(application, send_buffer=65536) as base:
        headers = await sign_up(base)
        token = headers["Authorization"].removeprefix("Bearer ")
        protocols: Any = ["carehelp.v1", f"carehelp.bearer.{token}"]
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as http:
            turn = (await http.post("/api/chat", json={"message": QUESTION})).json()
            async with connect(
                address(base),
                subprotocols=protocols,
                sock=narrow(base),
                max_queue=1,
                max_size=None,
                close_timeout=1,
            ) as deaf:
                await say(deaf, type="resume", reply_id=turn["reply_id"], offset=0)
                # Nobody reads: there is nothing else to wait for.
                await asyncio.sleep(4)
                assert (await http.get("/health/live")).status_code == 200
                assert await close_code(deaf) in (1006, 1011)


def narrow(base: str) -> socketlib.socket:
    """A connection that takes some kilobytes before its owner has to read."""
    made = socketlib.socket()
    made.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_RCVBUF, 65536)
    made.connect(("127.0.0.1", int(base.rpartition(":")[2])))
    made.setblocking(False)
    return made


async def test_silence_is_filled_with_a_comment(
    base: str, slow_model: ContractServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sse.HEARTBEAT_SECONDS < 10
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.2)
    slow_model.words, slow_model.pause = ["un ", "deux "], 1.0
    headers = await sign_up(base)
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as http:
        body = {"message": QUESTION, "stream": True}
        streamed = (await http.post("/api/chat", json=body)).text
    assert streamed.count(": still here\n\n") >= 3
