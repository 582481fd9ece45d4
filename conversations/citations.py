"""Whether the source of a number bears out what an answer says under it.

A composed answer's claims are its source's own words, so that is what is asked of them. A model
rewords: of its sentences, most of the words that carry meaning must stand in the sources they cite, and
every number must.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conversations.compose import Composed, own_words
from rag.intent import fold

LEAST = 0.6
"""The share of a claim's longer words that its sources must have, by their first letters."""

STEM = 5
_NUMBERS = re.compile(r"(?:\s*\[\d+\])+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_])|\n+")
_FIGURE = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said, and the numbers of the sources that it is said to rest on."""

    text: str
    numbers: tuple[int, ...]


def claims(answer: str) -> Iterator[Claim]:
    """Each run of text that ends in numbers, from the end of the run before or of the paragraph."""
    for paragraph in answer.split("\n\n"):
        start = 0
        for cited in _NUMBERS.finditer(paragraph):
            numbers = tuple(int(number) for number in re.findall(r"\d+", cited[0]))
            yield Claim(paragraph[start : cited.start()].strip(), numbers)
            start = cited.end()


def not_verbatim(composed: Composed) -> list[Claim]:
    """Claims of a composed answer that are not their source's own words, in its order."""
    sources = [_flat(own_words(passage)) for passage in composed.cited]
    return [
        claim
        for claim in claims(composed.text)
        if len(claim.numbers) != 1
        or not 0 < claim.numbers[0] <= len(sources)
        or _flat(claim.text).removesuffix("…") not in sources[claim.numbers[0] - 1]
    ]


def not_supported(answer: str, sources: Sequence[str]) -> list[Claim]:
    """Sentences of a model's answer that the sources they cite do not bear out."""
    return [
        Claim(sentence, claim.numbers)
        for claim in claims(answer)
        for sentence in _SENTENCE.split(claim.text)
        if sentence and not _supported(sentence, claim.numbers, sources)
    ]


def _supported(sentence: str, numbers: Sequence[int], sources: Sequence[str]) -> bool:
    if not all(0 < number <= len(sources) for number in numbers):
        return False
    rested_on = " ".join(sources[number - 1] for number in numbers)
    if set(_FIGURE.findall(sentence)) - set(_FIGURE.findall(rested_on)):
        return False
    said, known = _stems(sentence), _stems(rested_on)
    return not said or len(said & known) >= LEAST * len(said)


def _stems(text: str) -> set[str]:
    return {word[:STEM] for word in fold(text).split() if len(word) >= STEM - 1}


def _flat(text: str) -> str:
    return " ".join(text.split())
