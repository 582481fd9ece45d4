"""Danger is answered while the database is gone, and everything else says so plainly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.db import connections

from carehelp.asgi import application
from carehelp.tests.people import SignUp

NEWBORN = "mon bébé de 3 semaines a de la fièvre et ne tète plus"


@pytest.fixture
def nobody_home(database: None, tmp_path: Path) -> Iterator[None]:
    """The patients' login is sent to a socket where no Postgres listens."""
    default = connections.databases["default"]
    options = dict(default["OPTIONS"])
    connections["default"].close_pool()
    default["OPTIONS"] = options | {"host": str(tmp_path)}
    yield
    connections["default"].close_pool()
    default["OPTIONS"] = options


@pytest.mark.alone
async def test_danger_is_answered_with_the_database_gone(
    sign_up: SignUp, request: pytest.FixtureRequest
) -> None:
    headers = await sign_up("store_history")
    request.getfixturevalue("nobody_home")
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        started = time.monotonic()
        answer = await client.post("/api/chat", json={"message": NEWBORN}, headers=headers)
        took = time.monotonic() - started
        listed = await client.get("/api/conversations", headers=headers)
        alone = await client.post("/api/triage", json={"message": NEWBORN})
        ready = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["triage"]["level"] == "emergency"
    assert answer.headers["Retry-After"]
    assert took < 6
    assert listed.status_code == 503
    assert alone.json()["level"] == "emergency"
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
