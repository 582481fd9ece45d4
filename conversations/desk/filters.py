"""How a clinician narrows the queue."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from conversations.desk import labels, queue
from conversations.models import Case


class StateFilter(SimpleListFilter):
    title = _("State")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("free", _("Nobody's yet")),
            ("mine", _("Mine")),
            ("claimed", _("Claimed")),
            ("closed", _("Closed")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        match self.value():
            case "free":
                return queryset.filter(queue.FREE)
            case "mine":
                return queryset.filter(queue.CLAIMED, claimed_by=request.user.pk)
            case "claimed":
                return queryset.filter(queue.CLAIMED)
            case "closed":
                return queryset.filter(queue.CLOSED)
        return queryset


class LevelFilter(SimpleListFilter):
    title = _("Level")
    parameter_name = "level"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        used = set(Case.objects.values_list("level", flat=True).distinct())
        return [(str(level), name) for level, name in labels.LEVELS.items() if level in used]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        return queryset.filter(level=self.value()) if self.value() else queryset


class ReadableFilter(SimpleListFilter):
    title = _("Review")
    parameter_name = "readable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Allowed by the patient")), ("no", _("Not allowed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        return queryset.filter(readable=self.value() == "yes") if self.value() else queryset


class ReaderFilter(SimpleListFilter):
    title = _("Who")
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("me", _("Me")), ("others", _("Others"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "me":
                return queryset.filter(actor=request.user.pk)
            case "others":
                return queryset.exclude(actor=request.user.pk)
        return queryset
