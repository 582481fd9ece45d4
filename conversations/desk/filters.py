"""How a clinician narrows the queue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from conversations.desk import labels, queue
from conversations.models import Case
from rag.models import KINDS, LANGUAGES, Document, Status


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


class VersionFilter(SimpleListFilter):
    """Drafts and what is published, where nothing else is asked for."""

    title = _("Versions")
    parameter_name = "versions"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("drafts", _("Drafts")), ("published", _("Published")), ("all", _("Old ones too"))]

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        first, *others = super().choices(changelist)
        yield first | {"display": _("Drafts and published")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Document]) -> QuerySet[Document]:
        match self.value():
            case "all":
                return queryset
            case "drafts":
                return queryset.filter(status=Status.DRAFT)
            case "published":
                return queryset.filter(status=Status.PUBLISHED)
        return queryset.filter(status__in=(Status.DRAFT, Status.PUBLISHED))


class SignatureFilter(SimpleListFilter):
    title = _("Signature")
    parameter_name = "signed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("Not signed")), ("yes", _("Signed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Document]) -> QuerySet[Document]:
        if not self.value():
            return queryset
        return queryset.filter(signed_by__isnull=self.value() == "no")


class _FieldFilter(SimpleListFilter):
    """By one field with choices."""

    options: Any = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(self.options)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Document]) -> QuerySet[Document]:
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class LanguageFilter(_FieldFilter):
    title, parameter_name, options = _("Language"), "language", LANGUAGES


class KindFilter(_FieldFilter):
    title, parameter_name, options = _("Kind"), "kind", KINDS
