"""Triage rules, read and signed, and the numbers to call: clinicians keep both."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.decorators import action

from triage import stored
from triage.lines import BadRule
from triage.models import Rule


class KeptAdmin(ModelAdmin):
    """Who may enter the desk may keep these; what happened stands in Django's own log."""

    list_per_page = 200

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.admin_site.has_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)


class RuleForm(forms.ModelForm):
    """The rule's own text; all else follows from it."""

    class Meta:
        model = Rule
        fields = ("text",)

    def clean_text(self) -> str:
        """A rule that cannot be used is refused, with the reason and the line."""
        text = self.cleaned_data["text"].replace("\r\n", "\n").rstrip() + "\n"
        if text != self.instance.text:
            try:
                self.edited = stored.check(text, self.instance.key)
            except BadRule as bad:
                raise forms.ValidationError(str(bad)) from bad
        return text


class RuleAdmin(KeptAdmin):
    form = RuleForm
    fields = ("key", "level", "status", "signed_by", "signed_on", "text")
    readonly_fields = ("key", "level", "status", "signed_by", "signed_on")
    list_display = ("key", "title", "level", "status", "signed_by", "signed_on")
    list_filter = ("level", "status")
    search_fields = ("key", "title", "text")
    actions = ("sign_chosen",)
    actions_submit_line = ("sign",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        """What was signed was the old text."""
        if "text" in form.changed_data and hasattr(form, "edited"):
            for name, value in stored.summary(form.edited).items():
                setattr(obj, name, value)
            obj.signed_by, obj.signed_on = "", None
        super().save_model(request, obj, form, change)

    @action(description=gettext_lazy("Save and sign in my name"))
    def sign(self, request: HttpRequest, obj: Rule) -> None:
        _sign(request, obj)
        messages.success(request, _("Signed in your name."))

    @action(description=gettext_lazy("Sign the chosen rules in my name"))
    def sign_chosen(self, request: HttpRequest, rules: Any) -> None:
        for rule in rules:
            _sign(request, rule)
            self.log_change(request, rule, [{"changed": {"fields": ["signed_by"]}}])
        messages.success(request, _("Signed in your name."))


def _sign(request: HttpRequest, rule: Rule) -> None:
    user: Any = request.user
    rule.signed_by = user.full_name or str(user.pk)
    rule.signed_on = datetime.now(UTC).date()
    rule.save()


class ContactAdmin(KeptAdmin):
    """A shipped number is taken out of use, not deleted: loading would bring it back."""

    fields = (
        "key", "name_fr", "name_en", "name_pcm", "phone", "region", "hours", "kind", "in_use",
        "note", "source", "verified_at", "verified_by",
    )  # fmt: skip
    list_display = ("name_fr", "phone", "region", "kind", "in_use", "verified_at", "verified_by")
    list_filter = ("kind", "in_use")
    search_fields = ("key", "name_fr", "name_en", "phone", "region")
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("key",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request) and obj is not None and not obj.shipped
