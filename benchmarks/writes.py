"""Writes of running turns, beside `database_sync_to_async` as it comes; 5 ms to the database.

`python -m benchmarks.writes`: 200 sockets write five times each and wait for each write to be
stored. Beside: every consumer of Channels inserts a row by itself, which all of them do in the one
thread that `database_sync_to_async` gives a process. Ours: 200 turns of a real runner, whose words
go to the store together. Both reach Postgres through the same proxy.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ai.base import ChatMessage, Provider

SOCKETS, WRITES, RUNS = 200, 5, 3
DELAY_SECONDS = 0.005
WORD = "Buvez de l'eau propre. "


class Silent(Provider):
    """A model that has not said anything yet: the benchmark says the words itself."""

    name, abroad = "silent", False

    async def chat_stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""


@asynccontextmanager
async def far_away(server: Path, folder: Path) -> AsyncIterator[None]:
    """Postgres's socket again in `folder`, half of the delay in each direction."""

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near = await asyncio.open_unix_connection(str(server))
        await asyncio.gather(_pour(reader, near[1]), _pour(near[0], writer))

    proxy = await asyncio.start_unix_server(joined, str(folder / server.name))
    async with proxy:
        yield


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(65536):
        loop.call_later(DELAY_SECONDS / 2, writer.write, data)
    loop.call_later(DELAY_SECONDS, writer.close)


async def a_thread_a_process(_: Any) -> None:
    """As consumers are written: each write one INSERT, on a connection that stays open."""
    from channels.db import database_sync_to_async
    from django.db import connections

    def insert(number: int) -> None:
        with connections["plain"].cursor() as cursor:
            cursor.execute("INSERT INTO plain_writes VALUES (%s, %s)", [number, WORD.encode()])

    async def consumer(number: int) -> None:
        for _ in range(WRITES):
            await database_sync_to_async(insert)(number)

    await asyncio.gather(*[consumer(number) for number in range(SOCKETS)])


async def together(lives: list[Any]) -> None:
    """A word of every turn, stored before the next: flush after flush, as fast as it goes."""
    from conversations.live.runner import runner

    for _ in range(WRITES):
        for live in lives:
            live.say(WORD)
        await runner()._flush()
        assert all(live.stored == len(live.text) for live in lives)


async def in_the_product(lives: list[Any]) -> None:
    """The same with the product's own clock: four times a second."""
    for _ in range(WRITES):
        for live in lives:
            live.say(WORD)
        while any(live.stored < len(live.text) for live in lives):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def measured() -> dict[str, float]:
    """Writes a second of each way, medians; run in a process of its own."""
    lives = await _running_turns()
    ways: list[tuple[str, Callable[[Any], Awaitable[None]]]] = [
        ("database_sync_to_async as it comes", a_thread_a_process),
        ("turns of a runner, flush after flush", together),
        ("turns of a runner, every 250 ms", in_the_product),
    ]
    found: dict[str, list[float]] = {name: [] for name, _ in ways}
    for _ in range(RUNS):
        for name, way in ways:
            started = time.perf_counter()
            await way(lives)
            found[name].append(SOCKETS * WRITES / (time.perf_counter() - started))
    for live in lives:
        live.task.cancel()
    return {name: statistics.median(rates) for name, rates in found.items()}


async def _running_turns() -> list[Any]:
    from accounts import services
    from carehelp.database.identity import Principal, acting_as
    from conversations import live
    from conversations.incoming import Incoming
    from conversations.live.runner import runner

    user = (await services.guest({}, ["store_history"], "127.0.0.1")).user
    with acting_as(Principal.patient(user.id)):
        for _ in range(SOCKETS):
            await live.start(Incoming(user.id, "Bonjour"))
    return list(runner().replies.values())


def child() -> int:
    """Sets Django up on the database that the environment names, and prints what it measured."""
    import django

    django.setup()

    from django.db import connections

    plain = {**connections.databases["owner"], "ENGINE": "django.db.backends.postgresql"}
    connections.databases["plain"] = {**plain, "CONN_MAX_AGE": None}
    with connections["owner"].cursor() as cursor:
        cursor.execute("CREATE TABLE plain_writes (number int, content bytea)")
    print(json.dumps(asyncio.run(measured())))
    return 0


def main() -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carehelp.settings")
    django.setup()

    from django.conf import settings

    from carehelp.database import embedded
    from carehelp.tests.proof.site import environment, own_database

    folder = embedded.data_folder(settings.STATE_DIR / "tests")
    server = embedded.ensure_running(folder, durable=False)
    with own_database(server) as urls, tempfile.TemporaryDirectory(dir="/tmp") as place:
        found = asyncio.run(_far(server, environment(_moved(urls, server, place)), Path(place)))
    server.stop()
    baseline = found["database_sync_to_async as it comes"]
    for name, rate in found.items():
        print(f"{name}: {rate:,.0f} writes a second, {rate / baseline:.1f} times")
    return 0


async def _far(server: Any, values: dict[str, str], place: Path) -> dict[str, float]:
    async with far_away(server.socket_dir / f".s.PGSQL.{server.port}", place):
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "benchmarks.writes", "measure"],
            env=values,
            stdout=subprocess.PIPE,
        )
        said, _ = await process.communicate()
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def _moved(urls: dict[str, str], server: Any, place: str) -> dict[str, str]:
    """The same logins through the proxy's socket, which is not the server's own user's."""
    from urllib.parse import quote

    before, after = quote(str(server.socket_dir), safe=""), quote(place, safe="")
    moved = {
        name: url.replace(before, after).split("&requirepeer")[0]
        for name, url in urls.items()
        if name != "ADMIN"
    }
    return moved | {
        "DJANGO_SETTINGS_MODULE": "carehelp.settings",
        "AI_PROVIDERS": "silent=benchmarks.writes.Silent",
        "AI_CHAT": "silent",
        "AI_UNPROVEN_CALLS": "1000",
        "LOG_LEVEL": "ERROR",
        "TURNS_RUNNING": "1000",
        "TURNS_PER_USER": "1000",
    }


if __name__ == "__main__":
    sys.exit(child() if sys.argv[1:] == ["measure"] else main())
