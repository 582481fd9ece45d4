"""E-mail addresses, in the one spelling that we keep."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import validate_email


def normalised(address: str) -> str:
    """Lower case, the domain as DNS has it; "" for what is no address.

    So the kept spelling is ASCII, and every locale of Postgres agrees on its case.
    """
    local, _, domain = address.strip().rpartition("@")
    try:
        found = f"{local}@{domain.encode('idna').decode()}".lower()
        validate_email(found)
    except (UnicodeError, ValidationError):
        return ""
    return found if found.isascii() and len(found) <= 254 else ""
