"""What is measured and what it is measured against, each a process of its own on one core.

The server under measurement has core 0; the model, the phones and Postgres share the others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from carehelp.tests.proof.site import free_port

ROOT = Path(__file__).resolve().parents[1]
SERVER_CORE = 0
OTHER_CORES = sorted(set(range(os.cpu_count() or 1)) - {SERVER_CORE}) or [0]
START_SECONDS = 180.0


@dataclass
class Server:
    """A running server; `helpers` are its database, where it brought one."""

    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def database_cpu_seconds(self) -> float:
        return sum(
            times.user + times.system
            for child in self.process.children(recursive=True)
            for times in [child.cpu_times()]
        )

    def memory_bytes(self) -> int:
        """What only this process holds."""
        return int(self.process.memory_full_info().uss)

    def settle(self) -> None:
        """All of its threads on the server's core, its database on the others."""
        for thread in self.process.threads():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread.id, {SERVER_CORE})
        for child in self.process.children(recursive=True):
            child.cpu_affinity(OTHER_CORES)


@contextmanager
def running(
    command: list[str], port: int, health: str, environment: Mapping[str, str] = {}
) -> Iterator[Server]:
    """Start it, wait until `health` answers, stop it in the end."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTEST_VERSION"}
    log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
    started = subprocess.Popen(
        command, cwd=ROOT, env=inherited | dict(environment), stdout=log, stderr=log
    )
    try:
        server = Server(port, psutil.Process(started.pid))
        if not _answers(f"{server.url}{health}", started):
            log.seek(0)
            raise RuntimeError(log.read()[-3000:].decode(errors="replace"))
        server.settle()
        yield server
    finally:
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            time.sleep(0.1)
    return False


@contextmanager
def upstream() -> Iterator[Server]:
    port = free_port()
    with running(
        [sys.executable, "-m", "benchmarks.upstream", str(port)], port, "/v1/models"
    ) as up:
        os.sched_setaffinity(up.process.pid, OTHER_CORES)
        yield up


@contextmanager
def proxy(module: str, up: Server, model: str) -> Iterator[Server]:
    """One of `benchmarks.proxies`, in one uvicorn process."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.proxies.{module}:app"]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    command += ["--ws-per-message-deflate", "false"]
    with running(command, port, "/", {"UPSTREAM": f"{up.url}/v1", "MODEL": model}) as server:
        yield server


@contextmanager
def carehelp(environment: Mapping[str, str] = {}) -> Iterator[Server]:
    """The whole product, as `make run` starts it, with an embedded Postgres of its own."""
    state = Path(tempfile.mkdtemp(prefix="carehelp-bench-", dir="/tmp"))
    state.chmod(0o755)
    port = free_port()
    values = {
        "CAREHELP_STATE_DIR": str(state),
        "PORT": str(port),
        "DATABASE_URL": "",
        "CAMEROON_DATA_CSV": str(state / "none.csv"),
        "PATIENT_DATA_PATH": str(state / "none.json"),
        "LOG_LEVEL": "WARNING",
        "TURNS_RUNNING": "5000",
        "TURNS_PER_USER": "5000",
        "AI_CONCURRENCY": "lmstudio=5000",
        "AI_UNPROVEN_CALLS": "5000",
    } | dict(environment)
    command = [sys.executable, "manage.py", "start"]
    try:
        with running(command, port, "/health", values) as server:
            yield server
    finally:
        shutil.rmtree(state, ignore_errors=True)


def guest(server: Server) -> str:
    """A new guest's access token."""
    request = urllib.request.Request(
        f"{server.url}/api/users/guest",
        data=json.dumps({"consents": ["store_history"]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        token: str = json.load(answer)["access_token"]
        return token
