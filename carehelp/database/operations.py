"""Migration operations for what Django cannot say about our tables."""

from __future__ import annotations

from django.db import migrations


def in_public(table: str) -> migrations.RunSQL:
    """Move one of the seed's three tables to `public`; all else stays in `app`."""
    return migrations.RunSQL(
        f'ALTER TABLE app."{table}" SET SCHEMA public',
        f'ALTER TABLE public."{table}" SET SCHEMA app',
    )


def cascade(table: str, column: str, parent: str, key: str = "id") -> migrations.RunSQL:
    """Let the database itself erase a row with its parent.

    The model says DO_NOTHING and `db_constraint=False`: Django's own cascade would need to read
    rows that the eraser has no right to see.
    """
    name = f"{table}_{column}_cascade"
    return migrations.RunSQL(
        f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" FOREIGN KEY ("{column}") '
        f'REFERENCES "{parent}" ("{key}") ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE',
        f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"',
    )
