"""Emergency contacts: numbers with a date, and how far to trust them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from triage import lines
from triage.language import pick

STALE_AFTER = timedelta(days=365)
_ORDER = ("ambulance", "emergency", "fire", "police", "information")


@dataclass(frozen=True, slots=True)
class Contact:
    """A number to call. `region` is empty where it serves the whole country."""

    key: str
    name: Mapping[str, str]
    phone: str
    region: str = ""
    hours: str = ""
    kind: str = "emergency"
    note: str = ""
    source: str = ""
    verified_at: date | None = None
    verified_by: str = ""

    def stale(self, today: date) -> bool:
        """Never verified, or too long ago to be trusted."""
        return self.verified_at is None or today - self.verified_at > STALE_AFTER

    def as_json(self, language: str, today: date) -> dict[str, Any]:
        return {
            "name": pick(self.name, language),
            "phone": self.phone,
            "region": self.region,
            "hours": self.hours,
            "kind": self.kind,
            "source": self.source,
            "verified_at": self.verified_at.isoformat() if self.verified_at else None,
            "stale": self.stale(today),
        }


def load(path: Path) -> list[Contact]:
    return [Contact(**document) for document in lines.load(path)]


def for_region(contacts: Iterable[Contact], region: str = "") -> list[Contact]:
    """Those that serve the region, its own first, ambulances before information lines."""
    region = region.strip().casefold()
    serving = [c for c in contacts if not c.region or c.region.casefold() == region]
    return sorted(serving, key=lambda c: (not c.region, _ORDER.index(c.kind), c.key))
