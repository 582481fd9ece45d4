"""The main job: a person arrives, asks, and gets at once what to do, or a cited answer."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
from django.db import connections

from carehelp.database.embedded import SUPERUSER, Server
from carehelp.database.owned import owned_models
from carehelp.tests.people import SignUp

NEWBORN = "mon bébé de 3 semaines a de la fièvre et ne tète plus"


async def test_a_malaria_question_in_french_gets_a_cited_french_answer(
    client: httpx.AsyncClient, sign_up: SignUp, guidance: None
) -> None:
    headers = await sign_up("store_history")
    body = {"message": "Quels sont les signes du paludisme ?"}
    answer = await client.post("/api/chat", json=body, headers=headers)
    turn = answer.json()
    assert answer.status_code == 200, turn
    assert (turn["status"], turn["language"], turn["emergency"]) == ("completed", "fr", False)
    assert (turn["mode"], turn["mode_reason"]) == ("offline", "no_provider")
    assert "[1]" in turn["response"]
    assert "paludisme" in turn["sources"][0]["title"].casefold()
    assert turn["sources"][0]["url"].startswith("http")
    assert turn["disclaimer"]


async def test_a_newborn_with_fever_is_an_emergency_with_advice_first(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up("store_history", "clinician_review")
    answer = await client.post("/api/chat", json={"message": NEWBORN}, headers=headers)
    turn = answer.json()
    assert answer.status_code == 200, turn
    assert turn["emergency"] is True
    assert turn["mode"] == "rules_only"
    assert turn["triage"]["level"] == "emergency"
    assert turn["response"].startswith(turn["triage"]["advice"])
    assert "hôpital" in turn["triage"]["advice"]


async def test_an_emergency_never_says_that_help_is_coming(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    with_review = await sign_up("store_history", "clinician_review")
    without = await sign_up("store_history")
    reviewed = await client.post("/api/chat", json={"message": NEWBORN}, headers=with_review)
    unread = await client.post("/api/chat", json={"message": NEWBORN}, headers=without)
    assert "personne n'a encore confirmé" in reviewed.json()["response"]
    assert "Aucun soignant ne lira" in unread.json()["response"]


async def test_the_same_message_sent_again_is_the_same_turn(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up("store_history")
    body = {"message": "Bonjour, j'ai une question", "client_message_id": "phone-1"}
    first = (await client.post("/api/chat", json=body, headers=headers)).json()
    again = (await client.post("/api/chat", json=body, headers=headers)).json()
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert again | {"duplicate": False} == first
    other = await client.post("/api/chat", json=body | {"message": "Autre"}, headers=headers)
    assert other.status_code == 422


async def test_a_conversation_is_read_back_as_it_was_said(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up("store_history")
    turn = (
        await client.post("/api/chat", json={"message": "J'ai mal à la tête"}, headers=headers)
    ).json()
    listed = (await client.get("/api/conversations", headers=headers)).json()
    assert [c["id"] for c in listed["results"]] == [turn["conversation_id"]]
    assert listed["results"][0]["title"] == "J'ai mal à la tête"
    history = await client.get(
        f"/api/conversations/{turn['conversation_id']}/messages", headers=headers
    )
    said = [(m["role"], m["content"]) for m in history.json()["results"]]
    assert said == [("user", "J'ai mal à la tête"), ("assistant", turn["response"])]
    known = {**headers, "If-None-Match": history.headers["ETag"]}
    again = await client.get(
        f"/api/conversations/{turn['conversation_id']}/messages", headers=known
    )
    assert again.status_code == 304


async def test_what_was_said_stands_encrypted(
    client: httpx.AsyncClient, sign_up: SignUp, database: None
) -> None:
    from django.db import connections

    from carehelp.database.identity import Principal, acting_as, run_as

    headers = await sign_up("store_history")
    me = (await client.get("/api/users/me", headers=headers)).json()
    await client.post("/api/chat", json={"message": "secret de famille"}, headers=headers)

    def raw() -> list[Any]:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT content, details FROM messages")
            rows = cursor.fetchall()
            cursor.execute("SELECT title, context FROM conversations")
            return [bytes(v) for row in (*rows, *cursor.fetchall()) for v in row if v is not None]

    with acting_as(Principal.patient(me["id"])):
        stored = await run_as(raw)
    assert len(stored) >= 5
    assert not any(b"secret" in value or b"triage" in value for value in stored)


async def test_an_answer_streams_as_events_that_can_be_followed_again(
    client: httpx.AsyncClient, sign_up: SignUp, guidance: None
) -> None:
    headers = await sign_up("store_history")
    body = {"message": "Comment éviter le paludisme ?", "stream": True}
    streamed = await client.post("/api/chat", json=body, headers=headers)
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    events = _events(streamed.text)
    names = [name for name, _ in events]
    assert names[:2] == ["accepted", "triage"]
    assert names[-1] == "done"
    text = "".join(data["text"] for name, data in events if name == "delta")
    reply_id = events[0][1]["reply_id"]
    standing = (await client.get(f"/api/messages/{reply_id}", headers=headers)).json()
    assert standing["response"] == text
    assert "response" not in events[-1][1]
    assert events[-1][1]["end"] == len(text)
    resumed = await client.get(f"/api/messages/{reply_id}/events?offset=10", headers=headers)
    rest = "".join(data["text"] for name, data in _events(resumed.text) if name == "delta")
    assert rest == text[10:]


def _events(stream: str) -> list[tuple[str, dict[str, Any]]]:
    import json

    events = []
    for block in stream.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            events.append((lines["event"], json.loads(lines["data"])))
    return events


async def test_what_is_erased_is_gone_and_not_answered_again(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up("store_history")
    body = {"message": "Bonjour", "client_message_id": "to-erase"}
    turn = (await client.post("/api/chat", json=body, headers=headers)).json()
    path = f"/api/conversations/{turn['conversation_id']}"
    assert (await client.delete(path, headers=headers)).status_code == 204
    assert (await client.get(path, headers=headers)).status_code == 404
    assert (
        await client.get(f"/api/messages/{turn['reply_id']}", headers=headers)
    ).status_code == 404
    again = await client.post("/api/chat", json=body, headers=headers)
    assert (again.status_code, again.json()["code"]) == (410, "gone")


async def test_an_erased_account_takes_everything_with_it(
    client: httpx.AsyncClient, sign_up: SignUp, postgres: Server
) -> None:
    headers = await sign_up("store_history")
    body = {"message": NEWBORN, "client_message_id": "mine"}
    await client.post("/api/chat", json=body, headers=headers)
    tables = [model._meta.db_table for model in owned_models()]
    assert sum(rows(postgres, tables).values()) > 5
    assert (await client.delete("/api/users/me", headers=headers)).status_code == 204
    assert not any(rows(postgres, tables).values())


def rows(server: Server, tables: list[str]) -> dict[str, int]:
    """How many there are, past every policy."""
    name = connections.databases["default"]["NAME"]
    with psycopg.connect(server.url(SUPERUSER, name)) as admin:
        admin.execute("SET search_path = app, public")
        counted = {t: admin.execute(f'SELECT count(*) FROM "{t}"').fetchone() for t in tables}
    return {table: row[0] for table, row in counted.items() if row}
