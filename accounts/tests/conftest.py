import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import AsyncClient

PASSWORD = "un mot de passe long"


@dataclass
class Api:
    """JSON over HTTP, as a phone would speak it."""

    client: AsyncClient

    async def __call__(
        self, method: str, path: str, body: Any = None, token: str | None = None, **extra: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        sent = {} if body is None else {"data": json.dumps(body)}
        response = await self.client.generic(
            method,
            f"/api/users/{path}",
            content_type="application/json",
            headers=headers,
            **sent,
            **extra,
        )
        return response.status_code, json.loads(response.content) if response.content else None

    async def guest(self, **body: Any) -> dict[str, Any]:
        status, answer = await self("POST", "guest", body)
        assert status == 201, answer
        return answer

    async def register(self, email: str = "awa@example.cm", **body: Any) -> dict[str, Any]:
        body = {"email": email, "password": PASSWORD, **body}
        status, answer = await self("POST", "register", body)
        assert status == 201, answer
        return answer


def ask_as(role: str, query: str, parameters: Any = (), alias: str = "owner") -> list[Any]:
    """What a role sees; the owner's login may take on `carehelp_gate` and `carehelp_worker`."""
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {role}")
            cursor.execute(query, parameters)
            rows = cursor.fetchall() if cursor.description else []
            cursor.execute("RESET ROLE")
            return rows
    finally:
        connections[alias].close()


def meeting(work: Callable[..., Any], people: int = 2) -> Callable[..., Any]:
    """`work`, begun only once as many are there, or half a second has passed: where a lock is
    missing they all go on from the same state.
    """
    barrier = threading.Barrier(people)

    def met(*args: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            barrier.wait(0.5)
        return work(*args)

    return met


@pytest.fixture
def api(database: None) -> Api:
    return Api(AsyncClient())
