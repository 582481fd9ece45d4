"""The admin site that clinicians work in. Opens on the queue; knows no right but `is_staff`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.csrf import csrf_protect
from django.views.i18n import set_language
from unfold.sites import UnfoldAdminSite

from conversations.desk.passwords import OwnPasswordForm

QUEUE = "admin:conversations_case_changelist"
# What somebody may still reach before they have replaced the password that was given to them.
BEFORE_NEW_PASSWORD = ("admin:password_change", "admin:logout", "admin:jsi18n", "admin:language")


class DeskSite(UnfoldAdminSite):
    enable_nav_sidebar = True

    def get_urls(self) -> list[URLPattern]:
        language = path("language/", csrf_protect(set_language), name="language")
        return [language, *super().get_urls()]

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return view(request)

    def index(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return redirect(QUEUE)

    def has_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.is_active and user.is_staff)

    def admin_view(
        self, view: Callable[..., Any], cacheable: bool = False
    ) -> Callable[..., HttpResponseBase]:
        def first_a_new_password(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if self._needs_new_password(request):
                return redirect("admin:password_change")
            return view(request, *args, **kwargs)

        return super().admin_view(first_a_new_password, cacheable)

    def _needs_new_password(self, request: HttpRequest) -> bool:
        user: Any = request.user
        if not (self.has_permission(request) and user.account.must_change_password):
            return False
        return request.path not in [reverse(name) for name in BEFORE_NEW_PASSWORD]

    def get_log_entries(self, request: HttpRequest) -> Any:
        """Django's own log of edits names rows; who saw what stands in the access log."""
        return LogEntry.objects.none()
