"""Claiming, releasing and closing a case: each one statement, so that of two who click at once one
has it. Every step stands in the access log, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from conversations.models import Case


def claim(case_id: int, clinician: UUID, name: str) -> bool:
    """Whether it is theirs now: it was open, and nobody's."""
    free = _open(case_id).filter(claimed_by__isnull=True)
    return _one(free.update(claimed_by=clinician, claimed_by_name=name, claimed_at=Now()))


def release(case_id: int, clinician: UUID, name: str) -> bool:
    """Whether it was theirs, and is free again."""
    mine = _open(case_id).filter(claimed_by=clinician)
    return _one(mine.update(claimed_by=None, claimed_by_name="", claimed_at=None))


def close(case_id: int, clinician: UUID, name: str) -> bool:
    """Whether it was theirs, and is closed now."""
    return _one(_open(case_id).filter(claimed_by=clinician).update(closed_at=Now()))


STEPS: dict[str, Callable[[int, UUID, str], bool]] = {
    "claim": claim,
    "release": release,
    "close": close,
}


def _open(case_id: int) -> QuerySet[Case]:
    return Case.objects.filter(pk=case_id, closed_at__isnull=True)


def _one(changed: int) -> bool:
    return changed == 1
