"""Whether a sign is here and now: negated, past, asked about, supposed, somebody else's, a figure of
speech. Pure.

People type without punctuation, so clauses are guessed from pronouns and conjunctions too. In
doubt a sign is present: a negated word must never hide the danger sign beside it, nor a question
what somebody has.
"""

from __future__ import annotations

from collections.abc import Sequence

from triage.negation import negated
from triage.reader import Found, Hit
from triage.scopes import Scope, scopes
from triage.standings import SPOKEN_OF, Standing
from triage.text import word_set

_ONES_OWN = frozenset({"suicidal"})
_WHO = word_set("who qui wey weh that")
_WRITERS = word_set("i je j")


def judge(found: Found) -> list[tuple[Hit, Standing]]:
    """Every sign with how it stands."""
    words = found.words.words
    around = scopes(found)
    return [(hit, _standing(hit, words, around)) for hit in found.signs]


def _standing(hit: Hit, words: Sequence[str], around: Sequence[Scope]) -> Standing:
    for standing, first, after in around:
        inside = first <= hit.first and hit.after <= after
        touched = first < hit.after and hit.first < after
        begins_within = touched and first > hit.first and standing in SPOKEN_OF
        overlaps = touched and standing is Standing.IDIOM and not _goes_beyond(hit, words, after)
        if (inside or begins_within or overlaps) and not _meant(hit, words, standing, first):
            return standing
    return Standing.NEGATED if negated(hit, words) else Standing.PRESENT


def _goes_beyond(hit: Hit, words: Sequence[str], after: int) -> bool:
    """ "We killed the snake that bit him": the bite is no figure of speech."""
    beyond = words[after : hit.after]
    return not _WHO.isdisjoint(beyond) or (hit.name in _ONES_OWN and bool(beyond))


def _meant(hit: Hit, words: Sequence[str], standing: Standing, first: int) -> bool:
    """ "What if I kill myself": whoever supposes or dreams that is asked about it."""
    if hit.name not in _ONES_OWN or standing not in (Standing.SUPPOSED, Standing.ELSEWHERE):
        return False
    return not _WRITERS.isdisjoint(words[first : hit.after])
