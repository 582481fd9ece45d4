"""The WebSocket door, `/ws/chat`: the same turns and events as REST and SSE, on one connection.

A turn lives on the server: closing the socket stops nothing, `resume` goes on from any offset. Every
refusal is said in a frame or a close code after accepting, since a close before that is a bare 403.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, ClassVar
from uuid import UUID

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from rest_framework.exceptions import ValidationError

from accounts import authentication, usage
from accounts.authentication import account_of, identify, still_allowed
from accounts.tickets import redeem
from ai.ladder import ladder
from carehelp.database.identity import Principal, acting_as
from carehelp.errors import (
    CarehelpError,
    Forbidden,
    Invalid,
    Malformed,
    NotSignedIn,
    Restarting,
    TooMany,
)
from carehelp.problem import field_errors
from carehelp.watch import Watch
from conversations import live
from conversations.doors import lean
from conversations.doors.frames import frame_of, problem_frame
from conversations.doors.refusals import with_triage
from conversations.doors.serializers import (
    ConversationSerializer,
    ReplySerializer,
    ResumeSerializer,
    SendSerializer,
    incoming_of,
)
from conversations.events import Accepted, Event
from conversations.incoming import Incoming

logger = logging.getLogger(__name__)

PROTOCOL = "carehelp.v1"
TICKET, BEARER = "carehelp.ticket.", "carehelp.bearer."
IDENTITY_SECONDS = 20.0
DRAIN_SECONDS = 60.0
JOINED_AT_ONCE = 16
FRAMES_A_SECOND = 50


class NoIdentityInTime(NotSignedIn):
    close_code = 4408


class ChatSocket(AsyncWebsocketConsumer):
    """One connection of one patient. Translates frames; decides nothing."""

    async def connect(self) -> None:
        self.token: str | None = None
        self.since = time.time()
        self.ended = False
        self.saves_data = False
        self.principal: Principal | None = None
        self.pumps: dict[int, asyncio.Task[None]] = {}
        self.joined: dict[int, asyncio.Task[None]] = {}
        self.mine: set[int] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.rate = Rate(FRAMES_A_SECOND)
        self.writing, self.draining = asyncio.Lock(), Watch(DRAIN_SECONDS)
        offered = self.scope.get("subprotocols", [])
        await self.accept(PROTOCOL if PROTOCOL in offered else None)
        await self._guarded(self._greet(offered))

    async def _greet(self, offered: list[str]) -> None:
        if not origin_allowed(self.scope):
            raise Forbidden("This site may not connect.")
        for name in offered:
            if name.startswith(TICKET):
                return await self._signed_in(await redeem(name.removeprefix(TICKET)))
            if name.startswith(BEARER):
                return await self._authenticate(name.removeprefix(BEARER))
        self._spawn(self._identity_in_time())

    async def _identity_in_time(self) -> None:
        await asyncio.sleep(IDENTITY_SECONDS)
        if self.principal is None:
            raise NoIdentityInTime("No identity came in time.")

    async def _authenticate(self, token: str) -> None:
        identity = await identify(token)
        self.token = token
        await self._signed_in(identity.user_id)

    async def _signed_in(self, user_id: UUID) -> None:
        self.principal = Principal.patient(user_id)
        usage.belongs_to(self.scope, user_id)
        account = await account_of(user_id)
        header = dict(self.scope["headers"]).get(b"save-data", b"").decode("latin-1")
        self.saves_data = lean.asked_for(header, account is not None and account.save_data)
        self._spawn(self._still_allowed())
        mode = "normal" if ladder("chat_stream").ready() else "offline"
        await self._say("ready", {"protocol": PROTOCOL, "user_id": str(user_id), "mode": mode})

    async def _still_allowed(self) -> None:
        """Sign-out and expiry reach open sockets too."""
        while True:
            await asyncio.sleep(authentication.RECHECK_SECONDS)
            assert self.principal is not None
            await still_allowed(self.token, UUID(self.principal.sub), self.since)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self._guarded(self._receive(text_data))

    async def _receive(self, text: str | None) -> None:
        if self.ended:
            return
        self.rate.take()
        frame = parsed(text)
        kind = frame.pop("type", None)
        if self.principal is None:
            if kind != "auth":
                raise with_triage(NotSignedIn("Send an auth frame first."), [frame.get("message")])
            return await self._authenticate(str(frame.get("token", "")))
        handler = self.HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            raise Malformed("Unknown frame; known are: {known}.", known=", ".join(self.HANDLERS))
        self._spawn(self._answering(handler, frame))

    async def _answering(self, handler: Handler, frame: dict[str, Any]) -> None:
        with acting_as(self.principal):
            try:
                await handler(self, frame)
            except CarehelpError as error:
                await self._refuse(error, frame.get("client_message_id"))
                if isinstance(error, Restarting):
                    await self._end(1012)

    async def _send(self, frame: dict[str, Any]) -> None:
        assert self.principal is not None
        try:
            data = checked(SendSerializer, frame)
        except Invalid as error:
            raise with_triage(error, [frame.get("message")]) from error
        sender = UUID(self.principal.sub)
        await self._follow(await live.start(incoming_of(sender, data, brief=self.saves_data)))

    async def _retry(self, frame: dict[str, Any]) -> None:
        data = checked(ReplySerializer, frame)
        assert self.principal is not None
        incoming = Incoming(UUID(self.principal.sub), retry_of=data["reply_id"])
        await self._follow(await live.start(incoming))

    async def _stop(self, frame: dict[str, Any]) -> None:
        await live.stop(checked(ReplySerializer, frame)["reply_id"])

    async def _resume(self, frame: dict[str, Any]) -> None:
        data = checked(ResumeSerializer, frame)
        follow = live.follow if data["reply_id"] in self.pumps else live.resume
        pile = lean.pile(self.saves_data)
        self._pump(data["reply_id"], follow(data["reply_id"], data["offset"], pile))

    async def _join(self, frame: dict[str, Any]) -> None:
        conversation_id = checked(ConversationSerializer, frame)["conversation_id"]
        if len(self.joined) >= JOINED_AT_ONCE:
            raise TooMany("At most {limit} conversations are joined at once.", limit=JOINED_AT_ONCE)
        if conversation_id not in self.joined:
            self.joined[conversation_id] = self._spawn(self._watching(conversation_id))

    async def _leave(self, frame: dict[str, Any]) -> None:
        watching = self.joined.pop(checked(ConversationSerializer, frame)["conversation_id"], None)
        if watching is not None:
            watching.cancel()

    async def _watching(self, conversation_id: int) -> None:
        try:
            with acting_as(self.principal):
                async with aclosing(live.watch(conversation_id)) as news:
                    async for event in news:
                        await self._pass_on(event)
        except CarehelpError as error:
            self.joined.pop(conversation_id, None)
            await self._refuse(error, None)

    async def _pass_on(self, event: Event) -> None:
        """A turn that was sent on this very socket is being followed already."""
        if isinstance(event, Accepted):
            if event.reply_id not in self.mine:
                await self._follow(event)
        else:
            await self._tell(event)

    async def _ping(self, frame: dict[str, Any]) -> None:
        await self._say("pong", {})

    HANDLERS: ClassVar[dict[str, Handler]] = {
        "send": _send,
        "stop": _stop,
        "retry": _retry,
        "resume": _resume,
        "join": _join,
        "leave": _leave,
        "ping": _ping,
    }

    async def _follow(self, accepted: Accepted) -> None:
        self.mine.add(accepted.reply_id)
        await self._tell(accepted)
        pile = lean.pile(self.saves_data)
        self._pump(accepted.reply_id, live.follow(accepted.reply_id, pile=pile))

    def _pump(self, reply_id: int, events: AsyncGenerator[Event, None]) -> None:
        """Follow a reply on this socket; asked again, the newer offset replaces the older."""
        older = self.pumps.pop(reply_id, None)
        if older is not None:
            older.cancel()
        pump = self._spawn(self._pumping(events))
        self.pumps[reply_id] = pump
        pump.add_done_callback(lambda done: self._forget(reply_id, done))

    def _forget(self, reply_id: int, pump: asyncio.Task[None]) -> None:
        if self.pumps.get(reply_id) is pump:
            del self.pumps[reply_id]

    async def _pumping(self, events: AsyncGenerator[Event, None]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    await self._tell(event)
        except CarehelpError as error:
            await self._refuse(error, None)

    async def _tell(self, event: Event) -> None:
        await self._say(event.type, frame_of(event, self.saves_data))

    async def _refuse(self, error: CarehelpError, client_message_id: Any) -> None:
        problem = problem_frame(error)
        if isinstance(client_message_id, str):
            problem["client_message_id"] = client_message_id[:64]
        await self._say("error", problem)

    async def _say(self, kind: str, body: dict[str, Any]) -> None:
        """One frame. A reader that does not drain for a minute is closed, to resume later."""
        text = orjson.dumps({**body, "type": kind}).decode()
        try:
            async with self.writing:
                if not self.ended:
                    with self.draining:
                        # What `send` comes to, by way of two more coroutines.
                        await self.base_send({"type": "websocket.send", "text": text})
        except TimeoutError:
            await self._end(1011)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Says what went wrong, and closes where the error carries a close code."""
        try:
            await work
        except CarehelpError as error:
            await self._refuse(error, None)
            if error.close_code is not None:
                await self._end(error.close_code)
        except Exception:
            logger.exception("a socket failed")
            await self._end(1011)

    async def _end(self, code: int) -> None:
        """Close once; frames that were on their way are not read any more."""
        if not self.ended:
            self.ended = True
            await self.close(code)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def disconnect(self, code: int) -> None:
        self.ended = True
        self.draining.end()
        for task in list(self.tasks):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self.tasks, return_exceptions=True)


Handler = Callable[[ChatSocket, dict[str, Any]], Coroutine[Any, Any, None]]


class NotHere(AsyncWebsocketConsumer):
    """Any other path: accepted and closed, so that a client learns why."""

    async def connect(self) -> None:
        await self.accept()
        await self.close(4404)


class Rate:
    """At most so many frames a second, counted in a leaky bucket."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.level = 0.0
        self.at = time.monotonic()

    def take(self) -> None:
        now = time.monotonic()
        self.level = max(0.0, self.level - (now - self.at) * self.per_second) + 1
        self.at = now
        if self.level > 2 * self.per_second:
            raise TooManyFrames("Too many frames; slow down.", retry_after=2)


class TooManyFrames(TooMany):
    close_code = 4429


def parsed(text: str | None) -> dict[str, Any]:
    try:
        frame = orjson.loads(text or "")
    except orjson.JSONDecodeError as error:
        raise Malformed("A frame is one JSON object, as text.") from error
    if not isinstance(frame, dict):
        raise Malformed("A frame is one JSON object, as text.")
    return frame


def checked(serializer: type[Any], frame: dict[str, Any]) -> dict[str, Any]:
    form = serializer(data=frame)
    try:
        form.is_valid(raise_exception=True)
    except ValidationError as error:
        raise Invalid(errors=list(field_errors(error.detail, ("frame",)))) from error
    data: dict[str, Any] = form.validated_data
    return data


def origin_allowed(scope: dict[str, Any]) -> bool:
    """A browser's Origin must be on the list to the letter; native apps send none."""
    origin = dict(scope["headers"]).get(b"origin")
    allowed = settings.CORS_ALLOW_ORIGINS
    return origin is None or "*" in allowed or origin.decode("latin-1") in allowed
