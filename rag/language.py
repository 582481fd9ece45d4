"""Which language a question is written in: enough to choose a passage's language, not more."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

_WORD = re.compile(r"[^\W\d_]+")
_DATA = Path(__file__).parent / "data" / "language.yaml"
_PIDGIN = Path(__file__).parent / "data" / "pidgin.yaml"


@cache
def _lexicon() -> dict[str, frozenset[str]]:
    data = yaml.safe_load(_DATA.read_text(encoding="utf-8"))
    return {language: frozenset(words.split()) for language, words in data.items()}


def ignored_words() -> list[str]:
    """Function words of Pidgin and of chat, which no Postgres configuration knows to leave out."""
    return sorted(_lexicon()["ignored"])


def empty_words() -> frozenset[str]:
    """Folded words that say nothing of what a question is about; how long, when and why do."""
    return _lexicon()["empty"]


def detect(text: str) -> str:
    """`fr`, `en` or `pcm`, by counting function words; French where nothing tells."""
    words = _WORD.findall(text.casefold())
    lexicon = _lexicon()
    counts = {code: sum(w in lexicon[code] for w in words) for code in ("fr", "en", "pcm")}
    if counts["pcm"] and 2 * counts["pcm"] >= max(counts["fr"], counts["en"]):
        return "pcm"
    return "en" if counts["en"] > counts["fr"] else "fr"


@cache
def _glossary() -> tuple[re.Pattern[str], dict[str, str]]:
    entries = yaml.safe_load(_PIDGIN.read_text(encoding="utf-8"))
    longest_first = sorted(entries, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest_first)})\b"), entries


def in_english(question: str) -> str:
    """The question, with what its Pidgin means: neither a dictionary nor a model knows Pidgin."""
    pattern, entries = _glossary()
    words = " ".join(_WORD.findall(question.casefold()))
    meanings = dict.fromkeys(entries[phrase] for phrase in pattern.findall(words))
    return f"{question} ({', '.join(meanings)})" if meanings else question
