"""Whether a patient's words, voice or picture may leave the country, and why not."""

from __future__ import annotations

from collections.abc import Collection

from ai.ladder import Reason
from triage.engine import Assessment

PURPOSE = "ai_provider_abroad"
MAJORITY_YEARS = 18


def may_go(consents: Collection[str], *readings: Assessment) -> tuple[bool, Reason]:
    """Never for a stated minor, and else with the patient's consent."""
    if any(is_about_a_minor(reading) for reading in readings):
        return False, "minor"
    return PURPOSE in consents, "no_consent"


def is_about_a_minor(reading: Assessment) -> bool:
    age = reading.facts.get("age_years")
    return reading.subject.startswith("child") or (age is not None and age < MAJORITY_YEARS)
