"""Who uses an embedded server, and how it ends: with the last process that holds it.

Every process that uses the server keeps a shared lock on `holders`; the kernel lets go of it
whatever ends that process. The server itself keeps a lock on `running`, inherited by all of its
processes, so it is known to live without trusting a process id that may have been given away again.
`lock` is held while starting and while stopping, never in between.

Run as a script (`leases.py HOME FD`) this file is the watchdog: it waits until nobody holds the
server, even after a `kill -9`, and stops it. So it imports nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STOP_SECONDS = 60.0


def take(path: Path, how: int) -> int | None:
    """An open descriptor that holds the lock, or None where `LOCK_NB` finds it taken.

    The descriptor must be closed by the caller; as long as a copy of it is open anywhere, the lock
    is held.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One at a time starts or stops the server of this home."""
    descriptor = take(home / "lock", fcntl.LOCK_EX)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)


def held(path: Path) -> bool:
    """True while someone holds the lock on `path`."""
    descriptor = take(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def is_alive(home: Path) -> bool:
    """True while any process of the server of this home lives."""
    return held(home / "running")


def postmaster(home: Path) -> list[str]:
    """The lines of postmaster.pid: pid, folder, start, port, sockets, address, memory, status."""
    try:
        return [line.strip() for line in (home / "data/postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return []


def let_go(home: Path, holder: int) -> bool:
    """Give back a hold, and stop the server if it was the last; True when the server is down.

    Call it inside `locked`. The shared lock is turned into an exclusive one rather than released
    first: the watchdog, who waits for just that moment, must not be taken for another holder.
    """
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stop(home)
    except BlockingIOError:
        return False
    finally:
        os.close(holder)
    return True


def stop(home: Path) -> None:
    """Fast shutdown (clients are dropped, everything is written); harsher after a minute."""
    lines = postmaster(home)
    sockets = Path(lines[4]) if len(lines) > 4 and lines[4] else None
    for sign in (signal.SIGINT, signal.SIGQUIT):
        if not is_alive(home):
            break
        if lines:
            with suppress(ProcessLookupError):
                os.kill(int(lines[0]), sign)
        wait_for_end(home, STOP_SECONDS)
    if sockets is not None:
        with suppress(OSError):
            sockets.rmdir()


def wait_for_end(home: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while is_alive(home) and time.monotonic() < deadline:
        time.sleep(0.01)


def watch(home: Path, descriptor: int) -> None:
    """Stop the server once nobody holds it; `descriptor` is the lock that says we watch."""
    while True:
        waiting = take(home / "holders", fcntl.LOCK_EX)
        assert waiting is not None
        # Not kept while waiting for `lock`: whoever starts has that, and waits for this one.
        os.close(waiting)
        with locked(home):
            holder = take(home / "holders", fcntl.LOCK_SH)
            assert holder is not None
            if let_go(home, holder):
                os.close(descriptor)
                return


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch(Path(sys.argv[1]), int(sys.argv[2]))
