"""Everything held about a person, as each table's `ownership.export` names it: one JSON object."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder

from accounts.fields import encrypted_fields
from carehelp.database.identity import Principal, acting_as, run_as
from carehelp.database.owned import PatientOwned, owned_models

BATCH = 200


async def exported(user_id: UUID) -> AsyncIterator[str]:
    """Pieces of the object: a member a table, its rows in the order of their keys.

    Each batch is a transaction of its own: a slow reader holds nothing.
    """
    opening = "{"
    for model in owned_models():
        if not model.ownership.export:
            continue
        yield f'{opening}"{model._meta.db_table}": ['
        async for piece in _rows(model, user_id):
            yield piece
        yield "]"
        opening = ",\n"
    yield "}\n"


async def _rows(model: type[PatientOwned], user_id: UUID) -> AsyncIterator[str]:
    last, comma = None, ""
    while True:
        with acting_as(Principal.patient(user_id)):
            batch = await run_as(_batch, model, user_id, last)
        for _, row in batch:
            yield comma + json.dumps(row, cls=Encoder, ensure_ascii=False)
            comma = ",\n"
        if len(batch) < _at_once(model):
            return
        last = batch[-1][0]


def _batch(
    model: type[PatientOwned], user_id: UUID, after: Any
) -> list[tuple[Any, dict[str, Any]]]:
    rows = model._default_manager.filter(**{model.ownership.owner: user_id}).order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    names = model.ownership.export
    batch = rows[: _at_once(model)]
    return [(row.pk, {name: getattr(row, name) for name in names}) for row in batch]


def _at_once(model: type[PatientOwned]) -> int:
    return min([BATCH, *(field.rows_at_once for field in encrypted_fields(model))])


class Encoder(DjangoJSONEncoder):
    """Recordings and pictures as base64."""

    def default(self, o: Any) -> Any:
        return base64.b64encode(o).decode() if isinstance(o, bytes) else super().default(o)
