"""A clinician's own new password; the first one was printed for them, and must be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminOwnPasswordChangeForm


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        new = cleaned.get("new_password1")
        if new and new == cleaned.get("old_password"):
            self.add_error("new_password1", _("Choose another password than the one you had."))
        return cleaned
