"""What a turn costs those who pay by the byte, counted as it goes over the wire."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

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
