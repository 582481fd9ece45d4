"""Sign-in looks people up before there is an identity: the only caller of the gate's functions.

They are SECURITY DEFINER, owned by the role `carehelp_gate`, and the logins may execute them; the
migration `0002_gate` says what each may see. Everything here is sync: async code calls it through
`carehelp.database.identity.run_as`, with no identity set for the look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections

from carehelp.database.identity import acting_as, login


@dataclass(frozen=True, slots=True)
class Account:
    """What sign-in knows of a user. `password` is a hash, and None except in `by_email`."""

    user_id: UUID
    email: str | None
    full_name: str
    is_active: bool
    is_staff: bool
    is_superuser: bool
    must_change_password: bool
    revoked_before: datetime | None
    fingerprint: str
    password: str | None = None
    save_data: bool = False


def by_email(email: str) -> Account | None:
    row = _before_identity("SELECT * FROM app.account_by_email(%s)", [email])
    return Account(*row) if row else None


def account(user_id: UUID) -> Account | None:
    row = _before_identity("SELECT * FROM app.account(%s)", [user_id])
    return replace(Account(*row[:-1]), save_data=row[-1]) if row else None


def refresh_token_owner(digest: bytes) -> UUID | None:
    return _value(_before_identity("SELECT app.refresh_token_owner(%s)", [digest]))


def redeem_ticket(digest: bytes) -> UUID | None:
    """The user of an unused ticket, which is used by this."""
    return _value(_before_identity("SELECT app.redeem_ticket(%s)", [digest]))


def note_sign_in(user_id: UUID) -> None:
    _before_identity("SELECT app.note_sign_in(%s)", [user_id])


def upgrade_guest(email: str, password: str | None) -> bool:
    """As a guest: take an address and a password hash. False for who is no guest any more."""
    return bool(_value(_row("SELECT app.upgrade_guest(%s, %s)", [email, password])))


def sign_out_everywhere() -> datetime:
    """As a user: every token issued until now is void."""
    revoked: datetime = _value(_row("SELECT app.sign_out_everywhere()", []))
    return revoked


def set_own_password(password: str) -> str:
    """As a clinician: a new hash, nobody's one-time password any more. Returns the fingerprint."""
    fingerprint: str = _value(_row("SELECT app.set_own_password(%s)", [password]))
    return fingerprint


def make_clinician(user_id: UUID, email: str, name: str, password: str) -> bool:
    """As the owner: a new clinician who must change this password. False where the address exists."""
    query = "SELECT app.make_clinician(%s, %s, %s, %s)"
    return bool(_value(_before_identity(query, [user_id, email, name, password])))


def first_clinician() -> str | None:
    """As the owner: the address of the clinician who was made first."""
    return _value(_before_identity("SELECT app.first_clinician()", []))


def _before_identity(query: str, parameters: Sequence[Any]) -> Any:
    with acting_as(None):
        return _row(query, parameters)


def _row(query: str, parameters: Sequence[Any]) -> Any:
    with connections[login()].cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()


def _value(row: Any) -> Any:
    return row[0] if row else None
