"""Who looked at what. A row is written before a page is sent; where that fails, nothing is shown.

Patients stand in it by pseudonym from the start: erasing an account takes the mapping away, and the
log goes on. The worker seals it in batches, each chained by hash to the one before, so that a row
that was changed or removed later shows. Sync; `record_view` and `pseudonyms` run as a clinician.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet

from accounts.models import AccessLog, AccessSeal, Pseudonym
from carehelp.database.identity import login

BATCH = 500
GENESIS = bytes(32)
# Serialises two workers that seal; the number means nothing.
LOCK = 0x6163636573736C6F


def record_view(
    actor: UUID,
    role: str,
    kind: str,
    ids: Sequence[int | UUID],
    reason: str,
    address: str,
    *,
    patients: Iterable[UUID] = (),
) -> None:
    """`actor` was shown these rows of `kind`, of these patients. Raises where it cannot be written."""
    AccessLog.objects.bulk_create(
        [
            AccessLog(
                actor=actor,
                role=role,
                kind=kind,
                ids=[str(each) for each in ids],
                patients=sorted(pseudonyms(set(patients)).values()),
                reason=reason,
                address=address,
            )
        ]
    )


def pseudonyms(user_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Each patient's pseudonym, made when first asked for."""
    wanted = list(user_ids)
    if not wanted:
        return {}
    made = [Pseudonym(user_id=user_id) for user_id in wanted]
    Pseudonym.objects.bulk_create(made, ignore_conflicts=True)
    known = Pseudonym.objects.filter(user_id__in=wanted)
    return dict(known.values_list("user_id", "pseudonym"))


def seal() -> int:
    """As the worker, in a transaction: chain the oldest rows that are not; returns how many."""
    with connections[login()].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    entries = list(_unsealed()[:BATCH])
    if not entries:
        return 0
    last = AccessSeal.objects.order_by("-id").first()
    previous = bytes(last.digest) if last else GENESIS
    chained = AccessSeal.objects.create(
        entries=len(entries), previous=previous, digest=_digest(previous, entries)
    )
    AccessLog.objects.filter(pk__in=[entry.pk for entry in entries]).update(seal=chained)
    return len(entries)


def broken_seals() -> list[int]:
    """As a clinician or the worker: the batches that are no longer what was sealed."""
    seals = list(AccessSeal.objects.order_by("id"))
    rows = AccessLog.objects.filter(seal__isnull=False).order_by("seal_id", "at", "id")
    batches = {key: list(group) for key, group in groupby(rows, lambda row: row.seal_id)}
    expected, broken = GENESIS, []
    for each in seals:
        if bytes(each.digest) != _digest(expected, batches.get(each.pk, [])):
            broken.append(each.pk)
        expected = bytes(each.digest)
    return broken


def _unsealed() -> QuerySet[AccessLog]:
    return AccessLog.objects.filter(seal__isnull=True).order_by("at", "id")


def _digest(previous: bytes, entries: list[AccessLog]) -> bytes:
    lines = [json.dumps(_plain(entry), sort_keys=True) for entry in entries]
    return hashlib.sha256(previous + "\n".join(lines).encode()).digest()


def _plain(entry: AccessLog) -> dict[str, Any]:
    return {
        "id": str(entry.id),
        "actor": str(entry.actor),
        "role": entry.role,
        "kind": entry.kind,
        "ids": entry.ids,
        "patients": [str(patient) for patient in entry.patients],
        "reason": entry.reason,
        "address": entry.address,
        "at": entry.at.timestamp(),
    }
