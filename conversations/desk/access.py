"""Puts on record who sees what, before they see it; where that fails, nothing is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest

from accounts import audit
from accounts.limits import client_address
from accounts.models import AccessLog
from conversations.desk import labels
from conversations.models import Case


def seen(request: HttpRequest, cases: Sequence[Case], reason: str) -> None:
    """Cases that are about to be shown. Raises where the log cannot be written."""
    if cases:
        _record(request, cases, reason)


def did(request: HttpRequest, case: Case, step: str) -> None:
    """A step that was taken with a case; call it in the step's own transaction."""
    _record(request, [case], step)


def saw_documents(request: HttpRequest, ids: Sequence[int], reason: str) -> None:
    """Nobody's data, but what answers cite: who read, tried, signed or published it."""
    audit.record_view(
        actor=request.user.pk,
        role="clinician",
        kind="document",
        ids=ids,
        reason=reason,
        address=client_address(request),
    )


def _record(request: HttpRequest, cases: Sequence[Case], reason: str) -> None:
    audit.record_view(
        actor=request.user.pk,
        role="clinician",
        kind="case",
        ids=[case.pk for case in cases],
        reason=reason,
        address=client_address(request),
        patients=_patients(cases),
    )


def pseudonyms(cases: Sequence[Case]) -> dict[UUID, UUID]:
    """The label of each patient whose case is readable."""
    return audit.pseudonyms(_patients(cases))


def _patients(cases: Sequence[Case]) -> set[UUID]:
    """Whose they are; of a case that is not readable that is not shown, so nobody is logged."""
    return {case.user_id for case in cases if case.readable}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log, to read. `whose` are the patients' labels."""

    at: datetime
    actor: UUID
    who: str
    what: str
    whose: list[str]
    address: str


def entry(row: AccessLog) -> Entry:
    return Entry(
        at=row.at,
        actor=row.actor,
        who=labels.actor(row.actor, row.role),
        what=f"{labels.reason(row.reason)} · {labels.kind(row.kind)} {', '.join(row.ids)}",
        whose=[labels.patient(pseudonym) for pseudonym in row.patients],
        address=row.address,
    )
