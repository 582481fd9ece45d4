"""Turns that live on the server. What a door needs: start, follow, wait for the end, stop."""

from __future__ import annotations

from uuid import UUID

from carehelp.database.identity import require_current, run_as
from conversations.events import Accepted
from conversations.incoming import Incoming
from conversations.live import store
from conversations.live.follow import PILE_SECONDS, ended, follow, resume, standing
from conversations.live.runner import runner
from conversations.live.watch import watch

__all__ = ["PILE_SECONDS", "ended", "follow", "resume", "standing", "start", "stop", "watch"]


async def start(incoming: Incoming) -> Accepted:
    """Begin a turn as the patient who is acting; see `Runner.start`."""
    return await runner().start(incoming)


async def stop(reply_id: int) -> None:
    """Stop a reply, wherever it is written, and keep what was said. Harmless once it has ended."""
    live = runner().find(reply_id, UUID(require_current().sub))
    if live is not None:
        await runner().stop(live)
    else:
        await run_as(store.read, reply_id)
        await run_as(store.stop, reply_id)
