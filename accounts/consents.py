"""What a person has agreed to: append-only, the newest answer of each purpose is in force.

Sync; runs inside `run_as`, as the person or as whoever may read their consents.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.conf import settings

from accounts.models import Consent

PURPOSES = tuple(Consent.Purpose.values)


def granted(user_id: UUID) -> frozenset[str]:
    """The purposes in force."""
    newest = (
        Consent.objects.filter(user_id=user_id)
        .order_by("purpose", "-id")
        .distinct("purpose")
        .values_list("purpose", "granted")
    )
    return frozenset(purpose for purpose, given in newest if given)


def as_json(agreed: Iterable[str]) -> dict[str, bool]:
    """`{purpose: bool}`, every purpose named."""
    agreed = frozenset(agreed)
    return {purpose: purpose in agreed for purpose in PURPOSES}


def record(user_id: UUID, purpose: str, given: bool, version: str = "") -> Consent:
    return Consent.objects.create(
        user_id=user_id,
        purpose=purpose,
        granted=given,
        version=version or settings.CONSENT_VERSION,
    )


def grant(user_id: UUID, purposes: Iterable[str]) -> None:
    """What was agreed to while registering."""
    for purpose in dict.fromkeys(purposes):
        record(user_id, purpose, True)


def history(user_id: UUID) -> list[Consent]:
    """Every answer, newest first."""
    return list(Consent.objects.filter(user_id=user_id).order_by("-id"))
