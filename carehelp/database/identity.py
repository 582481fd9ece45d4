"""Who the database thinks we are.

A `Principal` is set once, at a door, and carried by a context variable into every task and thread
that the request starts. `carehelp.database.base` turns it into a role and claims at the start of
each transaction (PostgREST's contract, so that the same policies hold on Supabase).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from typing import ParamSpec, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections, transaction

from carehelp.errors import Overloaded, Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Role(StrEnum):
    """The NOLOGIN roles that hold the grants. Never taken from a token."""

    PATIENT = "authenticated"
    CLINICIAN = "clinician"
    WORKER = "carehelp_worker"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom the current work is done for."""

    role: Role
    sub: str

    @classmethod
    def patient(cls, user_id: UUID | str) -> Principal:
        return cls(Role.PATIENT, str(UUID(str(user_id))))

    @classmethod
    def clinician(cls, user_id: UUID | str) -> Principal:
        return cls(Role.CLINICIAN, str(UUID(str(user_id))))

    @classmethod
    def worker(cls) -> Principal:
        """Carehelp itself: writes replies, closes abandoned turns, erases what has expired."""
        return cls(Role.WORKER, str(UUID(int=0)))

    @property
    def claims(self) -> str:
        return json.dumps({"sub": self.sub, "role": self.role.value})


class IdentityError(RuntimeError):
    """The identity was forgotten, or changed inside an open transaction: a bug of ours."""


_principal: ContextVar[Principal | None] = ContextVar("carehelp_principal", default=None)
_login: ContextVar[str] = ContextVar("carehelp_login", default="default")


def current() -> Principal | None:
    return _principal.get()


def require_current() -> Principal:
    """The principal set at the door; raises `IdentityError` where a door forgot to."""
    principal = current()
    if principal is None:
        raise IdentityError("no identity is set: wrap the door in acting_as()")
    return principal


def login() -> str:
    """The database alias, and so the Postgres login, that this work goes through."""
    return _login.get()


@contextmanager
def acting_as(principal: Principal | None) -> Iterator[None]:
    token = _principal.set(principal)
    try:
        yield
    finally:
        _principal.reset(token)


@contextmanager
def through(alias: str) -> Iterator[None]:
    """Use another login: `desk` for clinicians, `owner` for migrations and reference data."""
    token = _login.set(alias)
    try:
        yield
    finally:
        _login.reset(token)


async def run_as(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in a thread, in one short transaction, as the current principal.

    The pooled connection is handed back before this returns, so nothing is held while a model
    thinks. Raises `Overloaded` where too many are waiting already. A cancelled caller does not stop
    the work: it commits or rolls back as a whole.
    """
    queue = _queue()
    if queue.waiting >= settings.DATABASE_MAX_WAITING:
        raise Overloaded("The database is busy.", retry_after=2)
    unit = partial(copy_context().run, _unit_of_work, login(), partial(work, *args, **kwargs))
    queue.waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(queue.threads, unit)
    finally:
        queue.waiting -= 1


def _unit_of_work(alias: str, work: Callable[[], T]) -> T:
    try:
        with transaction.atomic(using=alias):
            return work()
    except (OperationalError, InterfaceError) as error:
        raise Unavailable("The database cannot be reached.", retry_after=5) from error
    finally:
        connections[alias].close()


@dataclass(slots=True)
class _Queue:
    threads: ThreadPoolExecutor
    waiting: int = 0


@cache
def _queue() -> _Queue:
    """As many threads as the pool has connections: more would only wait for one."""
    return _Queue(ThreadPoolExecutor(settings.DATABASE_POOL_SIZE, thread_name_prefix="database"))


class LoginRouter:
    """Sends every query through the login in force; only the owner migrates."""

    def db_for_read(self, model: type, **hints: object) -> str:
        return login()

    def db_for_write(self, model: type, **hints: object) -> str:
        return login()

    def allow_relation(self, obj1: object, obj2: object, **hints: object) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        return db == "owner"
