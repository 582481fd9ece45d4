"""Which sentences of what was found answer a question that asks for one fact.

A sentence counts by how much of the question's meaning its words carry (words that are rare among
these passages weigh most, words of one line of `rag/data/concepts.yaml` are one word), by whether it
tells the kind of fact that is asked (`rag.kinds`), and by the section it stands in.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rag.kinds import Kind, plain
from rag.language import ignored_words, in_english
from rag.search import Passage

_CONCEPTS = Path(__file__).parent / "data" / "concepts.yaml"
_UNIT = re.compile(r"\n|(?<=[.!?]) +(?=[^\W\d_])")
_ENDINGS = re.compile(r"(?:ements?|ations?|ings?|ents?|ees?|es|ed|er|ez|e|s)$")
LONGEST_STEM = 6

TELLS, IN_PLACE, NAMED, NAMES = 0.3, 0.15, 0.15, 0.3
"""What it is worth that a sentence tells the kind of fact, stands in its section, and has the words of
its topic's name; and what words count where the question has none but that name's."""

SAYS = 0.3
"""The share of the question's weight, apart from the topic's name, that a sentence must carry."""

LEAST = 0.6
"""The score below which no sentence answers."""

OTHER_TOPIC = 0.15
"""What a sentence of the second topic must be better by."""

SURE = 0.9
"""The score from which a sentence shows that its topic was meant, though the search was not sure."""

SECOND = 0.9
"""A second sentence is told if its score is at least this share of the first's."""


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence as it stands in its passage, without what surrounds it."""

    passage: Passage
    text: str
    place: int
    score: float


def units(text: str) -> Iterator[str]:
    """Sentences and lines, each with the space or newline that followed it."""
    start = 0
    for gap in _UNIT.finditer(text):
        yield text[start : gap.end()]
        start = gap.end()
    yield text[start:]


def answering(question: str, kind: Kind, passages: Sequence[Passage], most: int = 2) -> list[Told]:
    """The sentences that answer, best first, at most `most`; empty where none does."""
    if not passages:
        return []
    asked = _meaning(in_english(question))
    topics = list(dict.fromkeys(p.topic for p in passages))
    sentences = [(p, place, unit) for p in passages for place, unit in enumerate(units(p.text))]
    meanings = [_meaning(unit) for _, _, unit in sentences]
    weights = _weights(meanings, asked)
    scored = [
        Told(p, unit.strip(), place, _score(kind, asked, weights, meaning, p, unit, topics))
        for (p, place, unit), meaning in zip(sentences, meanings, strict=True)
        if not unit.rstrip().endswith(":")
    ]
    best = sorted(scored, key=lambda told: -told.score)
    if not best or best[0].score < LEAST:
        return []
    least = max(LEAST, SECOND * best[0].score)
    return [t for t in best[:most] if t.score >= least and t.passage.topic == best[0].passage.topic]


def _score(
    kind: Kind,
    asked: frozenset[str],
    weights: dict[str, float],
    meaning: frozenset[str],
    passage: Passage,
    unit: str,
    topics: Sequence[str],
) -> float:
    tells = bool(kind.told.search(plain(unit)))
    if kind.must and not tells:
        return 0.0
    named = asked & _meaning(passage.title)
    left = asked - named
    said = sum(weights[word] for word in left & meaning)
    whole = sum(weights[word] for word in left)
    score = said / whole if whole else NAMES
    if whole and score < SAYS:
        return 0.0
    place = kind.sections.index(passage.section) if passage.section in kind.sections else None
    score += TELLS * tells + (IN_PLACE / (1 + place) if place is not None else 0)
    score += NAMED * len(named & meaning) / (len(named) or 1)
    return score - OTHER_TOPIC * topics.index(passage.topic)


def _weights(meanings: Sequence[frozenset[str]], asked: frozenset[str]) -> dict[str, float]:
    """The weight of each word that is asked: the rarer among the sentences, the greater; none has 0."""
    having = Counter(word for meaning in meanings for word in meaning & asked)
    total = len(meanings)
    return {word: math.log(1 + total / (1 + having[word])) for word in asked}


def _meaning(text: str) -> frozenset[str]:
    """The concepts and stems that a text's words stand for."""
    words = (word for word in plain(text).split() if len(word) > 1 and word not in _ignored())
    return frozenset(_concept(word) for word in words)


@cache
def _ignored() -> frozenset[str]:
    return frozenset(_data()["ignored"].split()) | frozenset(ignored_words())


@cache
def _concepts() -> re.Pattern[str]:
    """One group for each line, named by its place: sixty expressions a word would take 15 ms."""
    lines = (f"(?P<line_{place}>{line})" for place, line in enumerate(_data()["alike"]))
    return re.compile(rf"(?:{'|'.join(lines)})\Z")


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(_CONCEPTS.read_text(encoding="utf-8"))
    return data


def _concept(word: str) -> str:
    if found := _concepts().match(word):
        return found.lastgroup or ""
    return _ENDINGS.sub("", word)[:LONGEST_STEM] if len(word) > 4 else word.rstrip("s")
