"""Any order of sending, stopping, cutting, resuming, retrying, killing and sleeping: nothing breaks.

A process is an event loop with its own runner; killing one is never running it again, so that it
ends nothing. The model says as many words as a rule has allowed it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

import psycopg
import pytest
from django.db import connections
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from accounts import services
from ai.base import ChatMessage, Provider
from carehelp.database.embedded import SUPERUSER, Server
from carehelp.database.identity import Principal, acting_as
from carehelp.errors import CarehelpError
from carehelp.tests.proof.model import answer_to, questions
from conversations import live, wording
from conversations.events import Delta, Done
from conversations.incoming import Incoming
from conversations.live import relay
from conversations.live.runner import runner

NEWBORN = "mon bébé de 3 semaines a de la fièvre et ne tète plus"
KEPT: list[asyncio.AbstractEventLoop] = []
"""Loops of killed processes: were they collected, their tasks would end in good order after all."""


FIRST = "Dormez sous une moustiquaire chaque nuit, et videz les eaux qui dorment. "
"""So that the answer's language is known at once."""
BEFORE = wording.NOT_FOUND["fr"] + "\n\n" + FIRST
MOST_HELD = 30
"""Of the last words, which the guard may still be thinking about."""


def heard_of(said: str, so_far: str | None) -> bool:
    """Whether what the model said has come through, or its turn has ended."""
    if so_far is None:
        return True
    return said.startswith(so_far) and len(said) - len(so_far) <= MOST_HELD


class Spoken(Provider):
    """Someone's provider that says only what is allowed."""

    name, abroad = "spoken", False
    allowed: ClassVar[Counter[str]] = Counter()

    async def chat_stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        question = messages[-1].content
        yield FIRST
        for number, word in enumerate(answer_to(question)):
            await self.allowed_to_say(question, number)
            yield word

    async def allowed_to_say(self, question: str, number: int) -> None:
        """Looks again and again: who allows it stands outside of this loop."""
        while self.allowed[question] <= number:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class Process:
    """One server process, which runs only while somebody lets it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def do(self, work: Coroutine[Any, Any, Any], seconds: float = 30) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, seconds))

    def run(self) -> None:
        self.do(asyncio.sleep(0.01))

    def end(self) -> None:
        self.do(_drain())
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.run()
        self.loop.close()

    def kill(self) -> None:
        KEPT.append(self.loop)


@dataclass
class Asked:
    """What must be true of a question. `process` answers it while its status is `running`."""

    text: str
    key: str
    conversation: int
    process: Process | None
    replies: list[int]
    status: str = "running"
    whole: str = ""


@dataclass(eq=False)
class Follower:
    """A phone that follows one reply by the offset rule."""

    asked: Asked
    reply_id: int
    text: str = ""
    gaps: int = 0
    done: Done | None = None
    task: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        async for event in live.follow(self.reply_id, len(self.text)):
            if isinstance(event, Delta):
                self.gaps += event.offset > len(self.text)
                self.text = self.text[: event.offset] + event.text
            elif isinstance(event, Done):
                self.done = event


@dataclass
class Place:
    """What the test gives to every machine."""

    rows: Callable[..., list[tuple[Any, ...]]]
    questions: Any = field(default_factory=lambda: questions(26**3))


class Turns(RuleBasedStateMachine):
    place: ClassVar[Place]
    asked = Bundle("asked")
    followers = Bundle("followers")
    which = st.integers(0, 1)

    def __init__(self) -> None:
        super().__init__()
        self.processes = [Process(), Process()]
        self.everything: list[Asked] = []
        self.phones: list[Follower] = []
        self.ended: dict[int, tuple[str, str]] = {}
        signed_in = self.processes[0].do(services.guest({}, ["store_history"], "127.0.0.1"))
        self.user = signed_in.user.id

    def act(self, process: Process, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """At a door of this process, as the patient; what is refused is returned by its code."""

        async def acting() -> Any:
            with acting_as(Principal.patient(self.user)):
                return await work()

        try:
            return process.do(acting())
        except CarehelpError as error:
            return error.code

    def until(self, true: Callable[[], bool]) -> None:
        """Let everybody run until this is so."""
        deadline = time.monotonic() + 30
        while not true():
            assert time.monotonic() < deadline, "it never came true"
            for process in self.processes:
                process.run()

    def running_in(self, conversation: int | None) -> Asked | None:
        for one in self.everything:
            if one.conversation == conversation and one.status == "running":
                return one
        return None

    def status_of(self, one: Asked) -> str:
        found = self.place.rows("SELECT status FROM messages WHERE id = %s", one.replies[-1])
        return found[0][0]

    def has_ended(self, one: Asked, status: str) -> None:
        """Every process knows it soon, the one that was writing too."""
        one.status, one.process = status, None
        reply = one.replies[-1]
        self.until(lambda: all(self.stored(reply, p)["status"] == status for p in self.processes))
        assert self.status_of(one) == status

    def send(self, process: Process, text: str, conversation: int | None) -> Asked | str:
        key = uuid.uuid4().hex
        incoming = Incoming(self.user, text, conversation, client_message_id=key)
        accepted = self.act(process, lambda: live.start(incoming))
        if isinstance(accepted, str):
            return accepted
        assert not accepted.duplicate
        one = Asked(text, key, accepted.conversation_id, process, [accepted.reply_id])
        self.everything.append(one)
        return one

    @rule(target=asked, where=which)
    def ask_in_a_new_conversation(self, where: int) -> Any:
        return self.send(self.processes[where], next(self.place.questions), None)

    @rule(target=asked, where=which, earlier=asked)
    def ask_on(self, where: int, earlier: Asked) -> Any:
        busy = self.running_in(earlier.conversation)
        one = self.send(self.processes[where], next(self.place.questions), earlier.conversation)
        if busy:
            assert one == "turn_in_progress"
            return multiple()
        assert isinstance(one, Asked), one
        return one

    @rule(where=which, one=asked)
    def send_again(self, where: int, one: Asked) -> None:
        incoming = Incoming(self.user, one.text, None, client_message_id=one.key)
        accepted = self.act(self.processes[where], lambda: live.start(incoming))
        assert accepted.duplicate
        assert accepted.reply_id == one.replies[-1]
        assert accepted.client_message_id == one.key

    @rule(where=which, one=asked)
    def be_in_danger(self, where: int, one: Asked) -> None:
        stopped = self.running_in(one.conversation)
        urgent = self.send(self.processes[where], NEWBORN, one.conversation)
        assert isinstance(urgent, Asked), urgent
        self.has_ended(urgent, "completed")
        if stopped:
            self.has_ended(stopped, "stopped")

    @rule(one=asked, words=st.integers(1, 30))
    def let_the_model_speak(self, one: Asked, words: int) -> None:
        if one.process is None:
            return
        Spoken.allowed[one.text] += words
        said = BEFORE + "".join(answer_to(one.text)[: Spoken.allowed[one.text]])
        process, reply = one.process, one.replies[-1]
        self.until(lambda: heard_of(said, self.said(process, reply)))
        if Spoken.allowed[one.text] >= len(answer_to(one.text)):
            self.has_ended(one, "completed")

    @staticmethod
    def said(process: Process, reply_id: int) -> str | None:
        found = process.do(_said(reply_id))
        return found

    @rule(where=which, one=asked)
    def stop(self, where: int, one: Asked) -> None:
        assert self.act(self.processes[where], lambda: live.stop(one.replies[-1])) is None
        if one.status == "running":
            self.has_ended(one, "stopped")

    @rule(where=which, one=asked)
    def retry(self, where: int, one: Asked) -> None:
        expected = self.refusal_of_a_retry(one)
        process = self.processes[where]
        incoming = Incoming(self.user, retry_of=one.replies[-1])
        accepted = self.act(process, lambda: live.start(incoming))
        if expected:
            assert accepted == expected
            return
        assert (accepted.duplicate, accepted.client_message_id) == (False, one.key)
        first = self.act(process, lambda: live.start(Incoming(self.user, retry_of=one.replies[0])))
        assert (first.duplicate, first.reply_id) == (True, accepted.reply_id)
        one.replies.append(accepted.reply_id)
        one.status, one.process = "running", process
        self.ends_at_once_if_all_is_said(one)

    def refusal_of_a_retry(self, one: Asked) -> str | None:
        if one.status in ("running", "completed"):
            return "conflict"
        return "turn_in_progress" if self.running_in(one.conversation) else None

    def ends_at_once_if_all_is_said(self, one: Asked) -> None:
        if Spoken.allowed[one.text] >= len(answer_to(one.text)):
            self.has_ended(one, "completed")

    @rule(target=followers, where=which, one=asked)
    def follow(self, where: int, one: Asked) -> Follower:
        phone = Follower(one, one.replies[-1])
        self.phones.append(phone)
        self.connect(phone, self.processes[where])
        return phone

    def connect(self, phone: Follower, process: Process) -> None:
        async def begin() -> None:
            phone.task = asyncio.create_task(phone.follow())

        self.act(process, begin)

    @rule(phone=followers, where=which)
    def lose_the_connection_and_resume(self, phone: Follower, where: int) -> None:
        self.cut(phone)
        self.connect(phone, self.processes[where])

    def cut(self, phone: Follower) -> None:
        for process in self.processes:
            if phone.task is not None and phone.task.get_loop() is process.loop:
                phone.task.cancel()
                process.run()

    @rule(phone=consumes(followers))
    def go_away(self, phone: Follower) -> None:
        self.cut(phone)
        self.phones.remove(phone)

    @rule(where=which)
    def kill_a_process(self, where: int) -> None:
        killed = self.processes[where]
        killed.kill()
        self.processes[where] = Process()
        self.lapse(killed, self.processes[1 - where])
        for phone in self.phones:
            if phone.task is not None and phone.task.get_loop() is killed.loop:
                self.connect(phone, self.processes[where])

    @rule(where=which)
    def sleep_until_the_lease_has_run_out(self, where: int) -> None:
        """A process that comes back finds its turns ended, and writes nothing."""
        self.lapse(self.processes[where], self.processes[1 - where])

    def lapse(self, process: Process, other: Process) -> None:
        lost = [one for one in self.everything if one.process is process]
        ids = [one.replies[-1] for one in lost]
        self.place.rows(
            "UPDATE messages SET leased_until = now() - interval '1 s' WHERE id = ANY(%s) "
            "AND status = 'running' RETURNING id",
            ids,
        )
        other.do(_sweep())
        for one in lost:
            self.has_ended(one, "interrupted")

    @invariant()
    def what_is_stored_is_what_was_done(self) -> None:
        stored = self.place.rows(
            "SELECT role, status, count(*) FROM messages WHERE user_id = %s GROUP BY role, status",
            self.user,
        )
        counted = Counter({(role, status): count for role, status, count in stored})
        assert sum(n for (role, _), n in counted.items() if role == "user") == len(self.everything)
        replies = sum(n for (role, _), n in counted.items() if role == "assistant")
        assert replies == sum(len(one.replies) for one in self.everything)
        running = sum(one.status == "running" for one in self.everything)
        assert counted["assistant", "running"] == running
        assert all(phone.gaps == 0 for phone in self.phones)

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        for one in self.everything:
            for reply in one.replies[: None if one.process is None else -1]:
                turn = self.stored(reply)
                now = (turn["status"], turn["response"])
                assert self.ended.setdefault(reply, now) == now
                if one.text != NEWBORN:
                    whole = BEFORE + "".join(answer_to(one.text))
                    assert whole.startswith(turn["response"])
                    assert (turn["response"] == whole) or turn["status"] != "completed"

    def stored(self, reply_id: int, process: Process | None = None) -> dict[str, Any]:
        at = process or self.processes[0]
        turn: dict[str, Any] = self.act(at, lambda: live.standing(reply_id))
        return turn

    def teardown(self) -> None:
        """Everything comes to its end, and everybody who follows has all of it."""
        try:
            for one in self.everything:
                Spoken.allowed[one.text] = 1000
            self.until(lambda: self.all_ended() and all(phone.done for phone in self.phones))
            for phone in self.phones:
                assert phone.text == self.stored(phone.reply_id)["response"]
                assert phone.done is not None
                assert phone.done.end == len(phone.text)
        finally:
            for process in self.processes:
                process.end()

    def all_ended(self) -> bool:
        running = "SELECT count(*) FROM messages WHERE user_id = %s AND status = 'running'"
        return self.place.rows(running, self.user)[0][0] == 0


async def _said(reply_id: int) -> str | None:
    await asyncio.sleep(0.002)
    found = runner().replies.get(reply_id)
    return found.text if found and found.done is None else None


async def _sweep() -> None:
    await runner()._sweep()


async def _drain() -> None:
    await runner().drain(0)


@pytest.fixture
def place(
    database: None, postgres: Server, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Place:
    """The model, hurried clocks, and a look at the tables from above."""
    settings.AI_PROVIDERS = settings.AI_PROVIDERS | {"spoken": f"{__name__}.Spoken"}
    settings.AI_CHAT = "spoken"
    settings.AI_BETWEEN_WORDS_SECONDS = settings.AI_TOTAL_SECONDS_LOCAL = 3600.0
    settings.TURNS_PER_USER = 1000
    settings.EMBEDDINGS = "none"
    runners = import_module("conversations.live.runner")
    monkeypatch.setattr(runners, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(runners, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(runners, "EMERGENCY_STORE_SECONDS", 30)
    monkeypatch.setattr(relay, "LOOK_SECONDS", 0.02)
    url = postgres.url(SUPERUSER, connections.databases["default"]["NAME"])

    def rows(query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET search_path = app, public")
            return connection.execute(query, parameters).fetchall()

    return Place(rows)


def test_no_order_of_events_breaks_a_turn(place: Place) -> None:
    Turns.place = place
    run_state_machine_as_test(
        Turns,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
