"""How alike a question is to others, by their words: rare words weigh most, question words count."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from rag.intent import fold
from rag.language import empty_words

LONGEST_STEM = 6
_ENDINGS = re.compile(r"(?:ements?|ations?|ings?|ents?|ees?|es|ed|er|ez|e|s)$")


def likeness(
    question: str, others: Sequence[Sequence[str]], names: Sequence[str] = ()
) -> list[float]:
    """For each of `others`, given in all its wordings, how alike the best of them is: 0 to 1.

    Dice's coefficient of stems, weighted by how few of `others` have them. `names` has for each the
    words by which the question names its topic: they do not count, unless nothing else is asked.
    """
    asked = _stems(question)
    wordings = [[_stems(wording) for wording in other] for other in others]
    having = Counter(stem for other in wordings for stem in frozenset().union(*other))

    def weight(stems: frozenset[str]) -> float:
        return sum(math.log(1 + len(others) / (1 + having[stem])) for stem in stems)

    def alike(other: Sequence[frozenset[str]], name: frozenset[str]) -> float:
        counting = asked - name or asked
        said = [wording - (asked - counting) for wording in other]
        whole = weight(counting)
        return max((2 * weight(counting & w) / ((whole + weight(w)) or 1) for w in said), default=0)

    named = [_stems(name) for name in names] or [frozenset[str]()] * len(others)
    return [alike(other, name) for other, name in zip(wordings, named, strict=True)]


def _stems(text: str) -> frozenset[str]:
    empty = empty_words()
    words = (word for word in fold(text).split() if word not in empty)
    return frozenset(
        _ENDINGS.sub("", w)[:LONGEST_STEM] if len(w) > 4 else w.rstrip("s") for w in words
    )
