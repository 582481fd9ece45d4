"""A Django database backend: Postgres, with an identity per transaction.

At the start of every outermost transaction the principal's role and claims are set with
`is_local = true`; a lone autocommit statement is wrapped in a transaction of its own. Nothing is
ever set for a session, so a pooled connection carries nothing over, behind pgbouncer neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.backends.postgresql import base as postgresql

from carehelp.database.identity import IdentityError, Principal, current

_APPLY = "SELECT set_config('request.jwt.claims', %s, true), set_config('role', %s, true)"


class DatabaseWrapper(postgresql.DatabaseWrapper):
    """`BASE_ROLE` in the alias's settings names the role of statements without a principal, for
    hosts that give one login only; without it they run as the login itself.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._transaction_principal: Principal | None = None
        self._base_role: str = self.settings_dict.get("BASE_ROLE") or ""
        self.execute_wrappers.append(self._guard)

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)
        self._transaction_principal = None
        if not autocommit:
            self._apply(current())

    def _apply(self, principal: Principal | None) -> None:
        role = principal.role.value if principal else self._base_role
        if not role:
            return
        claims = principal.claims if principal else ""
        try:
            # One round trip with BEGIN; what either says is known before the block ends.
            with self.wrap_database_errors, self.connection.pipeline():
                self.connection.execute(_APPLY, (claims, role))
        except BaseException:
            # Never go on without the identity.
            self.connection.rollback()
            super()._set_autocommit(True)
            raise
        self._transaction_principal = principal

    def _guard(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        principal = current()
        if self.in_atomic_block:
            if principal != self._transaction_principal:
                raise IdentityError(
                    f"this transaction was opened as {_name(self._transaction_principal)}, "
                    f"and a statement came as {_name(principal)}"
                )
            return execute(sql, params, many, context)
        if not self.get_autocommit() or not (principal or self._base_role):
            return execute(sql, params, many, context)
        with transaction.atomic(using=self.alias):
            return execute(sql, params, many, context)

    def chunked_cursor(self) -> Any:
        """A server-side cursor would outlive the transaction that carries the identity."""
        return super().chunked_cursor() if self.in_atomic_block else self.cursor()


def _name(principal: Principal | None) -> str:
    return principal.role.value if principal else "nobody"
