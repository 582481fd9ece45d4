"""Is it up? Knows everybody; nobody knows it."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ai.ladder import ladder
from carehelp.database.identity import login, run_as
from carehelp.errors import NotFound
from conversations.live.runner import runner


async def health(request: HttpRequest) -> JsonResponse:
    """200 while the process serves; `mode` says whether a model can be asked."""
    return JsonResponse(
        {
            "status": "ok",
            "app": settings.APP_NAME,
            "version": settings.VERSION,
            "environment": settings.ENVIRONMENT,
            "mode": _mode(),
        }
    )


VERBS = ("chat_stream", "transcribe", "describe", "translate", "embed")


def _mode() -> str:
    return "normal" if ladder("chat_stream").ready() else "offline"


async def live(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


async def ready(request: HttpRequest) -> JsonResponse:
    """503 when it cannot serve: no database, one that waits for migrations, or about to end."""
    if runner().draining:
        return JsonResponse({"status": "draining"}, status=503)
    parts = {"database": await _database(), "ai": {verb: ladder(verb).states() for verb in VERBS}}
    serves = parts["database"] == "ok"
    status = "ready" if serves else "not ready"
    return JsonResponse({"status": status, **parts}, status=200 if serves else 503)


async def _database() -> str:
    try:
        return await run_as(_migrated)
    except Exception as error:
        return f"unreachable: {type(error).__name__}"


def _migrated() -> str:
    """ "ok", or that the code has migrations which the database has not."""
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connections[login()])
    waiting = set(loader.disk_migrations) - set(loader.applied_migrations)
    return f"{len(waiting)} migrations to run" if waiting else "ok"


async def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text; in production only for the holder of METRICS_TOKEN."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    token = settings.METRICS_TOKEN
    if (settings.PRODUCTION or token) and not (token and hmac.compare_digest(given, token)):
        raise NotFound
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


async def to_admin(request: HttpRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect("/admin/")
