"""How far a common question is the one that was asked: what their words say beside the vectors.

Three cues, each 0 to 1, are put together with weights that `manage.py learn_likeness` chose
(`rag/data/likeness.yaml`). Nothing here touches the database.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from sys import intern

import yaml

from rag.intent import fold
from rag.language import empty_words

LONGEST_STEM = 6
KEPT = 40_000
"""Texts that are remembered as taken apart: all wordings of the guidance, twice."""

WEIGHTS = Path(__file__).parent / "data" / "likeness.yaml"
_ALIKE = Path(__file__).parent / "data" / "alike.yaml"
_ENDINGS = re.compile(r"(?:ements?|ations?|ings?|ents?|ees?|es|ed|er|ez|e|s)$")
_BAR = re.compile(r"\s*\|\s*")

Cues = dict[str, float]
"""`alike`: likeness of words; `spelt`: of spelling; `closeness`: of vectors, where there are any."""


def meant(cues: Cues) -> float:
    """How likely the common question these speak for, the best of all, is the one that was asked."""
    weights = _weights()["vectors and words" if "closeness" in cues else "words alone"]
    logit = weights["constant"] + sum(weights[name] * cue for name, cue in cues.items())
    return 1 / (1 + math.exp(-logit))


def likeness(question: str, others: Sequence[Sequence[str]]) -> list[Cues]:
    """For each of `others`, given in all its wordings, how alike the best of them is.

    Dice's coefficient of stems, weighted by how few of `others` have them (`alike`), and of three
    letters in a row (`spelt`).
    """
    stems = [[_stems_of_ours(wording) for wording in other] for other in others]
    having = Counter(stem for other in stems for stem in frozenset().union(*other))
    rare = {stem: math.log(1 + len(others) / (1 + count)) for stem, count in having.items()}
    unheard = math.log(1 + len(others))

    def rarity(parts: Iterable[str]) -> float:
        return sum([rare.get(stem, unheard) for stem in parts])

    asked, letters = _stems(question), _letters(question)
    return [
        {
            "alike": _best(asked, said, rarity),
            "spelt": _best(letters, map(_letters_of_ours, other), len),
        }
        for said, other in zip(stems, others, strict=True)
    ]


def _best(
    asked: frozenset[str],
    others: Iterable[Collection[str]],
    weight: Callable[[Collection[str]], float],
) -> float:
    whole = weight(asked)
    return max(
        (2 * weight(asked.intersection(o)) / ((whole + weight(o)) or 1) for o in others),
        default=0.0,
    )


def _letters(text: str) -> frozenset[str]:
    padded = f" {fold(text)} "
    return frozenset(padded[start : start + 3] for start in range(len(padded) - 2))


def _stems(text: str) -> frozenset[str]:
    """The words without endings; for those that ask the same, the name of what they ask."""
    said = fold(text)
    for pattern, name in _alike():
        said = pattern.sub(name, said)
    empty = empty_words()
    return frozenset(_stem(word) for word in said.split() if word not in empty)


# Of the guidance only: what patients ask stays nowhere.
_stems_of_ours = lru_cache(KEPT)(_stems)


@lru_cache(KEPT)
def _letters_of_ours(text: str) -> tuple[str, ...]:
    """A tuple of shared strings: as sets the guidance's would take 70 MiB of every process."""
    return tuple(map(intern, _letters(text)))


def _stem(word: str) -> str:
    if word.isupper():
        return word
    return _ENDINGS.sub("", word)[:LONGEST_STEM] if len(word) > 4 else word.rstrip("s")


@cache
def _alike() -> list[tuple[re.Pattern[str], str]]:
    """What is written in different ways, each with its name in capitals, which no folded word has."""
    data = yaml.safe_load(_ALIKE.read_text(encoding="utf-8"))
    return [
        (re.compile(rf"\b(?:{_BAR.sub('|', words)})\b"), name.upper())
        for name, words in data.items()
    ]


@cache
def _weights() -> Mapping[str, Mapping[str, float]]:
    data: dict[str, dict[str, float]] = yaml.safe_load(WEIGHTS.read_text(encoding="utf-8"))
    return data
