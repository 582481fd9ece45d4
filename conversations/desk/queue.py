"""Which cases come first, and what a line of the queue says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Case as SqlCase
from django.db.models import F, IntegerField, Max, Q, QuerySet, Value, When

from accounts.models import User
from conversations.desk import labels
from conversations.models import Case, Conversation
from triage.levels import Level

OPEN = Q(closed_at__isnull=True)
FREE = OPEN & Q(claimed_by__isnull=True)
CLAIMED = OPEN & Q(claimed_by__isnull=False)
CLOSED = Q(closed_at__isnull=False)


def in_order(cases: QuerySet[Case]) -> QuerySet[Case]:
    """Open before closed, the worst level first, nobody's before somebody's, the oldest first;
    closed ones the latest first.
    """
    rank = SqlCase(
        *(When(level=level, then=Value(level.rank)) for level in Level),
        default=Value(0),
        output_field=IntegerField(),
    )
    claimed = SqlCase(When(claimed_by__isnull=True, then=Value(0)), default=Value(1))
    return cases.annotate(rank=rank, claimed=claimed).order_by(
        F("closed_at").desc(nulls_first=True), "-rank", "claimed", "opened_at", "id"
    )


def newest() -> int:
    """The number of the latest case; 0 where there is none."""
    return Case.objects.aggregate(newest=Max("pk"))["newest"] or 0


def since(number: int) -> int:
    """How many cases have been opened after that one, and are nobody's yet."""
    return Case.objects.filter(FREE, pk__gt=number).count()


@dataclass(frozen=True, slots=True)
class Line:
    """A case in the queue. Patient, region and language are empty where it is not readable."""

    id: int
    level: str
    state: str
    opened_at: datetime
    closed_at: datetime | None
    claimed_by: str
    mine: bool
    readable: bool
    rules: list[str]
    patient: str = ""
    region: str = ""
    language: str = ""

    @property
    def level_name(self) -> str:
        return labels.level(self.level)

    @property
    def state_name(self) -> str:
        return str(labels.STATES[self.state])

    @property
    def group(self) -> str:
        return "closed" if self.state == "closed" else "open"


def lines(cases: Iterable[Case], reader: UUID, pseudonyms: Mapping[UUID, UUID]) -> list[Line]:
    """Two more queries however many cases: a join would lose the cases that are not readable."""
    cases = list(cases)
    readable = [case for case in cases if case.readable]
    regions = dict(
        User.objects.filter(pk__in=[case.user_id for case in readable]).values_list("pk", "region")
    )
    languages = dict(
        Conversation.objects.filter(pk__in=[case.conversation_id for case in readable]).values_list(
            "pk", "language"
        )
    )
    return [_line(case, reader, pseudonyms, regions, languages) for case in cases]


def _line(
    case: Case,
    reader: UUID,
    pseudonyms: Mapping[UUID, UUID],
    regions: dict[UUID, str],
    languages: dict[int, str],
) -> Line:
    about = {}
    if case.readable:
        about = {
            "patient": labels.patient(pseudonyms[case.user_id]),
            "region": regions.get(case.user_id, ""),
            "language": labels.language(languages.get(case.conversation_id, "")),
        }
    return Line(
        id=case.pk,
        level=case.level,
        state=state(case),
        opened_at=case.opened_at,
        closed_at=case.closed_at,
        claimed_by=case.claimed_by_name,
        mine=case.claimed_by == reader,
        readable=case.readable,
        rules=[labels.rule(rule_id) for rule_id in case.rules],
        **about,
    )


def state(case: Case) -> str:
    if case.closed_at:
        return "closed"
    return "claimed" if case.claimed_by else "open"
