"""The desk's sign-in: Django's admin and sessions, through the gate."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from accounts import gate, passwords
from accounts.emails import normalised
from accounts.models import User


class GateBackend(BaseBackend):
    """For clinicians only: who is no staff has no session here."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        email = normalised(username or kwargs.get("email") or "")
        account = gate.by_email(email) if email else None
        right = passwords.check_password_sync(password or "", account.password if account else None)
        if account is None or not right or not _may_enter(account):
            return None
        gate.note_sign_in(account.user_id)
        return _user(account)

    def get_user(self, user_id: UUID) -> User | None:
        account = gate.account(user_id)
        return _user(account) if account and _may_enter(account) else None


def _may_enter(account: gate.Account) -> bool:
    return account.is_active and account.is_staff


def _user(account: gate.Account) -> User:
    user = User(id=account.user_id, email=account.email, full_name=account.full_name)
    user._state.adding = False
    user._state.db = "desk"
    user.account = account
    return user
