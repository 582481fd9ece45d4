"""What the desk's lists have in common: nothing is changed in them, and Django's forms stay away."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin


class ReadOnly(ModelAdmin):
    """Clinicians look; what they may change has a view of its own."""

    actions = None
    list_display_links = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def listed(cl: Any, title: str) -> dict[str, Any]:
    """What our lists need of Django's `ChangeList`; without `opts` the theme shows the title."""
    return {
        "opts": None,
        "title": title,
        "subtitle": None,
        "filters": [(spec.title, list(spec.choices(cl))) for spec in cl.filter_specs],
        "pages": _pages(cl),
    }


def _pages(cl: Any) -> dict[str, Any]:
    """Links to the pages before and after."""
    number, count = cl.page_num, cl.paginator.num_pages
    return {
        "number": number,
        "count": count,
        "previous": cl.get_query_string({"p": number - 1}) if number > 1 else "",
        "next": cl.get_query_string({"p": number + 1}) if number < count else "",
    }
