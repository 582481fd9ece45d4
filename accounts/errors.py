"""What can go wrong on purpose with accounts."""

from __future__ import annotations

from carehelp.errors import Conflict, NotSignedIn


class WrongCredentials(NotSignedIn):
    """Deliberately the same for an unknown address, a wrong password and a closed account."""

    code, title = "wrong_credentials", "Wrong e-mail address or password"


class StaffAccount(Conflict):
    code, title = "staff_account", "A clinician's account is closed by an administrator"
