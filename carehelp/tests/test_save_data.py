"""What a turn costs those who pay by the byte, counted as it goes over the wire."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect

from ai.tests.contract_server import ContractServer, serving
from carehelp.asgi import application
from carehelp.tests.people import SignUp
from carehelp.tests.serving import served

NEWBORN = "mon bébé de 3 semaines a de la fièvre et ne tète plus"


async def wire(base: str, headers: dict[str, str], message: str, **body: Any) -> bytes:
    """Everything that the server sends for one turn, headers too."""
    host = urlsplit(base)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    payload = json.dumps({"message": message} | body).encode()
    lines = ["POST /api/chat HTTP/1.1", f"Host: {host.netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}", "", ""]
    writer.write("\r\n".join(lines).encode() + payload)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return answer


async def test_a_turn_fits_into_four_kibibytes_and_an_emergency_into_two(
    sign_up: SignUp, guidance: None
) -> None:
    headers = await sign_up("store_history", "clinician_review") | {"Save-Data": "on"}
    with served(application) as base:
        turn = await wire(base, headers, "Quels sont les signes du paludisme ?")
        emergency = await wire(base, headers, NEWBORN)
        streamed = await wire(base, headers, "Comment éviter le paludisme ?", stream=True)
        urgent = await wire(base, headers, NEWBORN, stream=True)
    assert b"[1]" in turn
    assert b'"emergency"' in emergency
    sizes = [len(turn), len(streamed), len(emergency), len(urgent)]
    assert max(sizes[:2]) <= 4096, sizes
    assert max(sizes[2:]) <= 2048, sizes


async def test_an_account_saves_data_once_and_for_all(
    client: Any, sign_up: SignUp, guidance: None
) -> None:
    headers = await sign_up("store_history")
    body = {"message": "Quels sont les signes du paludisme ?"}
    await client.patch("/api/users/me", json={"save_data": True}, headers=headers)
    spared = (await client.post("/api/chat", json=body, headers=headers)).json()
    assert "provider" not in spared
    whole = await client.post("/api/chat", json=body, headers=headers | {"Save-Data": "off"})
    assert "provider" in whole.json()


async def test_a_turn_that_is_known_already_is_not_sent_again(client: Any, sign_up: SignUp) -> None:
    headers = await sign_up("store_history") | {"Save-Data": "on"}
    asked = await client.post("/api/chat", json={"message": "Bonjour"}, headers=headers)
    path = f"/api/messages/{asked.json()['reply_id']}"
    first = await client.get(path, headers=headers)
    known = headers | {"If-None-Match": first.headers["ETag"]}
    again = await client.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")


async def test_a_socket_that_saves_data_gets_one_frame_a_second_and_nothing_twice(
    sign_up: SignUp, settings: Any
) -> None:
    headers = await sign_up("store_history")
    token = headers["Authorization"].removeprefix("Bearer ")
    protocols: Any = ["carehelp.v1", f"carehelp.bearer.{token}"]
    async with serving(ContractServer()) as model:
        model.words, model.pause = [f"mot{number} " for number in range(60)], 0.05
        settings.LMSTUDIO_BASE_URL, settings.AI_CHAT = f"{model.url}/v1", "lmstudio"
        with served(application) as base:
            address = base.replace("http://", "ws://") + "/ws/chat"
            spare = {"Save-Data": "on"}
            async with connect(address, subprotocols=protocols, additional_headers=spare) as socket:
                send = {"type": "send", "message": "Bonjour", "client_message_id": "1"}
                await socket.send(json.dumps(send))
                frames = [json.loads(await socket.recv())]
                while frames[-1]["type"] != "done":
                    frames.append(json.loads(await socket.recv()))
    deltas = [frame for frame in frames if frame["type"] == "delta"]
    assert "".join(model.words) in "".join(delta["text"] for delta in deltas)
    # Three seconds of words, in frames a second apart (60 without).
    assert 2 <= len(deltas) <= 8
    assert not {"triage", "sources", "response"} & frames[-1].keys()


async def test_the_account_says_how_many_bytes_it_used(sign_up: SignUp) -> None:
    headers = await sign_up("store_history")
    with served(application) as base:
        async with httpx.AsyncClient(base_url=base, headers=headers) as http:
            before = (await http.get("/api/users/me")).json()["bytes_used"]
            sent = await wire(base, headers, "Bonjour")
            after = (await http.get("/api/users/me")).json()["bytes_used"]
            other = await http.post("/api/users/guest", json={})
    used = after - before
    # The turn, its request, and the first question about the account, whose answer is counted too.
    assert len(sent) < used < len(sent) + 3000
    assert other.json()["user"]["bytes_used"] == 0


async def test_an_answer_is_shorter_for_those_who_save_data(
    client: Any, sign_up: SignUp, guidance: None
) -> None:
    headers = await sign_up("store_history")
    body = {"message": "Quels sont les signes du paludisme ?"}
    whole = (await client.post("/api/chat", json=body, headers=headers)).json()
    spared = await client.post("/api/chat", json=body, headers=headers | {"Save-Data": "on"})
    assert len(spared.json()["response"].split()) <= 60 < len(whole["response"].split())
    assert "mode" in spared.json()
    assert spared.json()["sources"][0].keys() <= {"id", "title", "url", "signed"}
