"""What a clinician may fill in about documents."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from rag.guidance import SourceRef
from rag.models import LANGUAGES
from rag.uploads import Said

AS_WRITTEN = ("", _("As it is written"))


class UploadForm(forms.Form):
    """All but the file may stay empty: what is said here comes before what the file says."""

    file = forms.FileField(
        label=_("File"),
        help_text=_("Markdown, HTML, or a PDF that holds text."),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".md,.markdown,.txt,.html,.htm,.pdf"}),
    )
    topic = forms.SlugField(
        label=_("Topic"),
        max_length=120,
        required=False,
        help_text=_(
            "A document of the same topic and language becomes its next version. Empty: the title."
        ),
        widget=UnfoldAdminTextInputWidget(attrs={"list": "topics", "autocomplete": "off"}),
    )
    language = forms.ChoiceField(
        label=_("Language"),
        choices=(AS_WRITTEN, *LANGUAGES),
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    title = forms.CharField(
        label=_("Title"), max_length=200, required=False, widget=UnfoldAdminTextInputWidget
    )
    publisher = forms.CharField(
        label=_("Published by"), max_length=200, required=False, widget=UnfoldAdminTextInputWidget
    )
    year = forms.IntegerField(
        label=_("Year"),
        min_value=1900,
        max_value=2100,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    url = forms.URLField(
        label=_("Web address"),
        max_length=500,
        required=False,
        assume_scheme="https",
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "url"}),
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if url and not url.startswith(("https://", "http://")):
            raise forms.ValidationError(_("An address begins with https://"))
        return url

    @property
    def said(self) -> Said:
        given = self.cleaned_data
        source = SourceRef("", given["publisher"], given["year"], given["url"])
        return Said(given["topic"], given["language"], given["title"], source)


class QuestionForm(forms.Form):
    question = forms.CharField(
        label=_("A question, as a patient would write it"),
        max_length=1000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )
    asked_in = forms.ChoiceField(
        label=_("Language"),
        choices=(AS_WRITTEN, *LANGUAGES),
        required=False,
        widget=UnfoldAdminSelectWidget,
    )

    @property
    def language(self) -> str:
        return self.cleaned_data["asked_in"] or "auto"
