"""What `manage.py check --deploy` says of triage: how many rules wait for a clinician's signature."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register
from django.db import Error as DatabaseError

from triage import rulebook
from triage.models import Rule


@register(deploy=True)
def rules_are_signed(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    unsigned, of = _unsigned()
    if not unsigned:
        return []
    hint = (
        "They still raise levels, with the standing advice of the level."
        if settings.UNSIGNED_CONTENT == "hide"
        else "Their advice is served as not clinically reviewed."
    )
    told = f"{unsigned} of {of} active rules wait for a clinician's signature."
    return [Warning(told, hint=f"{hint} Clinicians sign them at the desk.", id="triage.W001")]


def _unsigned() -> tuple[int, int]:
    """As the database says; where it does not answer or holds none, as the files say."""
    try:
        signed = list(Rule.objects.filter(status="active").values_list("signed_by", flat=True))
    except DatabaseError:
        signed = []
    if not signed:
        signed = ["signed" if one.rule.signed else "" for one in rulebook.current().compiled]
    return signed.count(""), len(signed)
