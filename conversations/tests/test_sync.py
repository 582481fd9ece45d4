"""The outbox of a phone that was offline."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from carehelp.tests.people import SignUp

NEWBORN = "mon bébé de 3 semaines a de la fièvre et ne tète plus"


def queued(*messages: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"client_message_id": f"q{number}", "message": message, **more}
        for number, message in enumerate(messages)
    ]


async def sync(client: httpx.AsyncClient, headers: dict[str, str], **body: Any) -> httpx.Response:
    return await client.post("/api/sync", json=body, headers=headers)


async def test_an_outbox_is_answered_once_and_shown_back(
    client: httpx.AsyncClient,
    sign_up: SignUp,
) -> None:
    headers = await sign_up("store_history")
    outbox = queued("Bonjour", "Comment éviter le paludisme ?", NEWBORN)
    first = (await sync(client, headers, queued=outbox)).json()
    assert [r["status"] for r in first["results"]] == ["completed"] * 3
    assert [r["triage"]["level"] for r in first["results"]][2] == "emergency"
    assert len(first["changes"]["messages"]) == 6
    again = (await sync(client, headers, queued=outbox, cursor=first["cursor"])).json()
    assert all(r["turn"]["duplicate"] for r in again["results"])
    assert again["changes"]["messages"] == []
    assert len(again["changes"]["all"]) == 3


async def test_what_an_older_phone_erased_is_no_longer_listed(
    client: httpx.AsyncClient,
    sign_up: SignUp,
) -> None:
    headers = await sign_up("store_history")
    first = (await sync(client, headers, queued=queued("Bonjour"))).json()
    conversation = first["results"][0]["turn"]["conversation_id"]
    await client.delete(f"/api/conversations/{conversation}", headers=headers)
    later = (await sync(client, headers, cursor=first["cursor"])).json()
    assert later["changes"]["all"] == []


async def test_one_bad_message_does_not_hold_up_the_others(
    client: httpx.AsyncClient,
    sign_up: SignUp,
) -> None:
    headers = await sign_up("store_history")
    outbox = queued("Bonjour", "Merci")
    outbox[0]["conversation_id"] = 424242
    results = (await sync(client, headers, queued=outbox)).json()["results"]
    assert [r["status"] for r in results] == ["rejected", "completed"]
    assert results[0]["problem"]["code"] == "not_found"


@pytest.mark.parametrize("signed_in", [True, False])
async def test_danger_in_an_outbox_that_is_refused_is_read(
    client: httpx.AsyncClient, sign_up: SignUp, signed_in: bool
) -> None:
    headers = await sign_up("store_history") if signed_in else {}
    outbox = queued(*["a"] * 998, NEWBORN, "a") if signed_in else queued("a", NEWBORN)
    answer = await sync(client, headers, queued=outbox)
    assert answer.status_code == (422 if signed_in else 401)
    assert answer.json()["triage"]["level"] == "emergency"


@pytest.mark.parametrize("sent_at", ["1999-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
async def test_a_clock_that_is_years_off_changes_nothing(
    client: httpx.AsyncClient,
    sign_up: SignUp,
    sent_at: str,
) -> None:
    headers = await sign_up("store_history")
    outbox = queued(NEWBORN, sent_at=sent_at)
    result = (await sync(client, headers, queued=outbox)).json()["results"][0]
    assert (result["status"], result["triage"]["level"]) == ("completed", "emergency")


@pytest.mark.parametrize(
    "body",
    [
        {"queued": queued(*["a"] * 1000)},
        {"queued": "text"},
        {"queued": [5]},
        {"queued": [{"message": "a"}]},
        {"queued": [], "cursor": "garbage"},
        {"queued": [], "cursor": "WzEsLTVd"},
        {"queued": queued("a", sent_at="yesterday")},
    ],
)
async def test_a_bad_sync_is_refused_whole(
    client: httpx.AsyncClient,
    sign_up: SignUp,
    body: dict[str, Any],
) -> None:
    headers = await sign_up("store_history")
    answer = await sync(client, headers, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    listed = await client.get("/api/conversations", headers=headers)
    assert listed.json()["results"] == []
