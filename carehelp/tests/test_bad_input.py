"""Bad input gets a clear problem+json and changes nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from carehelp.tests.people import SignUp

BAD_CHATS = [
    (b"not json", 400, "malformed"),
    (b"[1]", 422, "invalid"),
    (b"{}", 422, "invalid"),
    (b'{"message": ""}', 422, "invalid"),
    (b'{"message": "   "}', 422, "invalid"),
    (b'{"message": 5}', 422, "invalid"),
    (b'{"message": ["a"]}', 422, "invalid"),
    (b'{"message": "' + b"a" * 4001 + b'"}', 422, "invalid"),
    (b'{"message": "a", "language": "klingon"}', 422, "invalid"),
    (b'{"message": "a", "stream": "yes"}', 422, "invalid"),
    (b'{"message": "a", "conversation_id": "x"}', 422, "invalid"),
    (b'{"message": "a", "conversation_id": 99999999999999999999}', 422, "invalid"),
    (b'{"message": "a", "conversation_id": 424242}', 404, "not_found"),
    (b'{"message": "a", "subject": {"age_years": -3}}', 422, "invalid"),
    (b'{"message": "a", "subject": {"relation": "dog"}}', 422, "invalid"),
    (b'{"message": "a\\u0000b"}', 422, "invalid"),
    (b'{"message": "a\\ud800b"}', 422, "invalid"),
    (b'{"message": "\xff"}', 400, "malformed"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD_CHATS)
async def test_a_bad_chat_is_refused_and_stores_nothing(
    client: httpx.AsyncClient, sign_up: SignUp, body: bytes, status: int, code: str
) -> None:
    headers = await sign_up("store_history")
    json_headers = headers | {"Content-Type": "application/json"}
    answer = await client.post("/api/chat", content=body, headers=json_headers)
    assert_problem(answer, status, code)
    listed = await client.get("/api/conversations", headers=headers)
    assert listed.json()["results"] == []


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["title"]
    assert "Traceback" not in answer.text
    return problem


async def test_what_is_invalid_is_named(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    answer = await client.post("/api/chat", json={"language": "xx"}, headers=await sign_up())
    problem = assert_problem(answer, 422, "invalid")
    assert {tuple(e["loc"]) for e in problem["errors"]} == {
        ("body", "message"),
        ("body", "language"),
    }


async def test_someone_elses_conversation_is_not_there(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    hers, his = await sign_up("store_history"), await sign_up("store_history")
    turn = (await client.post("/api/chat", json={"message": "Bonjour"}, headers=hers)).json()
    conversation, reply = turn["conversation_id"], turn["reply_id"]
    body = {"message": "Bonjour", "conversation_id": conversation}
    assert_problem(await client.post("/api/chat", json=body, headers=his), 404, "not_found")
    for path in (
        f"/api/conversations/{conversation}",
        f"/api/conversations/{conversation}/messages",
        f"/api/messages/{reply}",
        f"/api/messages/{reply}/events",
    ):
        assert_problem(await client.get(path, headers=his), 404, "not_found")
    for path in (f"/api/messages/{reply}/stop", f"/api/messages/{reply}/retry"):
        assert_problem(await client.post(path, headers=his), 404, "not_found")
    assert_problem(
        await client.delete(f"/api/conversations/{conversation}", headers=his), 404, "not_found"
    )
    still = await client.get(f"/api/conversations/{conversation}", headers=hers)
    assert still.status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "a" * 9000])
async def test_a_bad_token_is_401(client: httpx.AsyncClient, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode()}
    answer = await client.get("/api/conversations", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Bearer" in answer.headers["WWW-Authenticate"]


async def test_danger_is_answered_even_without_a_token(client: httpx.AsyncClient) -> None:
    body = {"message": "mon bébé de 3 semaines a de la fièvre et ne tète plus"}
    problem = assert_problem(await client.post("/api/chat", json=body), 401, "not_signed_in")
    assert problem["triage"]["level"] == "emergency"


async def test_danger_is_answered_even_in_a_message_that_is_too_long(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    body = {"message": "mon bébé de 3 semaines a de la fièvre et ne tète plus. " * 100}
    answer = await client.post("/api/chat", json=body, headers=await sign_up())
    assert assert_problem(answer, 422, "invalid")["triage"]["level"] == "emergency"


async def test_danger_is_answered_even_in_chunks_of_unknown_length(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    async def chunks() -> Any:
        yield b'{"message": "mon b\xc3\xa9b\xc3\xa9 de 3 semaines a '
        yield b'de la fi\xc3\xa8vre"}'

    headers = {**await sign_up(), "Content-Type": "application/json"}
    answer = await client.post("/api/chat", content=chunks(), headers=headers)
    assert (answer.status_code, answer.json()["emergency"]) == (200, True)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/api/chat", 405, "method_not_allowed"),
        ("PUT", "/api/conversations", 405, "method_not_allowed"),
        ("POST", "/api/chat/", 404, "not_found"),
        ("GET", "/api/messages/99999999999999999999", 404, "not_found"),
        ("GET", "/api/messages/1/events?offset=-1", 422, "invalid"),
        ("GET", "/api/messages/1/events?offset=x", 422, "invalid"),
        ("GET", "/api/conversations?cursor=garbage", 404, "not_found"),
    ],
)
async def test_an_unknown_method_or_path_is_a_problem(
    client: httpx.AsyncClient, sign_up: SignUp, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path, headers=await sign_up())
    assert_problem(answer, status, code)


@pytest.mark.parametrize("accept", ["image/png", "nonsense", "text/html;q=0.1", ""])
async def test_an_accept_that_we_cannot_meet_is_answered_in_json(
    client: httpx.AsyncClient, sign_up: SignUp, accept: str
) -> None:
    headers = await sign_up() | {"Accept": accept}
    answer = await client.post("/api/chat", json={"message": "Bonjour"}, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


async def test_accept_alone_asks_for_events(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up() | {"Accept": "text/event-stream"}
    answer = await client.post("/api/chat", json={"message": "Bonjour"}, headers=headers)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    missing = await client.get("/api/messages/424242/events", headers=headers)
    assert_problem(missing, 404, "not_found")


async def test_a_huge_body_is_refused_before_it_is_read() -> None:
    from carehelp.asgi import application

    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", b"104857600"), (b"content-type", b"application/json")]
    scope = {"type": "http", "path": "/api/chat", "method": "POST", "headers": headers}
    await application(scope, receive, send)
    assert sent[0]["status"] == 413


async def test_a_body_that_hides_its_length_is_cut_off(client: httpx.AsyncClient) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        for _ in range(1600):
            read += 65536
            yield b" " * 65536

    answer = await client.post("/api/chat", content=endless())
    assert_problem(answer, 413, "too_large")
