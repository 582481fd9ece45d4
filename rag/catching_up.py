"""The vectors of what a clinician has just published, made while it is found by its words already."""

from __future__ import annotations

import asyncio
import logging

from ai.base import ProviderError
from carehelp.database.identity import run_as
from rag import embedding, vectors

logger = logging.getLogger(__name__)

_running: set[asyncio.Task[None]] = set()


async def start() -> None:
    """In the background, in the name of whoever published."""
    task = asyncio.create_task(catch_up())
    _running.add(task)
    task.add_done_callback(_running.discard)


async def catch_up() -> None:
    """Whatever stops it, `manage.py ingest` makes what is missing."""
    if not (embedding.enabled() and await run_as(vectors.available)):
        return
    model = embedding.model_name()
    try:
        while todo := (await run_as(vectors.missing, model))[: vectors.BATCH]:
            found = await embedding.embed([text for _, text in todo], "passage")
            await run_as(vectors.put, model, [digest for digest, _ in todo], found)
    except ProviderError as error:
        logger.warning("vectors of published documents are missing: %s", error)
