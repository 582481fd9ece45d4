"""What is known of each patient of a conversation, from turn to turn. Pure, JSON-serialisable.

Facts and level belong to a subject, never to the conversation. A level only rises, until a
clinician clears it (`State.clear`) or the subject's episode ends: 72 hours of silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from triage.levels import Level

EPISODE = timedelta(hours=72)
_LASTING_FACTS = ("age_years", "age_days", "sex")


@dataclass(frozen=True, slots=True)
class Subject:
    """One patient: signs established in this episode, facts, worst level and the rules behind it.

    `lasting` are the signs that outlive an episode, such as a known disease.
    """

    signs: frozenset[str] = frozenset()
    lasting: frozenset[str] = frozenset()
    facts: Mapping[str, Any] = field(default_factory=dict)
    level: Level = Level.NONE
    rules: tuple[str, ...] = ()
    seen: datetime | None = None

    def at(self, now: datetime) -> Subject:
        """As it stands now: an episode left in silence for 72 hours has ended."""
        if self.seen is None or now - self.seen <= EPISODE:
            return self
        facts = {name: self.facts[name] for name in _LASTING_FACTS if name in self.facts}
        return Subject(signs=self.lasting, lasting=self.lasting, facts=facts, seen=self.seen)

    def to_json(self) -> dict[str, Any]:
        return {
            "signs": sorted(self.signs),
            "lasting": sorted(self.lasting),
            "facts": dict(self.facts),
            "level": str(self.level),
            "rules": list(self.rules),
            "seen": self.seen.isoformat() if self.seen else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Subject:
        return cls(
            signs=frozenset(data.get("signs", ())),
            lasting=frozenset(data.get("lasting", ())),
            facts=dict(data.get("facts", {})),
            level=Level(data.get("level", "none")),
            rules=tuple(data.get("rules", ())),
            seen=datetime.fromisoformat(data["seen"]) if data.get("seen") else None,
        )


@dataclass(frozen=True, slots=True)
class State:
    """All subjects by key, who was spoken of last, and the questions waiting for an answer."""

    subjects: Mapping[str, Subject] = field(default_factory=dict)
    last: str | None = None
    asked: tuple[str, ...] = ()

    def level(self, subject: str) -> Level:
        return self.subjects[subject].level if subject in self.subjects else Level.NONE

    def clear(self, subject: str) -> State:
        """A clinician's decision: this subject's episode is over."""
        if subject not in self.subjects:
            return self
        known = self.subjects[subject]
        ended = Subject(signs=known.lasting, lasting=known.lasting, facts=known.facts)
        return replace(self, subjects={**self.subjects, subject: ended}, asked=())

    def to_json(self) -> dict[str, Any]:
        return {
            "subjects": {key: subject.to_json() for key, subject in self.subjects.items()},
            "last": self.last,
            "asked": list(self.asked),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> State:
        data = data or {}
        subjects = {key: Subject.from_json(one) for key, one in data.get("subjects", {}).items()}
        return cls(subjects, data.get("last"), tuple(data.get("asked", ())))
