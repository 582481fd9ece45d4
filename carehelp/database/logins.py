"""Whether a login could do more to patients' data than row level security lets it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.db import connections

from carehelp.errors import CarehelpError

_QUERY = """
SELECT rolname, rolsuper, rolbypassrls, pg_has_role(rolname, relowner, 'MEMBER')
FROM pg_roles, pg_class WHERE rolname = session_user AND pg_class.oid = 'public.users'::regclass
"""


class UnsafeLogin(CarehelpError):
    """Row level security would not hold: Carehelp does not serve through such a login."""

    status, code, title = 500, "unsafe_login", "A database login has too many rights"


def refuse_powerful() -> None:
    """Raise `UnsafeLogin`, naming the variable and why. The database must answer."""
    shared = settings.DATABASE_SINGLE_LOGIN
    variables = {"default": "DATABASE_URL", "desk": "DATABASE_DESK_URL"}
    found = [fault for alias in variables for fault in _faults(alias, variables[alias], shared)]
    if found:
        raise UnsafeLogin(" ".join(found))


def _faults(alias: str, variable: str, shared: bool) -> Iterator[str]:
    login = _attributes(alias)
    said = f"{variable} logs in as {login['name']}, who"
    if login["super"]:
        yield f"{said} is a superuser: row level security would not hold."
    elif login["bypass"]:
        yield f"{said} has BYPASSRLS: row level security would not hold."
    elif login["owner"] and not shared:
        yield f"{said} owns the tables: use the login that prepare_database made."


def _attributes(alias: str) -> Mapping[str, Any]:
    with connections[alias].cursor() as cursor:
        cursor.execute(_QUERY)
        row = cursor.fetchone()
    return dict(zip(("name", "super", "bypass", "owner"), row, strict=True))
