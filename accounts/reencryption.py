"""Seal again, with the current key, what an older key sealed; afterwards the older key can go.

Runs through the owner's login, which row level security holds too, so it takes on `carehelp_gate`:
that role may read and write sealed columns, and no login that serves requests is a member of it. What
is done stays done, so it can be stopped and started again at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connections, models, transaction

from accounts.fields import EncryptedTextField, Sealed, current_key_number, encrypted_fields

BATCH = 500


def sealed_columns() -> Iterator[EncryptedTextField]:
    for model in apps.get_models():
        yield from encrypted_fields(model)


def reencrypt(field: EncryptedTextField) -> Iterator[int]:
    """One column, in batches; yields how many rows each batch sealed again."""
    while True:
        with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
            cursor.execute("SET LOCAL ROLE carehelp_gate")
            rows = _older(cursor, field)
            cursor.executemany(_UPDATE.format(**_names(field)), [_again(field, *r) for r in rows])
            cursor.execute("RESET ROLE")
        if not rows:
            return
        yield len(rows)


def _older(cursor: Any, field: EncryptedTextField) -> list[tuple[Any, ...]]:
    at_once = min(BATCH, field.rows_at_once)
    cursor.execute(_SELECT.format(**_names(field)), [current_key_number(), at_once])
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _again(
    field: EncryptedTextField, pk: Any, uid: Any, user_id: Any, blob: bytes
) -> tuple[Any, ...]:
    row = field.model(uid=uid, user_id=user_id)
    return field.seal(field.open(Sealed(blob), row), row), pk


def _names(field: EncryptedTextField) -> dict[str, str]:
    meta = field.model._meta
    pk: models.Field[Any, Any] = meta.pk  # type: ignore[assignment]
    return {"table": meta.db_table, "column": field.column, "pk": str(pk.column)}


_SELECT = """
SELECT "{pk}", uid, user_id, "{column}" FROM "{table}"
WHERE get_byte("{column}", 1) <> %s ORDER BY "{pk}" LIMIT %s FOR UPDATE
"""
_UPDATE = """UPDATE "{table}" SET "{column}" = %s WHERE "{pk}" = %s"""
