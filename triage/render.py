"""An assessment as clients see it: the triage object of the API."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Literal

from triage.contacts import Contact
from triage.engine import Assessment, Match
from triage.language import pick
from triage.levels import Level

Unsigned = Literal["label", "hide"]

_QUIET_TITLES = {
    "fr": "Message important pour vous",
    "en": "Important message for you",
    "pcm": "Important message for you",
}


def as_json(
    assessment: Assessment,
    language: str | None = None,
    contacts: Iterable[Contact] = (),
    unsigned: Unsigned = "label",
    today: date | None = None,
) -> dict[str, Any]:
    """The triage object. `contacts` stand in it only when there is reason to call somebody.

    With `unsigned="hide"` rules without a clinician's signature still raise the level, but the
    advice shown is the standing advice of the level.
    """
    language = language or assessment.language
    today = today or datetime.now(UTC).date()
    level = assessment.level
    return {
        "level": str(level),
        "conversation_level": str(assessment.conversation_level),
        "color": level.color,
        "subject": assessment.subject,
        "kind": assessment.kind,
        "tone": assessment.tone,
        "language": assessment.language,
        "rules": [_rule(match, language) for match in assessment.matches],
        "advice": advice(assessment, language, unsigned),
        "questions": assessment.questions(language),
        "contacts": [c.as_json(language, today) for c in contacts] if _may_call(level) else [],
    }


def advice(
    assessment: Assessment, language: str | None = None, unsigned: Unsigned = "label"
) -> str:
    """What to do now, in words that may be shown."""
    language = language or assessment.language
    if unsigned == "hide" and assessment.matches and not assessment.speaker.signed:
        situation = assessment.situation_text(language)
        return " ".join(part for part in (situation, _standing(assessment, language)) if part)
    return assessment.advice(language)


def _standing(assessment: Assessment, language: str) -> str:
    """The standing advice of a level, quiet where the rule's tone is."""
    wording = assessment.wording
    quiet = wording.get("quiet", {}).get(assessment.tone, {})
    return pick(quiet or wording["levels"][str(assessment.level)], language)


def _may_call(level: Level) -> bool:
    return level in (Level.EMERGENCY, Level.URGENT, Level.UNKNOWN)


def _rule(match: Match, language: str) -> dict[str, Any]:
    return {
        "id": match.id,
        "title": match.title(language) if match.tone == "plain" else pick(_QUIET_TITLES, language),
        "level": str(match.level),
        "matched": list(match.words),
        "source": _source(match),
        "signed": match.signed,
    }


def _source(match: Match) -> str:
    title, year = match.source.get("title", ""), match.source.get("year")
    return f"{title} ({year})" if year else str(title)
