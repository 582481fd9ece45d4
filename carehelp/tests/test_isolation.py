"""Patients apart, under load: interleaved requests of several people, many of them cut off."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import httpx
from django.db import connections

from carehelp.asgi import application
from carehelp.tests.serving import served

PEOPLE = 8
REQUESTS = 5000
CUT_OFF = 0.3
AT_ONCE = 32


@dataclass
class Person:
    id: str
    token: str
    secret: str
    conversation: int = 0
    seen: list[str] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Tally:
    answered: int = 0
    cut_off: int = 0
    leaked: int = 0
    session_level: int = 0
    session_level_leaked: int = 0


async def _arrive(client: httpx.AsyncClient, number: int) -> Person:
    made = await client.post("/api/users/guest", json={"consents": ["store_history"]})
    made.raise_for_status()
    body = made.json()
    person = Person(body["user"]["id"], body["access_token"], f"mot-secret-{number}-fin")
    text = f"Bonjour, que faire pour éviter le paludisme ? {person.secret}"
    asked = await client.post("/api/chat", json={"message": text}, headers=person.headers)
    asked.raise_for_status()
    person.conversation = asked.json()["conversation_id"]
    return person


async def _one_request(
    client: httpx.AsyncClient, person: Person, others: list[Person], tally: Tally
) -> None:
    paths = [
        "/api/conversations",
        f"/api/conversations/{person.conversation}/messages",
        f"/api/conversations/{random.choice(others).conversation}/messages",
        "/api/users/me",
    ]
    request = client.get(random.choice(paths), headers=person.headers)
    if random.random() < CUT_OFF:
        task = asyncio.ensure_future(request)
        await asyncio.sleep(random.random() * 0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        tally.cut_off += 1
        return
    answer = await request
    assert answer.status_code in {200, 404}, answer.text
    tally.answered += 1
    tally.leaked += any(other.secret in answer.text or other.id in answer.text for other in others)


async def _session_level(client: httpx.AsyncClient, person: Person, tally: Tally) -> None:
    answer = await client.get("/session-level", headers={"X-User": person.id})
    tally.session_level += 1
    tally.session_level_leaked += bool(set(answer.json().get("owners", [])) - {person.id})


async def _load(base: str) -> Tally:
    tally, gate = Tally(), asyncio.Semaphore(AT_ONCE)
    limits = httpx.Limits(max_connections=AT_ONCE * 2)
    async with httpx.AsyncClient(base_url=base, timeout=60, limits=limits) as client:
        people = [await _arrive(client, number) for number in range(PEOPLE)]

        async def one(work: Any) -> None:
            async with gate:
                await work

        def request() -> Any:
            person = random.choice(people)
            return _one_request(client, person, [p for p in people if p is not person], tally)

        await asyncio.gather(*[one(request()) for _ in range(REQUESTS)])
        control = [one(_session_level(client, random.choice(people), tally)) for _ in range(400)]
        await asyncio.gather(*control)
    return tally


def test_nobody_sees_another_persons_rows_under_load(database: None, settings: Any) -> None:
    settings.ROOT_URLCONF = "carehelp.tests.session_level"
    assert settings.DATABASE_POOL_SIZE == 4
    random.seed(20261123)
    try:
        with served(application) as base:
            tally = asyncio.run(_load(base))
    finally:
        # The control leaves its identities on the pool's connections: nobody may get one again.
        connections["default"].close_pool()
    print(tally)
    assert tally.leaked == 0
    assert tally.cut_off > REQUESTS * CUT_OFF * 0.9
    assert tally.answered + tally.cut_off == REQUESTS
    assert tally.session_level_leaked > 0, "the control did not leak: the load proves nothing"


def test_the_web_logs_in_as_the_role_of_production(database: None) -> None:
    for alias, login in (("default", "carehelp_app"), ("desk", "carehelp_desk")):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT session_user, current_user")
            assert cursor.fetchone() == (login, login)
            cursor.execute(
                "SELECT rolsuper, rolbypassrls, rolinherit FROM pg_roles WHERE rolname = current_user"
            )
            assert cursor.fetchone() == (False, False, False)
        connections[alias].close()
