"""The tests' Postgres: the embedded one, a database a run, the logins of production.

`database` gives a test empty tables; `as_owner` lets it load reference data. pytest-django's own
`db` is not used: it would connect as an owner, and open transactions before there is an identity.

Workers (`pytest -n 2`) share no server and no folder: see TESTING in carehelp.settings.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AbstractContextManager

import httpx
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from carehelp.database import embedded
from carehelp.database.identity import through
from carehelp.database.prepare import prepare
from carehelp.tests import kept, workers
from carehelp.tests.people import SignUp


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Outside of everything, so that no test's time-out counts the waiting."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    alone = item.get_closest_marker("alone") is not None
    with workers.turn(settings.STATE_DIR.parent, alone=alone):
        return (yield)


@pytest.fixture(scope="session")
def postgres() -> Iterator[embedded.Server]:
    server = embedded.ensure_running(embedded.data_folder(settings.STATE_DIR), durable=False)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated(postgres: embedded.Server, django_db_blocker: object) -> Iterator[None]:
    """A fresh database, migrated by the owner; dropped at the end."""
    name = f"test_{os.getpid()}"
    admin = postgres.url(embedded.SUPERUSER, embedded.SUPERUSER)
    prepare(admin, dbname=name)
    for alias in ("default", "desk", "owner"):
        connections.databases[alias]["NAME"] = name
        connections[alias].settings_dict["NAME"] = name
    with django_db_blocker.unblock():
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        yield
        close_pools()
    drop(admin, name)


def close_pools() -> None:
    for alias in ("default", "desk", "owner"):
        connections[alias].close()
        if alias != "owner":
            connections[alias].close_pool()


def drop(admin: str, name: str) -> None:
    import psycopg

    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def above(postgres: embedded.Server, migrated: None) -> str:
    """The URL of the tests' database, above row level security."""
    return postgres.url(embedded.SUPERUSER, connections.databases["default"]["NAME"])


@pytest.fixture
def database(above: str) -> Iterator[None]:
    """Empty tables before the test; what it leaves is gone after it, also from memory."""
    from rag import vectors

    yield
    vectors.forget()
    kept.empty_tables(above)


@pytest.fixture
def as_owner(database: None) -> AbstractContextManager[None]:
    """`with as_owner:` goes through the owner's login, which loads reference data."""
    return through("owner")


@pytest.fixture
async def client(database: None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the whole application, in process."""
    from carehelp.asgi import application

    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


@pytest.fixture
def sign_up(client: httpx.AsyncClient) -> SignUp:
    """`await sign_up("store_history")` makes a guest who agreed to that, and returns headers."""

    async def make(*consents: str) -> dict[str, str]:
        answer = await client.post("/api/users/guest", json={"consents": list(consents)})
        assert answer.status_code == 201, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    return make


@pytest.fixture(scope="session")
def made_once(above: str) -> kept.Kept:
    """Rows that several tests begin with."""
    return kept.Kept(above)


@pytest.fixture
def guidance(as_owner: AbstractContextManager[None], made_once: kept.Kept) -> None:
    """Our own guidance on malaria and fever, ingested as an operator would."""

    def ingest() -> None:
        for name in ("malaria.fr.md", "malaria.en.md", "fever.fr.md", "fever.en.md"):
            call_command("ingest", str(settings.GUIDANCE_DIR / name), verbosity=0)

    with as_owner:
        made_once.once("guidance", ingest)


@pytest.fixture
def all_guidance(as_owner: AbstractContextManager[None], made_once: kept.Kept) -> None:
    """All of our own guidance, with the vectors that it ships with."""
    from rag.ingest import ingest

    def whole() -> None:
        assert not ingest([settings.GUIDANCE_DIR], embed=False).problems

    with as_owner:
        made_once.once("all guidance", whole)
