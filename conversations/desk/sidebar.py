"""Unfold's sidebar: what is registered, in the order of a clinician's day."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from conversations.desk import queue
from conversations.models import Case

PLACES = (
    ("conversations.case", _("Cases"), "emergency"),
    ("triage.rule", _("Rules"), "rule"),
    ("triage.emergencycontact", _("Contacts"), "call"),
    ("triage.bulletin", _("Bulletins"), "campaign"),
    ("rag.document", _("Documents"), "menu_book"),
    ("accounts.accesslog", _("Access log"), "visibility"),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    registered = {model._meta.label_lower for model in admin.site._registry}
    items = [_item(*place) for place in PLACES if place[0] in registered]
    if admin.site.has_permission(request) and (count := waiting()):
        items[0]["badge"] = count
    return [{"title": None, "items": items}]


def icon(request: HttpRequest) -> str:
    return static("desk/icon.svg")


def account(request: HttpRequest) -> list[dict[str, Any]]:
    return [{"title": _("Change password"), "link": reverse("admin:password_change")}]


def stylesheet(request: HttpRequest) -> str:
    return static("desk/desk.css")


def waiting() -> int:
    """How many open cases are nobody's: a number, no patient's data."""
    return Case.objects.filter(queue.FREE).count()


def _item(label: str, title: Any, icon: str) -> dict[str, Any]:
    link = reverse(f"admin:{label.replace('.', '_')}_changelist")
    return {"title": title, "icon": icon, "link": link}
