"""Tests of several processes at once, except for those marked `alone`, which measure time or memory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carehelp.database import leases


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Waits until nobody else is inside, or, unless `alone`, until nobody is alone inside.

    Who waits to be alone holds the door, so that the others cannot keep passing it.
    """
    door = leases.take(folder / "door", fcntl.LOCK_EX)
    assert door is not None
    try:
        room = leases.take(folder / "room", fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        assert room is not None
    finally:
        os.close(door)
    try:
        yield
    finally:
        os.close(room)
