"""What answers cite: documents in versions, their passages, and what a question would find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.db import connections, transaction
from django.db.models import Case, Count, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from carehelp.database.identity import login
from carehelp.errors import CarehelpError, NotFound
from conversations.desk import access, filters, labels, trial, versions
from conversations.desk.forms import QuestionForm, UploadForm
from conversations.desk.listing import ReadOnly, listed
from rag import catching_up, documents, uploads
from rag.models import Document, Status

P = ParamSpec("P")
T = TypeVar("T")

LIST = "admin:rag_document_changelist"
DOCUMENT = "admin:rag_document_change"
DONE = {
    "sign": gettext_lazy("Signed in your name."),
    "publish": gettext_lazy("Published: answers may cite it from now on."),
    "withdraw": gettext_lazy("Withdrawn: no answer cites it any more."),
}
DRAFTS_FIRST = Case(
    When(status=Status.DRAFT, then=Value(0)), default=Value(1), output_field=IntegerField()
)


class DocumentAdmin(ReadOnly):
    list_filter = (
        filters.VersionFilter,
        filters.SignatureFilter,
        filters.LanguageFilter,
        filters.KindFilter,
    )
    search_fields = ("topic", "title")
    list_per_page = 50
    change_list_template = "admin/documents/list.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name="rag_document_changelist"),
            path("upload/", view(self.upload), name="rag_document_upload"),
            path("try/", view(self.try_question), name="rag_document_try"),
            path("<int:pk>/", view(require_GET(self.document)), name="rag_document_change"),
            path("<int:pk>/<str:step>/", view(require_POST(self.step)), name="document_step"),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        return (
            super()
            .get_queryset(request)
            .annotate(passages=Count("chunks"))
            .order_by(DRAFTS_FIRST, "topic", "language", "-version")
        )

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return [DRAFTS_FIRST, "topic", "language", "-version"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data:
            cl = response.context_data["cl"]
            access.saw_documents(request, [each.pk for each in cl.result_list], "documents")
            response.context_data |= listed(cl, _("Documents")) | {"documents": cl.result_list}
        return response

    def document(self, request: HttpRequest, pk: int) -> HttpResponse:
        document = _found(pk)
        access.saw_documents(request, [document.pk], "document")
        return self._page(request, "document", str(document.title), page=versions.page(document))

    def step(self, request: HttpRequest, pk: int, step: str) -> HttpResponse:
        """Sign, publish or withdraw, and the entry about it: both or neither."""
        document = _found(pk)
        if step not in versions.STEPS:
            raise NotFound
        with transaction.atomic(using=login()):
            done = versions.STEPS[step](document, request.user.full_name or _("A clinician"))
            if done:
                access.saw_documents(request, [document.pk], step)
        if done:
            messages.success(request, DONE[step])
        else:
            messages.error(request, _("Nothing was changed: the document is not as you saw it."))
        if done and step == "publish":
            _awaited(catching_up.start)
        return redirect(DOCUMENT, pk)

    def upload(self, request: HttpRequest) -> HttpResponse:
        form = UploadForm(request.POST or None, request.FILES or None)
        if form.is_valid():
            try:
                return redirect(DOCUMENT, self._take_in(request, form).pk)
            except CarehelpError as error:
                form.add_error("file", versions.problem(error))
        topics = Document.objects.values_list("topic", flat=True).order_by("topic").distinct()
        page = self._page(request, "upload", _("Upload a document"), form=form, topics=list(topics))
        page.status_code = 422 if form.errors else 200
        return page

    def _take_in(self, request: HttpRequest, form: UploadForm) -> Document:
        file = form.cleaned_data["file"]
        offered = _awaited(uploads.read, file.read(), file.name, form.said)
        name = request.user.full_name or _("A clinician")
        with transaction.atomic(using=login()):
            document = documents.offer(
                offered.parsed, name=file.name, by=name, report=offered.report
            )
            access.saw_documents(request, [document.pk], "upload")
        messages.success(request, _("Read. Look at its passages, then sign and publish it."))
        return document

    def try_question(self, request: HttpRequest) -> HttpResponse:
        """A form, not a link: what clinicians try may be what patients wrote."""
        form = QuestionForm(request.POST or None)
        found = None
        if form.is_valid():
            found = _awaited(trial.ask, form.cleaned_data["question"], form.language)
            access.saw_documents(request, found.documents, "try")
        language = labels.language(found.why.language) if found else ""
        return self._page(
            request, "try", _("Try a question"), form=form, found=found, language=language
        )

    def _page(
        self, request: HttpRequest, template: str, title: str, **context: Any
    ) -> TemplateResponse:
        shown = self.admin_site.each_context(request) | {"title": title} | context
        return TemplateResponse(request, f"admin/documents/{template}.html", shown)


def _awaited(work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Wait for async work, holding none of the desk's few connections meanwhile: it may need one."""
    connections[login()].close()
    return async_to_sync(work)(*args, **kwargs)


def _found(pk: int) -> Document:
    document = Document.objects.filter(pk=pk).first()
    if document is None:
        raise NotFound
    return document
