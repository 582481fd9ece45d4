"""What a question would find, why, and the answer that would be composed of it."""

from __future__ import annotations

from dataclasses import dataclass

from conversations.compose import Composed, compose
from rag.explain import Explanation, Hit, explain
from rag.search import LIMIT, RELEVANT, beside, search

PATIENCE_MS = 5000


@dataclass(frozen=True, slots=True)
class Line:
    """A passage that was ranked. `place` is its number among those found, `cited` in the answer."""

    hit: Hit
    place: int | None
    cited: int | None
    relevant: bool


@dataclass(frozen=True, slots=True)
class Trial:
    why: Explanation
    answer: Composed
    lines: list[Line]
    threshold: float = RELEVANT

    @property
    def documents(self) -> list[int]:
        return sorted({line.hit.document for line in self.lines})


async def ask(question: str, language: str) -> Trial:
    why = await explain(question, language=language)
    passages = await search(question, language=why.language, budget_ms=PATIENCE_MS)
    passages += await beside(passages, why.language)
    answer = compose(question, passages, language=why.language)
    places = {passage.id: place for place, passage in enumerate(passages[:LIMIT], 1)}
    cited = {passage.id: number for number, passage in enumerate(answer.cited, 1)}
    lines = [
        Line(hit, places.get(hit.id), cited.get(hit.id), hit.fit >= RELEVANT) for hit in why.hits
    ]
    return Trial(why, answer, lines)
