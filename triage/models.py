"""Rules and emergency contacts as clinicians keep them: what is shipped, edited and signed.

None of it is a patient's. The vocabulary that rules speak in stays in files.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from carehelp.database.access import WRITE, Shared

LEVELS = (
    ("emergency", pgettext_lazy("triage level", "Emergency")),
    ("urgent", pgettext_lazy("triage level", "Urgent, today")),
    ("routine", pgettext_lazy("triage level", "Appointment")),
    ("self_care", pgettext_lazy("triage level", "Self-care")),
)
STATUSES = (("draft", _("Draft")), ("active", _("Active")), ("retired", _("Retired")))
KINDS = (
    ("ambulance", _("Ambulance")),
    ("emergency", _("Emergency number")),
    ("fire", _("Fire brigade")),
    ("police", _("Police")),
    ("information", _("Information line")),
)


class Kept(Shared):
    """What is loaded from files until a clinician makes it theirs.

    `shipped` is the digest of what was last loaded: while it is the digest of what stands here,
    nobody has edited it.
    """

    key = models.SlugField(_("name"), max_length=120, primary_key=True)
    shipped = models.CharField(max_length=64, blank=True, editable=False)
    changed_at = models.DateTimeField(editable=False, db_default=Now())

    class Meta:
        abstract = True

    def save(self, *args: object, **kwargs: object) -> None:
        # The database's clock, whichever process saves.
        self.changed_at = Now()
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return str(self.key)


class Rule(Kept):
    """A triage rule, written as in `fixtures/rules`; level, title and status repeat what it says."""

    desk_rights = ("SELECT", "UPDATE")

    text = models.TextField(_("rule"))
    level = models.CharField(_("level"), max_length=10, choices=LEVELS)
    title = models.TextField(_("title"))
    status = models.CharField(_("status"), max_length=8, choices=STATUSES)
    signed_by = models.TextField(_("signed by"), blank=True)
    signed_on = models.DateField(_("signed on"), null=True, blank=True)

    class Meta:
        db_table = "triage_rule"
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ("key",)


class EmergencyContact(Kept):
    """A number to call, and how far it is to be trusted."""

    desk_rights = WRITE

    name_fr = models.CharField(_("name in French"), max_length=120)
    name_en = models.CharField(_("name in English"), max_length=120)
    name_pcm = models.CharField(_("name in Pidgin"), max_length=120, blank=True)
    phone = models.CharField(_("number"), max_length=40)
    region = models.CharField(
        _("region"), max_length=60, blank=True, help_text=_("Empty: the whole country.")
    )
    hours = models.CharField(_("hours"), max_length=60, blank=True)
    kind = models.CharField(_("kind"), max_length=12, choices=KINDS, default="emergency")
    note = models.TextField(_("note"), blank=True)
    source = models.TextField(_("source"), blank=True)
    verified_at = models.DateField(
        _("verified on"),
        null=True,
        blank=True,
        help_text=_("When somebody called it and was answered."),
    )
    verified_by = models.CharField(_("verified by"), max_length=120, blank=True)
    in_use = models.BooleanField(
        _("in use"), default=True, help_text=_("Not in use: nobody is told to call it.")
    )

    class Meta:
        db_table = "triage_contact"
        verbose_name = _("emergency contact")
        verbose_name_plural = _("emergency contacts")
        ordering = ("region", "key")
