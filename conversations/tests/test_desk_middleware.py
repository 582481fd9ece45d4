"""Who passes the desk's chain, and as whom they reach Postgres."""

import ast
import asyncio
import random

import psycopg
import pytest
from django.conf import settings
from django.db import ProgrammingError, connections
from django.test import AsyncClient

from accounts import tokens
from carehelp.database.identity import Principal, acting_as, current, login
from conversations.tests.desk import (
    PASSWORD,
    browser,
    clinician,
    in_database,
    patient,
    sign_in,
)

A, B = "a@carehelp.example", "b@carehelp.example"


@pytest.fixture
def who(database, settings):
    settings.ROOT_URLCONF = "conversations.tests.desk_urls"


async def test_a_signed_in_clinician_reaches_postgres_as_a_clinician(who):
    me = await in_database(clinician, A)
    async with browser() as client:
        assert (await sign_in(client, A)).status_code == 302
        answer = (await client.get("/admin/who/")).json()
    assert answer == {"login": "carehelp_desk", "role": "clinician", "user": str(me)}


async def test_nobodys_identity_stays_behind_in_the_task(who):
    """Django's own test client answers in the task that asks; servers give each request its own."""
    await in_database(clinician, A)
    async with browser() as client:
        await sign_in(client, A)
        session = client.cookies["sessionid"]
    asking = AsyncClient()
    asking.cookies["sessionid"] = session
    assert (await asking.get("/admin/who/")).json()["role"] == "clinician"
    assert (current(), login()) == (None, "default")


async def test_a_stranger_reaches_postgres_as_nobody(who):
    async with browser() as client:
        answer = (await client.get("/admin/who/")).json()
    assert answer == {"login": "carehelp_desk", "role": "carehelp_desk", "user": None}


async def test_a_bearer_token_is_nobody_at_the_desk(who):
    user = await in_database(patient)
    token = tokens.issue(user)
    async with browser(Authorization=f"Bearer {token}") as client:
        with acting_as(Principal.patient(user)):
            answer = (await client.get("/admin/who/")).json()
    assert answer == {"login": "carehelp_desk", "role": "carehelp_desk", "user": None}


async def test_the_api_sets_and_reads_no_cookie(database):
    await in_database(clinician, A)
    async with browser() as client:
        await sign_in(client, A)
        cookies = {cookie.name: cookie.path for cookie in client.cookies.jar}
        sent = "; ".join(f"{name}={client.cookies[name]}" for name in cookies)
        answer = await client.get("/api/conversations", headers={"Cookie": sent})
    assert cookies == {"sessionid": "/admin", "csrftoken": "/admin"}
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers["Vary"]


async def test_interleaved_and_cancelled_requests_leak_nobody_and_no_connection(who):
    people = {email: str(await in_database(clinician, email)) for email in (A, B)}
    chance = random.Random(7)
    async with browser() as first, browser() as second, browser() as nobody:
        await sign_in(first, A)
        await sign_in(second, B)
        expected = {first: people[A], second: people[B], nobody: None}
        asked = [chance.choice(list(expected)) for _ in range(240)]
        tasks = [asyncio.create_task(ask(client, chance)) for client in asked]
        for task in chance.sample(tasks, 72):
            await asyncio.sleep(chance.random() / 100)
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    told = [
        (expected[c], a) for c, a in zip(asked, answers, strict=True) if isinstance(a, str | None)
    ]
    assert len(told) > 100
    assert [pair for pair in told if pair[0] != pair[1]] == []
    assert await idle_connections() == connections["desk"].pool.get_stats()["pool_size"]


async def ask(client, chance):
    answer = await client.get("/admin/who/", params={"sleep": chance.random() / 100})
    return answer.json()["user"]


async def idle_connections():
    """Once threads of cancelled requests have ended too."""
    pool = connections["desk"].pool
    for _ in range(100):
        stats = pool.get_stats()
        if stats["pool_available"] == stats["pool_size"]:
            break
        await asyncio.sleep(0.05)
    return pool.get_stats()["pool_available"]


async def test_a_form_without_its_token_is_refused_in_words(who):
    await in_database(clinician, A)
    async with browser() as client:
        await client.get("/admin/login/")
        answer = await client.post("/admin/login/", data={"username": A, "password": PASSWORD})
        unguarded = await client.post("/admin/who/")
    assert answer.status_code == unguarded.status_code == 403
    assert "Ce formulaire était périmé" in answer.text
    assert "sessionid" not in client.cookies


async def test_a_patient_does_not_come_in(database):
    from accounts import services

    await services.register("p@example.cm", PASSWORD, {}, [], "127.0.0.1")
    async with browser() as client:
        answer = await sign_in(client, "p@example.cm")
        queue = await client.get("/admin/conversations/case/")
    assert answer.status_code == 200
    assert "sessionid" not in client.cookies
    assert queue.status_code == 302


async def test_ten_wrong_passwords_lock_one_account_from_here_and_say_so(database):
    await in_database(clinician, A)
    await in_database(clinician, B)
    async with browser() as client:
        for _ in range(settings.AXES_FAILURE_LIMIT):
            answer = await sign_in(client, A, "wrong")
        right = await sign_in(client, A)
        colleague = await sign_in(client, B)
    assert answer.status_code == right.status_code == 429
    assert "Trop de tentatives" in right.text
    assert colleague.status_code == 302


@pytest.mark.parametrize(
    "role", ["carehelp_worker", "carehelp_owner", "authenticated", "carehelp_gate"]
)
def test_the_desks_login_can_take_on_no_other_role(database, role):
    with connections["desk"].cursor() as cursor, pytest.raises(ProgrammingError) as refused:
        cursor.execute(f'SET ROLE "{role}"')
    assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_no_line_of_the_desk_names_the_worker_or_the_owner():
    found = []
    for path in (settings.BASE_DIR / "conversations" / "desk").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Attribute) and node.attr in ("worker", "WORKER")
            aliased = isinstance(node, ast.Constant) and node.value in ("owner", "default")
            if called or aliased:
                found.append((path.name, node.lineno))
    assert found == []
