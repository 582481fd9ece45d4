"""Rows that are costly to make: made once by each process, and put back for the tests that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

FILLED_BY_MIGRATIONS = ["django_migrations", "django_content_type", "auth_permission"]
TABLES = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind = 'r' AND relnamespace IN ('app'::regnamespace, 'public'::regnamespace)
AND NOT relname = ANY(%s)
"""
# A truncated table gets new files, its indexes too: dear, but nothing of large ones stays behind, nor
# in an index of vectors, whose search would find what is dead before what lives.
TO_TRUNCATE = """
SELECT pg_relation_size(name::regclass) > 65536 OR EXISTS (
    SELECT FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
    JOIN pg_am ON pg_am.oid = relam
    WHERE indrelid = name::regclass AND amname = 'hnsw'
), name FROM unnest(%s::text[]) AS name WHERE pg_relation_size(name::regclass) > 0
"""
SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename), last_value, start_value FROM pg_sequences
WHERE last_value IS NOT NULL
"""


@contextmanager
def above(url: str) -> Iterator[psycopg.Connection]:
    """One transaction of a superuser, whom neither policies nor triggers stop."""
    with psycopg.connect(url) as connection:
        connection.execute("SET search_path = app, public")
        connection.execute("SET session_replication_role = replica")
        yield connection


def empty_tables(url: str) -> None:
    """As after the migrations; waits for whoever still writes."""
    with above(url) as connection:
        tables = [table for (table,) in connection.execute(TABLES, [FILLED_BY_MIGRATIONS])]
        connection.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
        found = connection.execute(TO_TRUNCATE, [tables]).fetchall()
        if large := [table for truncate, table in found if truncate]:
            connection.execute(f"TRUNCATE {', '.join(large)} CASCADE")
        for truncate, table in found:
            if not truncate:
                connection.execute(f"DELETE FROM {table}")
        for sequence, _, start in connection.execute(SEQUENCES).fetchall():
            connection.execute("SELECT setval(%s::regclass, %s, false)", [sequence, start])


@dataclass(frozen=True)
class Rows:
    """Of each table in Postgres's own binary format, and where each sequence stood."""

    tables: dict[str, bytes]
    sequences: list[tuple[str, int]]


@dataclass
class Kept:
    """`url` is a superuser's."""

    url: str
    _made: dict[str, Rows] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], object]) -> None:
        """In empty tables: `make()` the first time, and afterwards the same rows at once."""
        with above(self.url) as connection:
            if name in self._made:
                _put(connection, self._made[name])
            else:
                make()
                self._made[name] = self._take(connection)

    def _take(self, connection: psycopg.Connection) -> Rows:
        tables = {}
        for (table,) in connection.execute(TABLES, [FILLED_BY_MIGRATIONS]).fetchall():
            if connection.execute(f"SELECT FROM {table} LIMIT 1").fetchone() is not None:
                with connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as rows:
                    tables[table] = b"".join(rows)
        return Rows(tables, [row[:2] for row in connection.execute(SEQUENCES)])


def _put(connection: psycopg.Connection, rows: Rows) -> None:
    for table, data in rows.tables.items():
        with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.write(data)
    for sequence, value in rows.sequences:
        connection.execute("SELECT setval(%s::regclass, %s)", [sequence, value])
