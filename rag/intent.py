"""Which section of a document a question asks for: signs, what to do, when to go…"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

import yaml

UNSAID = ("steps", "home_care", "when_to_go")
"""Somebody who only tells what is wrong wants to know what to do."""

_DATA = Path(__file__).parent / "data" / "sections.yaml"
_ASKING = Path(__file__).parent / "data" / "asking.yaml"
_BAR = re.compile(r"\s*\|\s*")
_OTHER = re.compile(r"[^a-z0-9]+")


@cache
def _table() -> tuple[tuple[re.Pattern[str], tuple[str, ...], bool], ...]:
    entries = yaml.safe_load(_DATA.read_text(encoding="utf-8"))
    return tuple(
        (
            re.compile(rf"\b(?:{_BAR.sub('|', entry['words'])})\b"),
            tuple(entry["sections"]),
            entry.get("whole", False),
        )
        for entry in entries
    )


def fold(text: str) -> str:
    """Lower case, no accents, single spaces between words."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return _OTHER.sub(" ", plain.replace("'", " ")).strip()


def sections_asked(question: str) -> tuple[str, ...]:
    """The sections that answer `question`, best first; empty when it does not say."""
    words = fold(question)
    return next((sections for pattern, sections, _ in _table() if pattern.search(words)), ())


def asks_for_whole_section(question: str) -> bool:
    """Whether what is asked for is a section as a whole, such as signs or prevention."""
    words = fold(question)
    return next((whole for pattern, _, whole in _table() if pattern.search(words)), False)


def asks(text: str) -> bool:
    """Whether it is a question at all, and not only what somebody feels or sees."""
    return "?" in text or bool(_asking()["asks"].search(fold(text)))


def only_asks(text: str) -> bool:
    """Whether it is a question for information, and tells of nobody who is unwell.

    In doubt it tells: before the answer to what only asks, triage's advice has no place.
    """
    if _asking()["tells"].search(fold(text)):
        return False
    return asks(text) or bool(sections_asked(text))


@cache
def _asking() -> dict[str, re.Pattern[str]]:
    data = yaml.safe_load(_ASKING.read_text(encoding="utf-8"))
    return {name: re.compile(rf"\b(?:{_BAR.sub('|', words)})\b") for name, words in data.items()}
