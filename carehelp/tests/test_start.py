"""`manage.py start` as a person uses it: a process, a port, Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings

from carehelp.database import embedded, leases
from carehelp.management.commands.start import digest_of


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """A state folder after its first start, which made everything."""
    made = Path(tempfile.mkdtemp(prefix="start-", dir="/tmp"))
    made.chmod(0o755)
    process = start(made, free_port())
    assert "one-time password" in said_until_ready(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def port() -> int:
    return free_port()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def start(state: Path, port: int, *options: str) -> subprocess.Popen[str]:
    ours = {
        "CAREHELP_STATE_DIR": str(state),
        "PORT": str(port),
        "DATABASE_URL": "",
        "EMBEDDINGS": "none",
        "CAMEROON_DATA_CSV": str(state / "none.csv"),
        "PATIENT_DATA_PATH": str(state / "none.json"),
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", "start", *options],
        cwd=settings.BASE_DIR,
        env={k: v for k, v in os.environ.items() if not k.startswith("PY")} | ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def said_until_ready(process: subprocess.Popen[str]) -> str:
    said = ""
    try:
        for line in process.stdout or ():
            said += line
            if "answers at" in line:
                return said
        raise AssertionError(said)
    except BaseException:
        process.kill()
        raise


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_answers_until_it_is_stopped_and_leaves_nothing_running(
    state: Path, port: int, sign: signal.Signals
) -> None:
    process = start(state, port)
    said_until_ready(process)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=30) as answer:
        assert answer.status == 200
    home = embedded.location(embedded.data_folder(state)).home
    assert leases.is_alive(home)
    process.send_signal(sign)
    process.communicate(timeout=30)
    if sign == signal.SIGKILL:
        leases.wait_for_end(home, 10)
    else:
        assert process.returncode == 0
    assert not leases.is_alive(home)


def test_ctrl_c_in_a_terminal_reaches_everybody_and_stops_everything(
    state: Path, port: int
) -> None:
    process = start(state, port, "--workers", "2")
    said_until_ready(process)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=60) as answer:
        assert answer.status == 200
    assert len(of_session(process.pid)) > 2
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in said
    # Python's own resource tracker ends a moment after its parent.
    deadline = time.monotonic() + 10
    while of_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert of_session(process.pid) == []
    assert not leases.is_alive(embedded.location(embedded.data_folder(state)).home)


def of_session(session: int) -> list[str]:
    """The processes that a terminal's window would leave behind."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(stat.with_name("cmdline").read_text())
    return found


def test_no_workers_is_refused(port: int, tmp_path: Path) -> None:
    process = start(tmp_path, port, "--workers", "0")
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "make serve WORKERS=2" in said


def test_the_second_start_does_nothing_twice(state: Path, port: int) -> None:
    process = start(state, port)
    said = said_until_ready(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    for what in ("Loading", "Migrating", "Making", "password"):
        assert what not in said


def test_a_port_in_use_is_said_at_once_and_nothing_is_started(port: int) -> None:
    state = Path(tempfile.mkdtemp(prefix="start-", dir="/tmp"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        process = start(state, port)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"Port {port} of 127.0.0.1 cannot be used" in said
    assert "Traceback" not in said
    assert not (state / "postgres").exists()
    shutil.rmtree(state)


def test_a_digest_tells_a_change_in_a_file_or_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("fièvre")
    seen = {digest_of((tmp_path,))}
    assert digest_of((tmp_path, tmp_path / "missing.csv")) in seen
    (tmp_path / "a.md").write_text("fièvre !")
    seen.add(digest_of((tmp_path,)))
    (tmp_path / "a.md").rename(tmp_path / "b.md")
    seen.add(digest_of((tmp_path,)))
    assert len(seen) == 3
