"""What kind of fact a question asks for: how long, how many, at what age, whether, where…

`rag/data/kinds.yaml` says by which words each is asked and told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from rag.intent import fold, sections_asked

_DATA = Path(__file__).parent / "data" / "kinds.yaml"
_BAR = re.compile(r"\s*\|\s*")
_DECIMAL = re.compile(r"(?<=\d)[.,](?=\d)")
GUIDED = ("prevention", "overview", "when_to_go", "signs")
"""Sections that answer as a whole when asked for; the first two only who asks what or which."""

FACTS = {"cost", "how_often", "how_long", "how_many"}
WAY = "way"


@dataclass(frozen=True, slots=True)
class Kind:
    """`must`: a sentence that does not match `told` tells nothing of it."""

    name: str
    asked: re.Pattern[str]
    told: re.Pattern[str]
    sections: tuple[str, ...]
    lacking: dict[str, str]
    must: bool


@cache
def _kinds() -> tuple[Kind, ...]:
    data = yaml.safe_load(_DATA.read_text(encoding="utf-8"))
    numbers, times = (f"(?:{_BAR.sub('|', data[name])})" for name in ("numbers", "times"))
    span = rf"{numbers} (?:(?:a|to|or|ou|et|and) {numbers} )?(?:\w+ )?{times}"

    def pattern(words: str) -> re.Pattern[str]:
        filled = _BAR.sub("|", words).replace("{n}", numbers).replace("{time}", times)
        return re.compile(rf"\b(?:{filled.replace('{span}', span)})\b" if words else "")

    return tuple(
        Kind(
            name=entry["name"],
            asked=pattern(entry["asked"]),
            told=pattern(entry["told"]),
            sections=tuple(entry["sections"]),
            lacking=entry["lacking"],
            must=entry.get("must", False),
        )
        for entry in data["kinds"]
    )


def kind_asked(question: str) -> Kind | None:
    """The kind of fact that is asked for; None where a whole section answers, or nothing is asked."""
    words = plain(question)
    kind = next((kind for kind in _kinds() if kind.asked.search(words)), None)
    if kind is None and "?" in question:
        kind = next(kind for kind in _kinds() if kind.name == "whether")
    if kind is None or kind.name in FACTS:
        return kind
    sections = sections_asked(question)
    whole = kind.name == WAY or (
        sections and sections[0] in (GUIDED if kind.name == "which" else GUIDED[2:])
    )
    return None if whole else kind


def plain(text: str) -> str:
    """Folded words; a decimal number stays one."""
    return fold(_DECIMAL.sub("", text))
