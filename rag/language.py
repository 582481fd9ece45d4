"""Which language a question is written in: enough to choose a passage's language, not more."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

import yaml

_WORD = re.compile(r"[^\W\d_]+")
_DATA = Path(__file__).parent / "data" / "language.yaml"
_PIDGIN = Path(__file__).parent / "data" / "pidgin.yaml"
_SMS = Path(__file__).parent / "data" / "sms.yaml"
_PIDGIN_WORDS = Path(__file__).parent / "data" / "pidgin_words.yaml"


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
def _glossary(*files: Path) -> tuple[re.Pattern[str], dict[str, str]]:
    entries: dict[str, str] = {}
    for file in files:
        entries |= yaml.safe_load(file.read_text(encoding="utf-8"))
    longest_first = sorted(entries, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest_first)})\b"), entries


def in_full(question: str) -> str:
    """The question without what chat and SMS shorten; all else stays as it was typed."""
    pattern, entries = _glossary(_SMS)
    typed = unicodedata.normalize("NFC", question)
    plain = "".join(unicodedata.normalize("NFD", letter)[0] for letter in typed).lower()
    if len(plain) != len(typed):
        return question
    whole, end = "", 0
    for found in pattern.finditer(plain):
        whole += typed[end : found.start()] + entries[found[0]]
        end = found.end()
    return whole + typed[end:]


def in_english(question: str) -> str:
    """The question, with what its Pidgin means: neither a dictionary nor a model knows Pidgin."""
    pattern, entries = _glossary(_PIDGIN)
    meanings = dict.fromkeys(entries[phrase] for phrase in pattern.findall(_spaced(question)))
    return f"{question} ({', '.join(meanings)})" if meanings else question


def as_english(question: str) -> str:
    """Pidgin word for word in English: no sentence, but nearer to one for a model than Pidgin is."""
    pattern, entries = _glossary(_PIDGIN_WORDS, _PIDGIN)
    return " ".join(pattern.sub(lambda found: entries[found[0]], _spaced(question)).split())


def _spaced(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
