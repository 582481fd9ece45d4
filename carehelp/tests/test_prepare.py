"""Roles, logins and rights in a Postgres of our own, as an operator's administrator makes them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carehelp.database import embedded
from carehelp.database.prepare import CannotPrepare, Login, prepare, prepare_urls

MEMBERS = """
    SELECT holder.rolname, granted.rolname FROM pg_auth_members
    JOIN pg_roles AS granted ON granted.oid = roleid JOIN pg_roles AS holder ON holder.oid = member
"""


@pytest.fixture(scope="module")
def server() -> Iterator[embedded.Server]:
    folder = Path(tempfile.mkdtemp(prefix="prepare-", dir="/tmp"))
    folder.chmod(0o755)
    started = embedded.ensure_running(folder, durable=False)
    yield started
    started.stop()
    shutil.rmtree(folder)


@pytest.fixture
def admin(server: embedded.Server) -> str:
    return server.url("postgres", "postgres")


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def attributes(admin: str, *columns: str) -> dict[str, tuple[bool, ...]]:
    rows = ask(admin, f"SELECT rolname, {', '.join(columns)} FROM pg_roles WHERE rolname !~ '^pg_'")
    return {name: tuple(values) for name, *values in rows}


def urls_of(server: embedded.Server, dbname: str) -> dict[str, str]:
    logins = {"default": "carehelp_app", "desk": "carehelp_desk", "owner": "carehelp_owner"}
    return {alias: server.url(login, dbname) for alias, login in logins.items()}


def test_only_the_three_logins_log_in_and_none_is_above_row_level_security(admin: str) -> None:
    found = attributes(admin, "rolcanlogin", "rolinherit", "rolsuper", "rolbypassrls")
    for login in ("carehelp_owner", "carehelp_app", "carehelp_desk"):
        assert found[login] == (True, False, False, False), login
    for role in ("authenticated", "clinician", "carehelp_worker", "carehelp_gate"):
        assert found[role] == (False, False, False, False), role
    assert found["carehelp_backup"] == (False, False, False, True)


def test_each_login_may_take_on_its_roles_and_no_other(admin: str) -> None:
    assert set(ask(admin, MEMBERS)) >= {
        ("carehelp_app", "authenticated"),
        ("carehelp_app", "carehelp_worker"),
        ("carehelp_desk", "clinician"),
        ("carehelp_owner", "carehelp_gate"),
    }
    allowed = {"carehelp_app": {"authenticated", "carehelp_worker"}, "carehelp_desk": {"clinician"}}
    for login, roles in allowed.items():
        assert {granted for holder, granted in ask(admin, MEMBERS) if holder == login} == roles


def test_the_web_login_cannot_become_a_clinician(server: embedded.Server) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(server.url("carehelp_app"), "SET ROLE clinician")


def test_preparing_again_changes_nothing_and_repairs_what_was_changed(
    server: embedded.Server, admin: str
) -> None:
    before = attributes(admin, "oid", "rolcanlogin", "rolinherit", "rolbypassrls")
    members = sorted(ask(admin, MEMBERS))
    prepare(admin)
    assert attributes(admin, "oid", "rolcanlogin", "rolinherit", "rolbypassrls") == before
    ask(admin, "GRANT clinician TO carehelp_app WITH INHERIT TRUE")
    ask(admin, "GRANT authenticated TO carehelp_app WITH INHERIT TRUE")
    ask(admin, "ALTER ROLE carehelp_desk BYPASSRLS INHERIT")
    ask(server.url("postgres"), "GRANT CREATE ON SCHEMA public TO PUBLIC")
    prepare(admin)
    assert sorted(ask(admin, MEMBERS)) == members
    assert attributes(admin, "oid", "rolcanlogin", "rolinherit", "rolbypassrls") == before
    inherited = f"{MEMBERS} WHERE inherit_option AND holder.rolname ~ '_(app|desk)$'"
    assert ask(admin, inherited) == []
    public = "SELECT has_schema_privilege('public', 'public', 'CREATE')"
    assert ask(server.url("postgres"), public) == [(False,)]


def test_extensions_and_schema_are_found_without_naming_them(server: embedded.Server) -> None:
    owner = server.url("carehelp_owner")
    ask(owner, "CREATE TABLE found (v vector(3), t text)")
    ask(owner, "CREATE INDEX ON found USING gin (t gin_trgm_ops)")
    assert ask(owner, "SELECT unaccent('fièvre'), 'found'::regclass::text") == [("fievre", "found")]
    assert ask(owner, "SELECT schemaname FROM pg_tables WHERE tablename = 'found'") == [("app",)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(server.url("carehelp_app"), "SELECT * FROM found")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(server.url("carehelp_app"), "CREATE TABLE public.mine (id int)")


def test_the_owner_hands_functions_to_the_gate(server: embedded.Server) -> None:
    owner = server.url("carehelp_owner")
    ask(owner, "CREATE TABLE app.people (id int)")
    ask(owner, "GRANT SELECT ON app.people TO carehelp_gate")
    body = "LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text FROM app.people'"
    ask(owner, f"CREATE FUNCTION app.who() RETURNS text {body}")
    ask(owner, "ALTER FUNCTION app.who() OWNER TO carehelp_gate")
    ask(owner, "INSERT INTO app.people VALUES (1)")
    assert ask(server.url("carehelp_app"), "SELECT app.who()") == [("carehelp_gate",)]


def test_the_backup_role_reads_what_row_level_security_hides(server: embedded.Server) -> None:
    ask(server.url("carehelp_owner"), "CREATE TABLE app.hidden AS SELECT 1 AS one")
    ask(server.url("carehelp_owner"), "ALTER TABLE app.hidden ENABLE ROW LEVEL SECURITY")
    ask(server.url("carehelp_owner"), "ALTER TABLE app.hidden FORCE ROW LEVEL SECURITY")
    assert ask(server.url("carehelp_owner"), "SELECT * FROM app.hidden") == []
    with psycopg.connect(server.url("postgres")) as connection:
        connection.execute("SET ROLE carehelp_backup")
        assert connection.execute("SELECT * FROM app.hidden").fetchall() == [(1,)]


def test_passwords_come_from_the_urls_and_are_stored_as_verifiers(
    server: embedded.Server, admin: str
) -> None:
    urls = urls_of(server, "carehelp")
    urls["desk"] = urls["desk"].replace("carehelp_desk@", "carehelp_desk:p%40ss'w@")
    prepare_urls(urls, admin)
    stored = dict(ask(admin, "SELECT rolname, rolpassword FROM pg_authid"))
    assert stored["carehelp_desk"].startswith("SCRAM-SHA-256$")
    assert stored["carehelp_app"] is None


def test_an_administrator_who_is_no_superuser_suffices(server: embedded.Server, admin: str) -> None:
    """Roles that exist already are the superuser's; hence the grants with ADMIN."""
    ask(admin, "CREATE ROLE boss LOGIN CREATEROLE CREATEDB")
    for role in ("carehelp_owner", "carehelp_app", "carehelp_desk", "carehelp_backup"):
        ask(admin, f"GRANT {role} TO boss WITH ADMIN TRUE")
    for role in ("authenticated", "clinician", "carehelp_worker", "carehelp_gate"):
        ask(admin, f"GRANT {role} TO boss WITH ADMIN TRUE")
    found = prepare(server.url("boss", "postgres"), dbname="bosses")
    assert any("vector" in warning for warning in found.warnings)
    assert ask(server.url("carehelp_owner", "bosses"), "SHOW search_path") == [("app, public",)]
    ask(server.url("carehelp_owner", "bosses"), "CREATE TABLE mine (t text)")


def test_a_single_login_takes_on_every_role(server: embedded.Server, admin: str) -> None:
    ask(admin, "CREATE ROLE solo LOGIN CREATEROLE NOINHERIT")
    for role in ("carehelp_app", "carehelp_desk", "authenticated", "clinician"):
        ask(admin, f"GRANT {role} TO solo WITH ADMIN TRUE")
    for role in ("carehelp_worker", "carehelp_gate", "carehelp_backup"):
        ask(admin, f"GRANT {role} TO solo WITH ADMIN TRUE")
    ask(admin, "CREATE DATABASE solos OWNER solo")
    url = server.url("solo", "solos")
    try:
        prepare_urls({"default": url, "desk": "", "owner": ""}, "")
        for role in ("carehelp_app", "carehelp_desk", "authenticated", "clinician"):
            ask(url, f"SET ROLE {role}")
        ask(url, "CREATE TABLE mine (t text)")
        assert ask(url, "SELECT schemaname FROM pg_tables WHERE tablename='mine'") == [("app",)]
        assert not attributes(admin, "rolcanlogin")["carehelp_app"][0]
    finally:
        prepare(admin)


def test_a_superuser_is_refused_as_a_login(admin: str) -> None:
    with pytest.raises(CannotPrepare, match="superuser"):
        prepare(admin, app=Login("postgres"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"default": ""}, "prepares itself"),
        (
            {"desk": "postgres://someone@localhost/carehelp"},
            "'someone' and should as carehelp_desk",
        ),
        ({"default": "not a url"}, "Not a database URL"),
    ],
)
def test_urls_that_cannot_be_right_are_explained(
    server: embedded.Server, admin: str, change: dict[str, str], says: str
) -> None:
    with pytest.raises(CannotPrepare, match=says):
        prepare_urls(urls_of(server, "carehelp") | change, admin)


def test_an_administrator_who_may_not_or_is_not_there_is_explained(server: embedded.Server) -> None:
    with pytest.raises(CannotPrepare, match="DATABASE_ADMIN_URL"):
        prepare(server.url("carehelp_app", "carehelp"), dbname="never")
    with pytest.raises(CannotPrepare, match="cannot connect"):
        prepare("postgres://postgres@127.0.0.1:1/postgres")
    with pytest.raises(CannotPrepare, match="DATABASE_ADMIN_URL"):
        prepare_urls(urls_of(server, "carehelp"), "")
