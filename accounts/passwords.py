"""Passwords: argon2id, off the event loop, in a pool that says when it is full.

argon2 takes 19 MiB and some 20 ms of a core; it releases the GIL, so threads do. The admin's sign-in
uses the same pool.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from carehelp.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")

# At two threads, about a second of waiting.
MAX_WAITING = 100


class Argon2Hasher(Argon2PasswordHasher):
    """OWASP's recommended argon2id at 19 MiB: two passes, one lane."""

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1


async def hash_password(password: str) -> str:
    return await asyncio.wrap_future(_submit(_hash, password))


async def check_password(password: str, encoded: str | None) -> bool:
    """Takes as long where there is no password to compare with: nobody learns who has an account."""
    return await asyncio.wrap_future(_submit(_check, password, encoded))


def hash_password_sync(password: str) -> str:
    return _submit(_hash, password).result()


def check_password_sync(password: str, encoded: str | None) -> bool:
    return _submit(_check, password, encoded).result()


def _hash(password: str) -> str:
    hasher = Argon2Hasher()
    encoded: str = hasher.encode(password, hasher.salt())
    return encoded


def _check(password: str, encoded: str | None) -> bool:
    matches: bool = Argon2Hasher().verify(password, encoded or _nobodys())
    return matches and bool(encoded)


@cache
def _nobodys() -> str:
    """The hash of a password that nobody has."""
    return _hash(secrets.token_urlsafe())


class _Pool:
    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(settings.PASSWORD_THREADS, "passwords")
        self.waiting = 0
        self.lock = Lock()

    def join(self) -> None:
        with self.lock:
            if self.waiting >= MAX_WAITING:
                raise Overloaded("Too many people are signing in.", retry_after=3)
            self.waiting += 1

    def leave(self, done: Future[T]) -> None:
        with self.lock:
            self.waiting -= 1


@cache
def _pool() -> _Pool:
    return _Pool()


def _submit(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    pool = _pool()
    pool.join()
    future = pool.threads.submit(work, *args, **kwargs)
    future.add_done_callback(pool.leave)
    return future
