"""Makes the database agree with what the models declare: policies and grants.

Runs after every `migrate`, as the owner, and again does nothing: each table carries the digest of
its declaration in a comment. Between a migration and this step nobody has any right on a new table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

from django.apps import apps
from django.db import connections, models

from carehelp.database.owned import ALL, Grants, Ownership, PatientOwned, owned_models

APP = ("carehelp_app", "authenticated", "carehelp_worker")
DESK = ("carehelp_desk", "clinician")
READ = ("SELECT",)
WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")

# Tables of Django and of other packages, by name: what the patients' side and the desk may do.
THIRD_PARTY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "django_migrations": (READ, READ),
    "django_content_type": (READ, READ),
    "django_session": ((), WRITE),
    "django_admin_log": ((), WRITE),
    "axes_accessattempt": ((), WRITE),
    "axes_accessattemptexpiration": ((), WRITE),
    "axes_accesslog": ((), WRITE),
    "axes_accessfailurelog": ((), WRITE),
}


class Shared(models.Model):
    """Base of tables without patients' data: what the patients' side and the desk may do.

    They stand outside row level security: `@@` is not leakproof, so a policy would keep full-text
    indexes from being used.
    """

    app_rights: ClassVar[tuple[str, ...]] = READ
    desk_rights: ClassVar[tuple[str, ...]] = READ

    class Meta:
        abstract = True


def apply(alias: str = "owner") -> None:
    """Create or refresh every policy and grant; idempotent."""
    with connections[alias].cursor() as cursor:
        tables = set(connections[alias].introspection.table_names(cursor))
        for table, statements in _declarations():
            if table in tables:
                _apply_once(cursor, table, statements)


def _declarations() -> Iterator[tuple[str, list[str]]]:
    for owned in owned_models():
        yield owned._meta.db_table, list(owned_statements(owned))
    for model in apps.get_models(include_auto_created=True):
        if issubclass(model, Shared):
            yield (
                model._meta.db_table,
                list(shared_statements(model._meta.db_table, model.app_rights, model.desk_rights)),
            )
    for table, (app, desk) in THIRD_PARTY.items():
        yield table, list(shared_statements(table, app, desk))


def _apply_once(cursor: Any, table: str, statements: list[str]) -> None:
    digest = "access " + hashlib.sha256("\n".join(statements).encode()).hexdigest()
    cursor.execute("SELECT obj_description(%s::regclass, 'pg_class')", [table])
    if cursor.fetchone()[0] == digest:
        return
    for policy in _policies_of(cursor, table):
        cursor.execute(f'DROP POLICY "{policy}" ON "{table}"')
    for statement in statements:
        cursor.execute(statement)
    cursor.execute(f"COMMENT ON TABLE \"{table}\" IS '{digest}'")


def _policies_of(cursor: Any, table: str) -> list[str]:
    cursor.execute("SELECT polname FROM pg_policy WHERE polrelid = %s::regclass", [table])
    return [name for (name,) in cursor.fetchall()]


def owned_statements(model: type[PatientOwned]) -> Iterator[str]:
    """SQL that keeps the rows of one table of patients' data apart."""
    table, ownership = model._meta.db_table, model.ownership
    yield f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY'
    yield f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY'
    yield from _revoke(table, [*APP, *DESK, "carehelp_gate"])
    for role, grants in ownership.roles.items():
        if role == "carehelp_gate":
            grants = _with_sealed_columns(model, grants)
        yield from _grant(table, role, grants)
        yield from _policies(table, role, grants, ownership)


def _with_sealed_columns(model: type[PatientOwned], grants: Grants) -> Grants:
    """The gate's role also seals texts again when keys rotate (`manage.py reencrypt`)."""
    sealed = tuple(f.column for f in model._meta.fields if getattr(f, "sealed", False))
    if not sealed:
        return grants
    read = (str(model._meta.pk.column), "uid", "user_id", *sealed)
    return replace(
        grants,
        select=grants.select
        if grants.select == ALL
        else tuple(dict.fromkeys(grants.select + read)),
        update=tuple(dict.fromkeys(grants.update + sealed)),
    )


def shared_statements(table: str, app: Iterable[str], desk: Iterable[str]) -> Iterator[str]:
    """SQL for a table without patients' data."""
    yield from _revoke(table, [*APP, *DESK])
    for rights, roles in ((tuple(app), APP), (tuple(desk), DESK)):
        if rights:
            yield f'GRANT {", ".join(rights)} ON "{table}" TO {", ".join(roles)}'


def _revoke(table: str, roles: Iterable[str]) -> Iterator[str]:
    yield f'REVOKE ALL ON "{table}" FROM PUBLIC, {", ".join(roles)}'


def _grant(table: str, role: str, grants: Grants) -> Iterator[str]:
    for right, columns in _rights(grants):
        listed = "" if columns == ALL else "(" + ", ".join(f'"{c}"' for c in columns) + ")"
        yield f'GRANT {right} {listed} ON "{table}" TO {role}'
    if grants.delete:
        yield f'GRANT DELETE ON "{table}" TO {role}'


def _rights(grants: Grants) -> list[tuple[str, tuple[str, ...]]]:
    asked = (("SELECT", grants.select), ("INSERT", grants.insert), ("UPDATE", grants.update))
    return [(right, columns) for right, columns in asked if columns]


def _policies(table: str, role: str, grants: Grants, ownership: Ownership) -> Iterator[str]:
    own = f"{ownership.owner} = (SELECT app.uid())" if role == "authenticated" else ""
    parent = _parent_is_theirs(ownership) if own else ""
    seen = _and(own, grants.where)
    added = _and(own, parent, grants.insert_check)
    changed_from, changed_to = _and(own, grants.update_where), _and(own, grants.update_check)
    for command, wanted, clauses in (
        ("SELECT", grants.select, f"USING ({seen})"),
        ("INSERT", grants.insert, f"WITH CHECK ({added})"),
        ("UPDATE", grants.update, f"USING ({changed_from}) WITH CHECK ({changed_to})"),
        ("DELETE", grants.delete, f"USING ({seen})"),
    ):
        if wanted:
            name = f"{role}_{command.lower()}"
            yield f'CREATE POLICY "{name}" ON "{table}" FOR {command} TO {role} {clauses}'


def _parent_is_theirs(ownership: Ownership) -> str:
    if ownership.parent is None:
        return ""
    column, table = ownership.parent
    return (
        f"({column} IS NULL OR EXISTS (SELECT 1 FROM {table} AS parent "
        f"WHERE parent.id = {column} AND parent.user_id = (SELECT app.uid())))"
    )


def _and(*conditions: str) -> str:
    return " AND ".join(f"({c})" for c in conditions if c) or "true"
