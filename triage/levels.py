"""How urgent something is, in six words."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """A triage level. Worse levels have a higher `rank`."""

    EMERGENCY = "emergency"
    URGENT = "urgent"
    ROUTINE = "routine"
    UNKNOWN = "unknown"
    SELF_CARE = "self_care"
    NONE = "none"

    @property
    def rank(self) -> int:
        """0 (none) to 5 (emergency). Not understood stands above self-care: it is not harmless."""
        return _RANKS[self]

    @property
    def color(self) -> str:
        """The colour a client shows for it."""
        return _COLORS[self]


_RANKS = {
    Level.NONE: 0,
    Level.SELF_CARE: 1,
    Level.UNKNOWN: 2,
    Level.ROUTINE: 3,
    Level.URGENT: 4,
    Level.EMERGENCY: 5,
}
_COLORS = {
    Level.EMERGENCY: "red",
    Level.URGENT: "orange",
    Level.ROUTINE: "yellow",
    Level.SELF_CARE: "green",
    Level.NONE: "green",
    Level.UNKNOWN: "grey",
}


def worst(*levels: Level) -> Level:
    """The worst of them; `none` of nothing."""
    return max(levels, key=lambda level: level.rank, default=Level.NONE)
