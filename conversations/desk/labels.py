"""What the desk calls things: levels, modes, languages, facts, regions. Words only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.utils.formats import number_format
from django.utils.translation import get_language, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from triage import rulebook
from triage.levels import Level

LEVELS = {
    Level.EMERGENCY: pgettext_lazy("triage level", "Emergency"),
    Level.URGENT: pgettext_lazy("triage level", "Urgent, today"),
    Level.ROUTINE: pgettext_lazy("triage level", "Appointment"),
    Level.UNKNOWN: pgettext_lazy("triage level", "Not understood"),
    Level.SELF_CARE: pgettext_lazy("triage level", "Self-care"),
    Level.NONE: pgettext_lazy("triage level", "No symptom"),
}

KINDS = {
    "case": _("Case"),
    "document": _("Document"),
}

REASONS = {
    "queue": pgettext_lazy("access log", "saw in the queue"),
    "case": pgettext_lazy("access log", "read"),
    "claim": pgettext_lazy("access log", "claimed"),
    "release": pgettext_lazy("access log", "released"),
    "close": pgettext_lazy("access log", "closed"),
    "documents": pgettext_lazy("access log", "saw in the list"),
    "document": pgettext_lazy("access log", "read"),
    "upload": pgettext_lazy("access log", "uploaded"),
    "sign": pgettext_lazy("access log", "signed"),
    "publish": pgettext_lazy("access log", "published"),
    "withdraw": pgettext_lazy("access log", "withdrew"),
    "try": pgettext_lazy("access log", "tried a question that found"),
}

SEXES = {
    "f": _("female"),
    "female": _("female"),
    "m": _("male"),
    "male": _("male"),
}

ROLES = {
    "clinician": _("Clinician"),
}

STATES = {
    "open": _("nobody's yet"),
    "claimed": _("claimed"),
    "closed": _("closed"),
}

WRITERS = {
    "patient": _("Patient"),
    "carehelp": "Carehelp",
    "clinician": _("Clinician"),
}

MODES = {
    "normal": _("answered by a model"),
    "fallback": _("answered by another model, the first was out"),
    "offline": _("composed from guidance, without a model"),
    "rules_only": _("the rule's advice, no model was asked"),
}

STATUSES = {
    "running": _("still being written"),
    "stopped": _("stopped by the patient"),
    "interrupted": _("cut off before its end"),
    "failed": _("failed"),
}

LANGUAGES = {
    "fr": _("French"),
    "en": _("English"),
    "pcm": _("Pidgin"),
    "ff": _("Fulfulde"),
    "ewo": _("Ewondo"),
    "dua": _("Duala"),
    "bas": _("Basaa"),
    "ha": _("Hausa"),
    "sg": _("Sango"),
    "ln": _("Lingala"),
}

SUBJECTS = {
    "self": _("The writer"),
    "child": _("Their child"),
    "son": _("Their son"),
    "daughter": _("Their daughter"),
    "mother": _("Their mother"),
    "father": _("Their father"),
    "partner": _("Their partner"),
    "sibling": _("Their brother or sister"),
    "grandparent": _("Their grandparent"),
    "other": _("Somebody else"),
}

FACTS = {
    "age": _("Age"),
    "sex": _("Sex"),
    "pregnant": _("Pregnant"),
    "gestation_weeks": _("Weeks of pregnancy"),
    "postpartum_days": _("Days after birth"),
    "temperature_c": _("Temperature"),
    "blood_pressure": _("Blood pressure"),
    "systolic": _("Systolic pressure"),
    "diastolic": _("Diastolic pressure"),
    "pulse": _("Pulse"),
    "breaths": _("Breaths a minute"),
    "saturation": _("Oxygen saturation"),
    "glucose_mg_dl": _("Blood glucose"),
    "vomits": _("Vomits a day"),
    "stools": _("Stools a day"),
    "fits": _("Fits"),
    "duration_hours": _("Since"),
}

UNITS = {
    "temperature_c": "°C",
    "blood_pressure": "mmHg",
    "systolic": "mmHg",
    "diastolic": "mmHg",
    "saturation": "%",
    "glucose_mg_dl": "mg/dL",
}


def level(name: str) -> str:
    return str(LEVELS[Level(name)])


def patient(label: UUID) -> str:
    """A short name for a pseudonym, the same in the queue, in a case and in the access log."""
    return f"P-{_short(label)}"


def actor(who: UUID, role: str) -> str:
    return f"{ROLES.get(role, role)} {_short(who)}"


def kind(name: str) -> str:
    return str(KINDS.get(name, name))


def reason(name: str) -> str:
    return str(REASONS.get(name, name))


def _short(uuid: UUID) -> str:
    digits = uuid.hex[:6].upper()
    return f"{digits[:3]}-{digits[3:]}"


def language(code: str) -> str:
    return str(LANGUAGES.get(code, code))


def subject(key: str) -> str:
    return str(SUBJECTS.get(key, key))


def rule(rule_id: str) -> str:
    """Its own title in the reader's language, also where patients get a quiet one; the id of a rule
    that is gone.
    """
    known = rulebook.current().rules.get(rule_id)
    if known is None:
        return rule_id
    return known.title.get((get_language() or "fr")[:2]) or known.title["fr"]


def facts(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What triage knows of a subject, as lines to read: `("Temperature", "39.2 °C")`."""
    joined = _joined(dict(known))
    order = [name for name in FACTS if name in joined]
    rest = sorted(name for name in joined if name not in FACTS)
    return [(str(FACTS.get(name, name)), _value(name, joined[name])) for name in order + rest]


def _joined(known: dict[str, Any]) -> dict[str, Any]:
    """Ages once, in the unit that fits; both halves of a blood pressure together."""
    days = known.pop("age_days", None)
    years = known.pop("age_years", None)
    if days is None and years is not None:
        days = years * 365.25
    if days is not None:
        known["age"] = age(float(days))
    if "systolic" in known and "diastolic" in known:
        upper, lower = known.pop("systolic"), known.pop("diastolic")
        known["blood_pressure"] = f"{_number(upper)}/{_number(lower)}"
    if "sex" in known:
        known["sex"] = SEXES.get(str(known["sex"]).lower(), known["sex"])
    if "duration_hours" in known:
        known["duration_hours"] = duration(float(known["duration_hours"]))
    return known


def _value(name: str, value: Any) -> str:
    match value:
        case bool():
            shown = str(_("yes") if value else _("no"))
        case int() | float():
            shown = _number(value)
        case _:
            shown = str(value)
    return f"{shown} {UNITS[name]}" if name in UNITS else shown


def _number(value: float) -> str:
    """With one decimal where there is one, as the reader's language writes it."""
    rounded = round(value, 1)
    return number_format(rounded, decimal_pos=1 if rounded % 1 else 0)


def age(days: float) -> str:
    """As clinicians say it: days for a newborn, weeks and months for an infant, then years."""
    if days < 14:
        return _days(round(days))
    if days < 90:
        weeks = round(days / 7)
        return ngettext("%(n)d week", "%(n)d weeks", weeks) % {"n": weeks}
    if days < 730:
        months = round(days / 30.44)
        return ngettext("%(n)d month", "%(n)d months", months) % {"n": months}
    years = int(days / 365.25 + 0.01)
    return ngettext("%(n)d year", "%(n)d years", years) % {"n": years}


def duration(hours: float) -> str:
    if hours < 48:
        whole = max(1, round(hours))
        return ngettext("%(n)d hour", "%(n)d hours", whole) % {"n": whole}
    return _days(round(hours / 24))


def _days(days: int) -> str:
    return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}
