"""Rows that are costly to make: made once by each process, and put back for the tests that follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from django.db import connections

FILLED_BY_MIGRATIONS = {"django_migrations", "django_content_type", "auth_permission"}
_TABLES = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind = 'r' AND relnamespace IN ('app'::regnamespace, 'public'::regnamespace)
AND NOT relname = ANY(%s)
"""
_SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences
WHERE last_value IS NOT NULL
"""


def empty_tables() -> None:
    """As after the migrations; the owner does it."""
    with connections["owner"].cursor() as cursor:
        tables = set(connections["owner"].introspection.table_names(cursor)) - FILLED_BY_MIGRATIONS
        listed = ", ".join(f'"{table}"' for table in sorted(tables))
        cursor.execute(f"TRUNCATE {listed} RESTART IDENTITY CASCADE")


@dataclass(frozen=True)
class Rows:
    """Of each table in Postgres's own binary format, and where each sequence stood."""

    tables: dict[str, bytes]
    sequences: list[tuple[str, int]]


@dataclass
class Kept:
    """`url` is a superuser's, whom neither policies nor triggers stop."""

    url: str
    _made: dict[str, Rows] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], object]) -> None:
        """In empty tables: `make()` the first time, and afterwards the same rows at once."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SET search_path = app, public")
            if name in self._made:
                _put(connection, self._made[name])
            else:
                make()
                self._made[name] = self._take(connection)

    def _take(self, connection: psycopg.Connection) -> Rows:
        tables = {}
        for (table,) in connection.execute(_TABLES, [list(FILLED_BY_MIGRATIONS)]).fetchall():
            if connection.execute(f"SELECT FROM {table} LIMIT 1").fetchone() is not None:
                with connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as rows:
                    tables[table] = b"".join(rows)
        return Rows(tables, connection.execute(_SEQUENCES).fetchall())


def _put(connection: psycopg.Connection, rows: Rows) -> None:
    connection.execute("SET session_replication_role = replica")
    for table, data in rows.tables.items():
        with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.write(data)
    for sequence, value in rows.sequences:
        connection.execute("SELECT setval(%s::regclass, %s)", [sequence, value])
