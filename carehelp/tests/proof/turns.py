"""Many turns, many lost connections, a killed process and a restarted Valkey: what was lost?

`python -m carehelp.tests.proof.turns` runs it in full and writes docs/proof-turns.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import httpx

from carehelp.tests.proof.model import answer_to, questions
from carehelp.tests.proof.phone import DOORS, Asked, Person, Phone
from carehelp.tests.proof.site import ROOT, Site, own_database, site
from conversations import wording

CUT = 0.3
OPEN_SECONDS = 60.0
UNSOURCED = wording.NOT_FOUND["fr"] + "\n\n"
"""Said before a model's answer where no guidance was found, as here, where none is ingested."""
REPORT = ROOT / "docs" / "proof-turns.md"


@dataclass
class Outcome:
    """What must be nought, by name, and what happened on the way."""

    asked: list[Asked]
    seconds: float
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, count: int, example: object = "") -> None:
        self.wrong[what] += count
        if count and len(self.examples) < 20:
            self.examples.append(f"{what}: {example}")

    @property
    def happened(self) -> dict[str, int]:
        ways = Counter(door for one in self.asked for _, door in one.ways)
        return {
            "turns": len(self.asked),
            **{f"connections by {door}": ways[door] for door in DOORS},
            "connections cut on purpose": sum(one.cuts for one in self.asked),
            "connections lost with a process": sum(one.dropped for one in self.asked),
            "messages sent again": sum(one.resent for one in self.asked),
            "answers interrupted and asked again": sum(one.retried for one in self.asked),
            "refusals waited out": sum(one.waited for one in self.asked),
            "deltas that cut back": sum(one.cut_back for one in self.asked),
        }


async def run(place: Site, *, turns: int, people: int, at_once: int) -> Outcome:
    """`turns` questions of `people`; a process is killed after a third, Valkey goes after two."""
    started = time.monotonic()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(timeout=60, limits=limits) as http:
        phone = Phone([process.url for process in place.processes], http, CUT)
        asked = await _everybody(place, phone, http, turns, people, at_once)
        outcome = Outcome(asked, time.monotonic() - started, notes=place.notes)
        await _none_left_open(place, outcome)
        for one in asked:
            _check(one, outcome)
        await _compare(place, http, outcome)
    return outcome


async def _everybody(
    place: Site, phone: Phone, http: httpx.AsyncClient, turns: int, people: int, at_once: int
) -> list[Asked]:
    persons = [await _arrive(http, place.processes[0].url) for _ in range(people)]
    waiting = iter(enumerate(questions(turns)))
    progress = Progress(turns)
    trouble = asyncio.create_task(_trouble(place, progress))
    gate = asyncio.Semaphore(at_once)
    done = await asyncio.gather(
        *[_one_person(phone, person, waiting, progress, gate) for person in persons]
    )
    await trouble
    return [one for several in done for one in several]


async def _arrive(http: httpx.AsyncClient, base: str) -> Person:
    made = await http.post(f"{base}/api/users/guest", json={"consents": ["store_history"]})
    made.raise_for_status()
    return Person(made.json()["user"]["id"], made.json()["access_token"])


class Progress:
    """How many questions have their answer; `reached` waits for a share of them."""

    def __init__(self, turns: int) -> None:
        self.turns, self.answered = turns, 0
        self._more = asyncio.Condition()

    async def one_more(self) -> None:
        async with self._more:
            self.answered += 1
            self._more.notify_all()

    async def reached(self, share: float) -> None:
        async with self._more:
            await self._more.wait_for(lambda: self.answered >= share * self.turns)


async def _one_person(
    phone: Phone,
    person: Person,
    waiting: Iterator[tuple[int, str]],
    progress: Progress,
    gate: asyncio.Semaphore,
) -> list[Asked]:
    """Asks one question after the other, sometimes in an earlier conversation."""
    mine = []
    for _, question in waiting:
        earlier = random.choice([None, *person.conversations[-2:]])
        async with gate:
            asked = await phone.ask(Asked(person, question, conversation_id=earlier))
        if asked.conversation_id is not None:
            person.conversations.append(asked.conversation_id)
        mine.append(asked)
        await progress.one_more()
    return mine


async def _trouble(place: Site, progress: Progress) -> None:
    """kill -9 of a process while it answers, started again; then a Valkey that goes and comes."""
    await progress.reached(1 / 3)
    running = await place.rows("SELECT count(*) FROM public.messages WHERE status = 'running'")
    place.processes[0].kill()
    place.notes.append(f"kill -9 of a process while {running[0][0]} answers were being written")
    await asyncio.sleep(1)
    await place.processes[0].start()
    if place.valkey is not None:
        await progress.reached(2 / 3)
        await place.restart_valkey(2.0)
        place.notes.append("Valkey was gone for two seconds")


async def _none_left_open(place: Site, outcome: Outcome) -> None:
    """Within a minute after the last answer; `outcome` gets what is open then."""
    query = "SELECT count(*) FROM public.messages WHERE status = 'running'"
    deadline = time.monotonic() + OPEN_SECONDS
    left = None
    while left != 0 and time.monotonic() < deadline:
        left = (await place.rows(query))[0][0]
        await asyncio.sleep(0.5)
    outcome.add("turns open after 60 s", left)


def _check(one: Asked, outcome: Outcome) -> None:
    """What the phone has, against what the model said and we said before it."""
    whole = UNSOURCED + "".join(answer_to(one.question))
    status = one.done["status"] if one.done else "none"
    outcome.add("questions without a whole answer", status != "completed", (one.reply_id, status))
    if status == "completed":
        lost, extra = difference(whole, one.text)
        outcome.add("characters lost", lost, (one.reply_id, whole, one.text))
        outcome.add("characters repeated", extra, (one.reply_id, whole, one.text))
    for reply_id, ended, text in one.replies:
        kept = ended in ("completed", "interrupted") and whole.startswith(text)
        outcome.add("answers cut off that are no beginning", not kept, (reply_id, ended, text))
    outcome.add("deltas beyond the end of what was there", one.gaps, one.reply_id)


def difference(whole: str, text: str) -> tuple[int, int]:
    """Characters that are missing, and characters that are too many."""
    steps = SequenceMatcher(None, whole, text, autojunk=False).get_opcodes()
    changed = [step for step in steps if step[0] != "equal"]
    return sum(s[2] - s[1] for s in changed), sum(s[4] - s[3] for s in changed)


async def _compare(place: Site, http: httpx.AsyncClient, outcome: Outcome) -> None:
    """What is stored, as each person reads it from the other process, against what was sent."""
    counted = await place.rows("SELECT role, count(*) FROM public.messages GROUP BY role")
    stored = dict(counted)
    outcome.notes.append(f"{stored['user']} questions and {stored['assistant']} replies are stored")
    persons = {one.person.id: one.person for one in outcome.asked}
    for person in persons.values():
        asked = [one for one in outcome.asked if one.person is person]
        messages = await _history(http, place.processes[1].url, person)
        for one in asked:
            _compare_one(one, messages, outcome)
        expected = {one.client_message_id for one in asked}
        strangers = [m for m in messages if m["role"] == "user" and _key(m) not in expected]
        outcome.add("messages that nobody sent", len(strangers), strangers)
    chunks = await place.rows(
        "SELECT count(*) FROM app.reply_chunks AS c JOIN public.messages AS m ON m.id = c.reply_id "
        "WHERE m.status = 'completed'"
    )
    outcome.add("chunks left behind by whole answers", chunks[0][0])


def _compare_one(one: Asked, messages: list[dict[str, Any]], outcome: Outcome) -> None:
    sent = [message for message in messages if _key(message) == one.client_message_id]
    outcome.add("messages lost", not sent, one.question)
    outcome.add("messages doubled", max(0, len(sent) - 1), one.question)
    ids = {message["id"] for message in sent}
    replies = [message for message in messages if message.get("reply_to") in ids]
    whole = [reply for reply in replies if reply["status"] == "completed"]
    outcome.add("answers doubled", max(0, len(whole) - 1), one.question)
    outcome.add("replies that no retry explains", len(replies) - 1 - one.retried, one.question)
    for reply in whole:
        outcome.add("answers stored otherwise than read", reply["content"] != one.text, reply["id"])


def _key(message: dict[str, Any]) -> str | None:
    key: str | None = message.get("client_message_id")
    return key


async def _history(http: httpx.AsyncClient, base: str, person: Person) -> list[dict[str, Any]]:
    conversations = await _pages(http, f"{base}/api/conversations?limit=100", person)
    messages = []
    for conversation in conversations:
        url = f"{base}/api/conversations/{conversation['id']}/messages?limit=100"
        messages += await _pages(http, url, person)
    return messages


async def _pages(http: httpx.AsyncClient, url: str, person: Person) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    next_url: str | None = url
    while next_url:
        answer = await http.get(next_url, headers=person.headers)
        answer.raise_for_status()
        rows += answer.json()["results"]
        next_url = answer.json()["next"]
    return rows


@asynccontextmanager
async def proof_site(server: Any, logs: Path, **options: Any) -> AsyncIterator[Site]:
    with own_database(server) as urls:
        async with site(urls, logs, **options) as place:
            yield place


async def _full(server: Any, logs: Path, turns: int) -> dict[str, Outcome]:
    outcomes = {}
    for name, with_valkey in (("with Valkey", True), ("without", False)):
        async with proof_site(server, logs, with_valkey=with_valkey, lease=30.0) as place:
            outcomes[name] = await run(place, turns=turns, people=60, at_once=60)
        print(name, dict(outcomes[name].wrong), outcomes[name].happened, flush=True)
    return outcomes


def report(outcomes: dict[str, Outcome], commit: str) -> str:
    """The page that is committed: what must be nought, then what happened on the way."""
    names = list(outcomes)
    wrong = {what for outcome in outcomes.values() for what in outcome.wrong}
    lines = [
        "# Turns that survive: the proof",
        "",
        f"`make proof` on commit {commit}, {time.strftime('%Y-%m-%d')}. Two processes with the flags "
        "of production on one Postgres; phones that ask over REST, SSE and WebSocket, lose three "
        "connections in ten at a random moment and go on by another door or process. The model's "
        "answer follows from the question, so every character is known beforehand; what phones have "
        "is compared with it and with what is stored, read from the other process.",
        "",
        *_table(["must be nought", *names]),
        *_rows(sorted(wrong), [outcome.wrong for outcome in outcomes.values()]),
        "",
        *_table(["on the way", *names]),
        *_rows(next(iter(outcomes.values())).happened, [one.happened for one in outcomes.values()]),
        f"| seconds | {' | '.join(f'{one.seconds:.0f}' for one in outcomes.values())} |",
        "",
    ]
    for name, outcome in outcomes.items():
        lines += [f"- {name}: {note}." for note in outcome.notes]
    return "\n".join(lines) + "\n"


def _table(heads: list[str]) -> list[str]:
    return [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]


def _rows(names: Any, columns: list[Any]) -> list[str]:
    return [f"| {name} | {' | '.join(str(column[name]) for column in columns)} |" for name in names]


def _commit() -> str:
    def git(*words: str) -> str:
        told = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        return told.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return f"`{git('rev-parse', '--short=12', 'HEAD')}`{changed}"


def main(turns: int = 1000) -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carehelp.settings")
    django.setup()

    from django.conf import settings

    from carehelp.database import embedded

    logging.getLogger().setLevel(logging.WARNING)
    commit = _commit()
    folder = embedded.data_folder(settings.STATE_DIR / "tests")
    server = embedded.ensure_running(folder, durable=False)
    with tempfile.TemporaryDirectory(prefix="proof-") as logs:
        outcomes = asyncio.run(_full(server, Path(logs), turns))
    server.stop()
    wrong = any(outcome.wrong.total() for outcome in outcomes.values())
    for outcome in outcomes.values():
        print(*outcome.examples, sep="\n")
    REPORT.write_text(report(outcomes, commit), encoding="utf-8")
    print(REPORT.read_text(encoding="utf-8"))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
