"""Runs turns on the server: one detached task each, whoever asked and whether they stayed.

A process has one `Runner` (an event loop has, to be exact). It admits turns, keeps what they say in
memory for followers here, hands it to the store four times a second, and ends every turn that it
began as completed, stopped, interrupted or failed.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from contextvars import Context
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from django.conf import settings

from accounts import usage
from carehelp.database.identity import Principal, acting_as, run_as
from carehelp.errors import CarehelpError, NotFound, Overloaded, Restarting, TooMany, Unavailable
from carehelp.metrics import REFUSED, RUNNING_TURNS, TURNS
from conversations import turn
from conversations.events import Accepted, Finished
from conversations.incoming import Incoming
from conversations.live import store
from conversations.live.relay import conversation_topic, relay, reply_topic
from conversations.live.reply import LiveReply
from conversations.models import Message
from conversations.remember import LEASE
from conversations.rendering import triage_json
from conversations.retention import erase_expired
from triage.levels import Level

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.25
LOOK_SECONDS = 1.0
RENEW_SECONDS = LEASE.total_seconds() / 6
SWEEP_SECONDS = LEASE.total_seconds() / 2
EMERGENCY_STOP_SECONDS = 0.5
EMERGENCY_STORE_SECONDS = 2.0

Status = Message.Status


class Runner:
    """The turns of one process. `id` is what its leases are written under."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self.replies: dict[int, LiveReply] = {}
        self.draining = False
        self._beginning: dict[asyncio.Future[Accepted], UUID] = {}
        self._slots = asyncio.Semaphore(settings.TURNS_RUNNING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewed = self._looked = 0.0
        # Created by whichever request came first, so without its identity.
        loops = (self._flush_forever(), self._sweep_forever())
        self._loops = [self._keep(work, Context()) for work in loops]

    async def start(self, incoming: Incoming) -> Accepted:
        """Begin a turn, or find the one that this message began before.

        Raises what refuses it; the problem then carries the triage object, since an emergency is
        answered even where nothing can be stored.
        """
        reading = turn.read(incoming)
        emergency = reading.level is Level.EMERGENCY
        try:
            if emergency:
                with suppress(TimeoutError):
                    async with asyncio.timeout(EMERGENCY_STOP_SECONDS):
                        await self._stop_others(incoming)
                async with asyncio.timeout(EMERGENCY_STORE_SECONDS):
                    return await self._begin(incoming)
            self._admit(incoming)
            return await self._begin(incoming)
        except TimeoutError:
            error: CarehelpError = Unavailable("This could not be stored.", retry_after=5)
        except CarehelpError as refused:
            error = refused
        error.members.setdefault("triage", triage_json(reading))
        REFUSED.labels(error.code).inc()
        raise error

    def find(self, reply_id: int, user_id: UUID) -> LiveReply | None:
        """The reply if this process writes it; raises `NotFound` where it is somebody else's."""
        live = self.replies.get(reply_id)
        if live is not None and live.user_id != user_id:
            raise NotFound("There is no such reply.")
        return live

    async def stop(self, live: LiveReply) -> None:
        """Stop a reply and keep what was said; returns once that is stored."""
        live.task.cancel()
        await asyncio.wait([live.task])

    async def drain(self, seconds: float) -> None:
        """Begin nothing new, give running answers their time, keep the rest as interrupted."""
        self.draining = True
        await self._settle(seconds)
        for live in list(self.replies.values()):
            live.if_cancelled = Status.INTERRUPTED
            live.task.cancel()
        await self._settle(EMERGENCY_STORE_SECONDS)
        for task in self._loops:
            task.cancel()

    async def _settle(self, seconds: float) -> None:
        """Until no turn is left, also none that is only being recorded or that begins meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while tasks := self._tasks - set(self._loops):
                    await asyncio.wait(tasks)

    def _admit(self, incoming: Incoming) -> None:
        """Refuse before queues grow, never before triage."""
        if self.draining:
            # On this connection it would reach this process again.
            raise Restarting(retry_after=5, headers={"Connection": "close"})
        # One that is among the replies already has left the beginning, a moment before it is taken out.
        whose = [user_id for begun, user_id in self._beginning.items() if not begun.done()]
        whose += [live.user_id for live in self.replies.values()]
        if len(whose) >= settings.TURNS_RUNNING + settings.TURNS_WAITING:
            raise Overloaded(retry_after=5)
        if whose.count(incoming.user_id) >= settings.TURNS_PER_USER:
            raise TooMany("Too many answers at once; wait for one to end.", retry_after=5)

    async def _stop_others(self, incoming: Incoming) -> None:
        for live in list(self.replies.values()):
            if (
                live.user_id == incoming.user_id
                and live.accepted.conversation_id == incoming.conversation_id
            ):
                await self.stop(live)

    async def _begin(self, incoming: Incoming) -> Accepted:
        begun: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._beginning[begun] = incoming.user_id
        begun.add_done_callback(self._beginning.pop)
        self._keep(self._run(incoming, begun))
        # A door may leave while this is being recorded; the turn goes on.
        return await asyncio.shield(begun)

    async def _run(self, incoming: Incoming, begun: asyncio.Future[Accepted]) -> None:
        live: LiveReply | None = None
        try:
            events = turn.take_turn(incoming, self.id, self._slot)
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Accepted):
                        live = self._register(incoming, event)
                        begun.set_result(event)
                        await relay().announce([conversation_topic(event.conversation_id)])
                    elif live is None:
                        continue
                    elif isinstance(event, Finished):
                        await self._end(live, event.status)
                    else:
                        live.hear(event)
            # Nothing for a turn that said how it ended.
            await self._end(live, Status.FAILED)
        except asyncio.CancelledError:
            await self._end(live, live.if_cancelled if live else Status.STOPPED)
        except Exception as error:
            await self._failed(live, begun, error)
        finally:
            self._unregister(live)

    async def _failed(
        self, live: LiveReply | None, begun: asyncio.Future[Accepted], error: Exception
    ) -> None:
        if not begun.done():
            begun.set_exception(error)
            return
        logger.exception("a turn failed")
        await self._end(live, Status.FAILED)

    def _register(self, incoming: Incoming, accepted: Accepted) -> LiveReply | None:
        if accepted.duplicate:
            return None
        task = asyncio.current_task()
        assert task is not None
        live = LiveReply(incoming.user_id, accepted, task)
        self.replies[live.id] = live
        RUNNING_TURNS.inc()
        return live

    def _unregister(self, live: LiveReply | None) -> None:
        if live is not None and self.replies.pop(live.id, None) is not None:
            RUNNING_TURNS.dec()

    async def _end(self, live: LiveReply | None, status: str) -> None:
        """Fold the reply, then tell its followers. Not to be cancelled half-way."""
        if live is None or live.done is not None:
            return
        folding = asyncio.ensure_future(self._fold(live, status))
        while not folding.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(folding)

    async def _fold(self, live: LiveReply, status: str) -> None:
        try:
            if not await self._finish(live, status):
                status = await self._as_stored(live)
        except Exception:
            logger.exception("a reply could not be stored; its lease will run out")
            live.text, status = live.text[: live.stored], Status.INTERRUPTED
        TURNS.labels(status, live.details.get("mode")).inc()
        live.finish(status)
        await relay().announce([reply_topic(live.id)])

    async def _finish(self, live: LiveReply, status: str) -> bool:
        """Store it whole; a database that restarts is waited for as long as the lease may last."""
        give_up = time.monotonic() + LEASE.total_seconds()
        while True:
            try:
                with acting_as(Principal.worker()):
                    return await run_as(store.finish, self.id, live.ended(status))
            except Unavailable:
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(FLUSH_SECONDS)

    async def _as_stored(self, live: LiveReply) -> str:
        """Someone else ended it first, or erased it: what is stored wins, here too."""
        try:
            with acting_as(Principal.patient(live.user_id)):
                found = await run_as(store.read, live.id)
        except NotFound:
            live.text = ""
            return Status.STOPPED
        live.text = found.text
        return found.status

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with self._slots:
            yield

    def _keep(
        self, work: Coroutine[Any, Any, None], context: Context | None = None
    ) -> asyncio.Task[None]:
        """A task with a strong reference until it ends; in this context, or a copy of ours."""
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self.replies:
                await self._quietly(self._flush())

    async def _flush(self) -> None:
        """What was said since the last time, of every reply, in one statement; also, now and then,
        whether those whose model is silent are still ours.
        """
        now = time.monotonic()
        renew = now - self._renewed > RENEW_SECONDS
        look = renew or now - self._looked > LOOK_SECONDS
        lives = [live for live in self.replies.values() if live.done is None]
        pieces = [piece for live in lives if (piece := live.unstored()).text]
        replies = [live.id for live in lives] if look else [piece.reply_id for piece in pieces]
        if not replies:
            return
        with acting_as(Principal.worker()):
            ours = await run_as(store.append, self.id, replies, pieces, renew=renew)
        self._renewed = now if renew else self._renewed
        self._looked = now if look else self._looked
        self._note_stored(pieces, ours)
        await relay().announce(reply_topic(piece.reply_id) for piece in pieces)
        self._let_go(set(replies) - ours)

    def _note_stored(self, pieces: Iterable[store.Piece], ours: set[int]) -> None:
        for piece in pieces:
            live = self.replies.get(piece.reply_id)
            if live is not None and piece.reply_id in ours:
                live.stored = piece.start + len(piece.text)

    def _let_go(self, lost: set[int]) -> None:
        """Someone else ended these: another device's stop, or a lease that ran out."""
        for reply_id in lost:
            if live := self.replies.get(reply_id):
                live.task.cancel()

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self._quietly(self._sweep())

    async def _sweep(self) -> None:
        with acting_as(Principal.worker()):
            closed = await run_as(store.interrupt_abandoned)
            await run_as(erase_expired)
        if closed:
            logger.warning("closed %d turns whose process had gone", closed)
        await usage.settle()

    async def _quietly(self, work: Awaitable[None]) -> None:
        """A database that is gone for a while must not end the loop."""
        try:
            await work
        except Exception:
            logger.exception("background work failed; it is tried again")


_runners: WeakKeyDictionary[asyncio.AbstractEventLoop, Runner] = WeakKeyDictionary()


def runner() -> Runner:
    """This process's runner; made when first asked for, since not every server has a lifespan."""
    loop = asyncio.get_running_loop()
    if loop not in _runners:
        _runners[loop] = Runner()
    return _runners[loop]
