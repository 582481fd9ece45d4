"""POST /api/triage: anybody is told how urgent it is, nothing is kept, an emergency never waits."""

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from accounts import limits
from accounts.limits import Limit
from accounts.models import RateLimit
from carehelp.errors import Unavailable
from conversations.models import Conversation, Message

EMERGENCY = "mon bébé de 3 semaines a de la fièvre et ne tète plus"
CALM = "Bonsoir, quels sont vos horaires ?"


@pytest.fixture
def at_most_one(monkeypatch):
    monkeypatch.setattr(limits, "TRIAGE_OF_ADDRESS", Limit("triage in a test", 1, limits.HOUR))


async def ask(client, **body):
    return await client.post("/api/triage", json=body)


async def test_anybody_is_told_how_urgent_it_is(client):
    answer = await ask(client, message=EMERGENCY, language="fr")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["level"], told["color"]) == ("emergency", "red")
    assert told["rules"][0]["matched"]
    assert told["advice"]
    assert told["contacts"]


async def test_what_is_said_of_the_patient_counts(client):
    fever = "il a de la fièvre"
    adult = await ask(client, message=fever, patient={"age_years": 30})
    newborn = await ask(client, message=fever, patient={"age_days": 10, "relation": "child"})
    assert adult.json()["level"] != "emergency"
    assert newborn.json()["level"] == "emergency"


async def test_nothing_is_kept_but_a_number(client):
    await ask(client, message=CALM)
    assert await sync_to_async(rows)(RateLimit, Conversation, Message) == [1, 0, 0]


def rows(*models):
    with connections["owner"].cursor() as cursor:
        found = []
        for model in models:
            cursor.execute(f'SELECT count(*) FROM "{model._meta.db_table}"')
            found.append(cursor.fetchone()[0])
        return found


async def test_beyond_the_limit_only_an_emergency_is_answered(client, at_most_one):
    assert (await ask(client, message=CALM)).status_code == 200
    refused = await ask(client, message=CALM)
    assert refused.status_code == 429
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["code"] == "too_many_requests"
    answered = await ask(client, message=EMERGENCY)
    assert answered.status_code == 200
    assert answered.json()["level"] == "emergency"


async def test_a_database_that_cannot_count_keeps_nobody_waiting(client, monkeypatch):
    async def gone(*uses):
        raise Unavailable("gone")

    monkeypatch.setattr(limits, "count", gone)
    assert (await ask(client, message=CALM)).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": 5}, "message"),
        ({"message": ""}, "message"),
        ({"message": "a", "language": "klingon"}, "language"),
        ({"message": "a", "patient": {"age_years": -1}}, "patient"),
        ({"message": "a", "patient": {"pregnant": "no"}}, "patient"),
        ({"message": "a", "patient": "me"}, "patient"),
    ],
)
async def test_a_bad_body_is_a_clear_problem(client, body, field):
    answer = await ask(client, **body)
    assert answer.status_code == 422
    assert field in str(answer.json()["errors"][0]["loc"])


async def test_a_rules_unsigned_advice_is_hidden_where_it_must_be(client, settings):
    shown = (await ask(client, message=EMERGENCY)).json()
    settings.UNSIGNED_CONTENT = "hide"
    hidden = (await ask(client, message=EMERGENCY)).json()
    assert hidden["level"] == "emergency"
    assert hidden["rules"][0]["signed"] is False
    assert hidden["advice"] != shown["advice"]
    assert hidden["advice"].startswith("Ces signes peuvent mettre la vie en danger.")
