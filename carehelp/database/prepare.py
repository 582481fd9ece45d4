"""Makes a Postgres ready for Carehelp: roles, logins, database, extensions, schema `app`.

Run by an administrator, who need not be a superuser, on Postgres 15 or later. Running it again
changes nothing. Tables and their grants come later, from migrations run by the owner.

The three logins inherit nothing: what a transaction may do comes from the role that it takes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from carehelp.errors import CarehelpError

MINIMUM_VERSION = 15
# Serialises two starts that prepare the same cluster; the number means nothing.
ADVISORY_LOCK = 0x6361726568656C70

# What takes part, besides the logins. The first three hold the grants on patients' tables.
ROLES = ("authenticated", "clinician", "carehelp_worker", "carehelp_gate")
BACKUP = "carehelp_backup"

# Which role each login may take on. `carehelp_gate` owns the SECURITY DEFINER functions of sign-in;
# the owner creates them in its name, and migrates rows as the worker.
MEMBERSHIPS: dict[str, tuple[str, ...]] = {
    "owner": ("carehelp_gate", "carehelp_worker"),
    "app": ("authenticated", "carehelp_worker"),
    "desk": ("clinician",),
}

EXTENSIONS = ("vector", "pg_trgm", "unaccent")


class CannotPrepare(CarehelpError):
    """This Postgres cannot be made ready; the message says what an administrator can do."""

    code, title = "cannot_prepare", "The database cannot be prepared"


@dataclass(frozen=True)
class Login:
    """A role that logs in; without a password its password is left as it is."""

    name: str
    password: str | None = None


@dataclass
class Prepared:
    """What was found: the server's major version, and what an operator should know."""

    version: int
    warnings: list[str] = field(default_factory=list)


def prepare(
    admin_url: str,
    *,
    dbname: str = "carehelp",
    owner: Login = Login("carehelp_owner"),
    app: Login = Login("carehelp_app"),
    desk: Login = Login("carehelp_desk"),
    single_login: bool = False,
) -> Prepared:
    """Prepare the cluster of `admin_url`, and in it the database `dbname`.

    With `single_login` the administrator's own login owns everything and takes on the other two as
    roles, for hosts that give one login only. Raises `CannotPrepare`.
    """
    with _connected(admin_url) as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        if single_login:
            owner = Login(_value(admin, "SELECT session_user::text"))
        work = _Preparation(admin, {"owner": owner, "app": app, "desk": desk}, single_login)
        work.make_roles()
        work.make_database(dbname)
        with _connected(make_conninfo(admin_url, dbname=dbname)) as inside:
            replace(work, connection=inside).make_schema()
        return work.found


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise CannotPrepare(f"The administrator cannot connect: {error}".strip()) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise CannotPrepare(
            f"The administrator's login lacks a right: {error.diag.message_primary}. "
            "Give DATABASE_ADMIN_URL a login with CREATEROLE and CREATEDB, or a superuser."
        ) from error


def _value(connection: psycopg.Connection[Any], query: LiteralString, *parameters: object) -> Any:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


@dataclass
class _Preparation:
    """One run: a connection as the administrator, and whom to make."""

    connection: psycopg.Connection[Any]
    logins: dict[str, Login]
    single_login: bool
    found: Prepared = field(default_factory=lambda: Prepared(0))

    def __post_init__(self) -> None:
        self.found.version = self.connection.info.server_version // 10000
        if self.found.version < MINIMUM_VERSION:
            raise CannotPrepare(
                f"This is Postgres {self.found.version}; Carehelp needs {MINIMUM_VERSION} or later."
            )

    def run(self, statement: LiteralString, *names: str, **parts: sql.Composable) -> None:
        self.connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names), **parts))

    def rows(self, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, parameters).fetchall()

    def value(self, query: LiteralString, *parameters: object) -> Any:
        return _value(self.connection, query, *parameters)

    @property
    def owner(self) -> str:
        return self.logins["owner"].name

    @property
    def who_logs_in(self) -> list[str]:
        return [self.owner] if self.single_login else [login.name for login in self.logins.values()]

    def make_roles(self) -> None:
        for login in self.logins.values():
            if login.name == self.owner and self.single_login:
                self._warn_of_power(login.name)
            else:
                self._make_login(login)
        for role in ROLES:
            self._make_role(role, {"rolcanlogin": False, "rolbypassrls": False})
        self._make_backup()
        if self.single_login:
            narrower = [login.name for which, login in self.logins.items() if which != "owner"]
            self._make_memberships(self.owner, (*ROLES, *narrower))
        else:
            for which, roles in MEMBERSHIPS.items():
                self._make_memberships(self.logins[which].name, roles)
            self._lend_owner_to_administrator()

    def _warn_of_power(self, name: str) -> None:
        has = self._attributes(name)
        if has["rolsuper"] or has["rolbypassrls"]:
            self.found.warnings.append(
                f"{name} is above row level security: only the roles that it takes on for each "
                "transaction keep patients apart. In production use three logins."
            )

    def _make_login(self, login: Login) -> None:
        wanted = {"rolinherit": False, "rolbypassrls": False}
        self._make_role(login.name, wanted | {"rolcanlogin": not self.single_login})
        if login.password and not self.single_login:
            self._set_password(login.name, login.password)

    def _set_password(self, name: str, password: str) -> None:
        """Sent as a SCRAM verifier: the server's log never sees the password."""
        verifier = self.connection.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        )
        self.run("ALTER ROLE {} PASSWORD {verifier}", name, verifier=sql.Literal(verifier.decode()))

    def _make_role(self, name: str, wanted: dict[str, bool]) -> None:
        """Create it, or change what differs; a superuser is refused rather than changed."""
        if self.value("SELECT 1 FROM pg_roles WHERE rolname = %s", name) is None:
            self.run("CREATE ROLE {} NOLOGIN NOINHERIT", name)
        has = self._attributes(name)
        if has["rolsuper"]:
            raise CannotPrepare(
                f"{name} is a superuser, whom row level security does not hold: use another login."
            )
        changes = [sql.SQL(_CLAUSES[k][v]) for k, v in wanted.items() if has[k] is not v]
        if changes:
            self.run("ALTER ROLE {} {changes}", name, changes=sql.SQL(" ").join(changes))

    def _attributes(self, name: str) -> dict[str, bool]:
        columns = ("rolsuper", "rolcanlogin", "rolinherit", "rolbypassrls")
        query = "SELECT rolsuper, rolcanlogin, rolinherit, rolbypassrls FROM pg_roles"
        row = self.rows(f"{query} WHERE rolname = %s", name)[0]
        return dict(zip(columns, row, strict=True))

    def _make_backup(self) -> None:
        """For `pg_dump --role=carehelp_backup`: FORCE ROW LEVEL SECURITY would stop the owner's."""
        try:
            self._make_role(BACKUP, {"rolcanlogin": False, "rolbypassrls": True})
            self._make_memberships(BACKUP, ("pg_read_all_data",), inherit=True)
        except psycopg.errors.InsufficientPrivilege:
            self.found.warnings.append(
                f"Only a superuser can make {BACKUP} (BYPASSRLS, member of pg_read_all_data): "
                "back up with the host's own means, or as a superuser."
            )

    def _make_memberships(
        self, member: str, roles: Sequence[str], *, inherit: bool = False
    ) -> None:
        """Exactly these of our roles: a login that could take on more would see more."""
        has = {name for (name,) in self.rows(_MEMBER_OF, member)}
        for role in has & set(ROLES) - set(roles):
            self.run("REVOKE {} FROM {}", role, member)
        for role in roles:
            if self.found.version >= 16:
                how = sql.SQL("WITH INHERIT TRUE" if inherit else "WITH INHERIT FALSE, SET TRUE")
                self.run("GRANT {} TO {} {how}", role, member, how=how)
            elif role not in has:
                self.run("GRANT {} TO {}", role, member)
        if inherit and self.found.version < 16:
            self.run("ALTER ROLE {} INHERIT", member)

    def _lend_owner_to_administrator(self) -> None:
        """Who is no superuser must be a member of the owner to create things in its name."""
        admin = self.value("SELECT current_user::text")
        if not self.value("SELECT pg_has_role(%s, 'MEMBER')", self.owner):
            self.run("GRANT {} TO {}", self.owner, admin)

    def make_database(self, dbname: str) -> None:
        if self.value("SELECT 1 FROM pg_database WHERE datname = %s", dbname) is None:
            self.run(
                "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0", dbname, self.owner
            )
            self.run("REVOKE ALL ON DATABASE {} FROM PUBLIC", dbname)
        self._allow("DATABASE", dbname, "CREATE", self.owner)
        for name in self.who_logs_in:
            self._allow("DATABASE", dbname, "CONNECT", name)

    def _allow(
        self, kind: Literal["DATABASE", "SCHEMA"], name: str, right: LiteralString, role: str
    ) -> None:
        """GRANT, unless it has the right already: on a host's own database we may not."""
        has = "SELECT has_database_privilege(%s, %s, %s)"
        if kind == "SCHEMA":
            has = "SELECT has_schema_privilege(%s, %s, %s)"
        if not self.value(has, role, name, right):
            self.run(
                "GRANT {right} ON {kind} {} TO {}",
                name,
                role,
                right=sql.SQL(right),
                kind=sql.SQL(kind),
            )

    def make_schema(self) -> None:
        self._make_extensions()
        self.run("CREATE SCHEMA IF NOT EXISTS app AUTHORIZATION {}", self.owner)
        if self.value("SELECT has_schema_privilege('public', 'public', 'CREATE')"):
            self.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        self._allow("SCHEMA", "public", "CREATE", self.owner)
        # A function's new owner needs CREATE where the function stands.
        self._allow("SCHEMA", "app", "CREATE", "carehelp_gate")
        path = ["app", "public", *self._extension_schemas()]
        for schema in path:
            for role in (*(login.name for login in self.logins.values()), *ROLES):
                self._allow("SCHEMA", schema, "USAGE", role)
        for name in self.who_logs_in:
            self._set_search_path(name, path)

    def _set_search_path(self, login: str, path: list[str]) -> None:
        self.run(
            "ALTER ROLE {} IN DATABASE {} SET search_path = {path}",
            login,
            self.connection.info.dbname,
            path=sql.SQL(", ").join(map(sql.Identifier, path)),
        )

    def _make_extensions(self) -> None:
        """In `public` unless they are there; without `vector`, search is lexical only."""
        for name in EXTENSIONS:
            known = "SELECT installed_version IS NOT NULL FROM pg_available_extensions"
            installed = self.value(f"{known} WHERE name = %s", name)
            if installed:
                continue
            try:
                self.run("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public", name)
            except (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.FeatureNotSupported,
                psycopg.errors.UndefinedFile,
            ) as error:
                if name != "vector":
                    raise
                self.found.warnings.append(
                    f"No extension {name} ({error.diag.message_primary}): search will be lexical "
                    "only until a superuser runs CREATE EXTENSION vector."
                )

    def _extension_schemas(self) -> list[str]:
        """Where a host keeps extensions elsewhere (Supabase: `extensions`)."""
        found = self.rows(_EXTENSION_SCHEMAS, list(EXTENSIONS))
        return [name for (name,) in found if name not in ("app", "public", "pg_catalog")]


_CLAUSES: dict[str, dict[bool, LiteralString]] = {
    "rolcanlogin": {True: "LOGIN", False: "NOLOGIN"},
    "rolinherit": {True: "INHERIT", False: "NOINHERIT"},
    "rolbypassrls": {True: "BYPASSRLS", False: "NOBYPASSRLS"},
}

_MEMBER_OF = """
    SELECT granted.rolname FROM pg_auth_members
    JOIN pg_roles AS granted ON granted.oid = roleid
    JOIN pg_roles AS holder ON holder.oid = member
    WHERE holder.rolname = %s
"""

_EXTENSION_SCHEMAS = """
    SELECT DISTINCT nspname FROM pg_extension
    JOIN pg_namespace ON pg_namespace.oid = extnamespace
    WHERE extname = ANY(%s) ORDER BY nspname
"""


def prepare_urls(urls: Mapping[str, str], admin_url: str) -> Prepared:
    """Prepare what the URLs of `default`, `desk` and `owner` name.

    With `default` alone, it is the single login. Raises `CannotPrepare`.
    """
    if not urls["default"]:
        raise CannotPrepare("Without DATABASE_URL the embedded Postgres prepares itself.")
    dbname = str(_parts(urls["default"]).get("dbname") or "carehelp")
    if not (urls["desk"] and urls["owner"]):
        return prepare(urls["default"], dbname=dbname, single_login=True)
    if not admin_url:
        raise CannotPrepare("Set DATABASE_ADMIN_URL to a login that may create roles.")
    _parts(admin_url)
    return prepare(
        admin_url,
        dbname=dbname,
        owner=_login(urls["owner"], "carehelp_owner"),
        app=_login(urls["default"], "carehelp_app"),
        desk=_login(urls["desk"], "carehelp_desk"),
    )


def _login(url: str, name: str) -> Login:
    """Grants and policies name the logins, so their names are fixed (a pooler may add `.tenant`)."""
    parts = _parts(url)
    given = str(parts.get("user") or "")
    if given.partition(".")[0] != name:
        raise CannotPrepare(f"One of the database URLs logs in as {given!r} and should as {name}.")
    return Login(name, str(parts["password"]) if parts.get("password") else None)


def _parts(url: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise CannotPrepare(f"Not a database URL: {error}".strip()) from None
