"""The queue, a case, and who has looked: what clinicians see of patients, each view on record."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from accounts import audit
from accounts.models import AccessLog
from carehelp.database.identity import login
from carehelp.errors import NotFound
from conversations.desk import access, claims, filters, library, queue, rules, thread
from conversations.desk.listing import ReadOnly, listed
from conversations.models import Case
from rag.models import Document
from triage.models import EmergencyContact, Rule

CASE = "admin:conversations_case_change"
DONE = {
    "claim": gettext_lazy("This case is yours now. Its patient may be told your name."),
    "release": gettext_lazy("This case is free again."),
    "close": gettext_lazy("This case is closed."),
}


# Rights come from `is_staff` and from Postgres; groups would promise others.
admin.site.unregister(Group)
admin.site.register(Document, library.DocumentAdmin)
admin.site.register(Rule, rules.RuleAdmin)
admin.site.register(EmergencyContact, rules.ContactAdmin)


@admin.register(Case)
class CaseAdmin(ReadOnly):
    list_filter = (filters.StateFilter, filters.LevelFilter, filters.ReadableFilter)
    list_per_page = 50
    change_list_template = "admin/cases/queue.html"

    def get_urls(self) -> list[URLPattern]:
        """Only these: Django's own forms, deletion and history are not for patients' data."""
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name="conversations_case_changelist"),
            path("news/", view(require_GET(self.news)), name="conversations_case_news"),
            path("<int:pk>/", view(require_GET(self.case)), name="conversations_case_change"),
            path("<int:pk>/<str:step>/", view(require_POST(self.step)), name="case_step"),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Case]:
        return queue.in_order(super().get_queryset(request))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data:
            response.context_data |= self._lines(request, response.context_data["cl"])
        return response

    def _lines(self, request: HttpRequest, cl: Any) -> dict[str, Any]:
        cases = list(cl.result_list)
        access.seen(request, cases, "queue")
        lines = queue.lines(cases, request.user.pk, access.pseudonyms(cases))
        return listed(cl, _("Cases")) | {"lines": lines, "newest": queue.newest()}

    def news(self, request: HttpRequest) -> HttpResponse:
        """How many cases came after the newest that the page shows: a number, nobody's data."""
        after = request.GET.get("after", "")
        count = queue.since(int(after)) if after.isdecimal() and len(after) < 19 else 0
        return TemplateResponse(request, "admin/cases/news.html", {"count": count})

    def case(self, request: HttpRequest, pk: int) -> HttpResponse:
        case = Case.objects.filter(pk=pk).first()
        if case is None:
            raise NotFound
        access.seen(request, [case], "case")
        page = thread.page(case, request.user.pk, access.pseudonyms([case]))
        context = self.admin_site.each_context(request)
        context |= {"title": _("Case %(number)d") % {"number": pk}, "page": page}
        return TemplateResponse(request, "admin/cases/case.html", context)

    def step(self, request: HttpRequest, pk: int, step: str) -> HttpResponse:
        """Claim, release or close, and the entry about it: both or neither."""
        if step not in claims.STEPS or not Case.objects.filter(pk=pk).exists():
            raise NotFound
        name = request.user.full_name or _("A clinician")
        with transaction.atomic(using=login()):
            done = claims.STEPS[step](pk, request.user.pk, name)
            if done:
                access.did(request, Case.objects.get(pk=pk), step)
        if done:
            messages.success(request, DONE[step])
        else:
            messages.error(request, _("Nothing was changed: the case is not as you saw it."))
        return redirect(CASE, pk)


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnly):
    """Who saw what. Patients stand here by pseudonym; nothing can be changed, here or in Postgres."""

    list_filter = (filters.ReaderFilter,)
    list_per_page = 100
    ordering = ("-at", "id")
    change_list_template = "admin/access/log.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name="accounts_accesslog_changelist"),
            path("seals/", view(require_GET(self.seals)), name="accounts_accesslog_seals"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data:
            cl = response.context_data["cl"]
            entries = [access.entry(row) for row in cl.result_list]
            response.context_data |= listed(cl, _("Access log")) | {"entries": entries}
        return response

    def seals(self, request: HttpRequest) -> HttpResponse:
        """Reads the whole log, so it comes after the page."""
        return TemplateResponse(
            request, "admin/access/seals.html", {"broken": audit.broken_seals()}
        )
