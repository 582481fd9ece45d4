"""The negative control: what happens when identity is set for a session instead of a transaction.

The same pool, the same threads, the same login as the real thing; only `is_local` differs.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from django.db import ProgrammingError, connections
from django.http import HttpRequest, JsonResponse
from django.urls import path

from carehelp.database.identity import _queue
from carehelp.urls import urlpatterns as real_urlpatterns

_SET = (
    "SELECT set_config('request.jwt.claims', %s, false), set_config('role', 'authenticated', false)"
)


async def whose_messages(request: HttpRequest) -> JsonResponse:
    """Sets who we are, then, as another unit of work, reads: whoever the pool's connection says."""
    await _in_pool(_become, request.headers["X-User"])
    await asyncio.sleep(0.001)
    return JsonResponse({"owners": await _in_pool(_owners)})


async def _in_pool(work: Any, *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_queue().threads, work, *args)


def _become(user_id: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(_SET, [json.dumps({"sub": user_id})])
    connections["default"].close()


def _owners() -> list[str]:
    """Nobody's, where the pool hands out a connection that was never told who we are."""
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT DISTINCT user_id FROM messages")
            return [str(row[0]) for row in cursor.fetchall()]
    except ProgrammingError:
        return []
    finally:
        connections["default"].close()


urlpatterns = [*real_urlpatterns, path("session-level", whose_messages)]
