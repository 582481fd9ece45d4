"""Which language a message is in, what languages are called, and what other systems call them.

Detection knows French, English and Cameroon Pidgin, and says so when it is none of them. Its words
are in `ai/data`; how often it is right is measured in its tests and reported in docs/providers.md.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
DETECTED = ("fr", "en", "pcm")

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Detected:
    """`language` is None where nothing known was found. `sure` is False for a guess.

    `also` is a second language with a substantial part in the text, or None.
    """

    language: str | None
    sure: bool
    also: str | None = None


def detect(text: str) -> Detected:
    """The language of a message, by its words first and by its letters where those say nothing."""
    words = _words(text)
    ranked = sorted(_scores(words).items(), key=lambda item: -item[1])
    (best, score), (second, next_score) = [*ranked, (None, 0.0), (None, 0.0)][:2]
    if best is None or _known(words, best) < 0.4:
        return _guess(words)
    also = second if next_score >= 0.4 * score and next_score >= 3 else None
    return Detected(best, sure=score >= 1.25 * next_score and score >= 2, also=also)


def opening(head: str) -> str | None:
    """The language of the first word that only one language's lists have; None before that.

    For the first words of an answer, which `detect` cannot judge yet. A last word that may go on counts
    where all words that begin so are of one language.
    """
    for match in _WORD.finditer(head):
        word, ended = fold(match[0]), match.end() < len(head)
        if word in _lexicon("opens_any"):
            continue
        languages = _having(word) if ended else _beginnings().get(word[:LONGEST_BEGINNING], set())
        if len(languages) == 1 or languages == {"en", "pcm"}:
            return min(languages)
    return None


LONGEST_BEGINNING = 6


def _having(word: str) -> set[str]:
    return {code for code, names in _LISTS.items() if _in_any(word, names)}


@cache
def _beginnings() -> dict[str, set[str]]:
    """The languages of the words that begin so, for whatever a listed word may begin with."""
    found: dict[str, set[str]] = {}
    for code, names in _LISTS.items():
        for word in (word for name in names for word in _lexicon(name)):
            for end in range(1, min(len(word), LONGEST_BEGINNING) + 1):
                found.setdefault(word[:end], set()).add(code)
    return found


def english_name(code: str) -> str:
    return name_of(code, "en")


def name_of(code: str, language: str) -> str:
    """What a language is called, in French or in English."""
    entry = _table()["languages"].get(code, {})
    name: str = entry.get("en" if language.startswith(("en", "pcm")) else "fr", code)
    return name


def code_of(name: str) -> str | None:
    """Our code for `fr`, `fr-CM`, `french`, `Français` or `fra_Latn`; None for what we don't know."""
    wanted = fold(name).strip()
    by_name = _codes()
    return by_name.get(wanted) or by_name.get(re.split(r"[-_]", wanted)[0])


def codes() -> list[str]:
    """Every language that has a name here."""
    return list(_table()["languages"])


def claims(verb: str, model: str) -> dict[str, str]:
    """Language to "verified" or "experimental", for a model's name and a verb."""
    for entry in _table()["models"]:
        if re.search(entry["pattern"], model, re.IGNORECASE) and verb in entry:
            return dict(entry[verb])
    return {}


def fold(text: str) -> str:
    """Lower case, without accents, with plain apostrophes."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def is_common(word: str) -> bool:
    """Whether it is an everyday word of French, English or Pidgin."""
    folded = fold(word)
    return any(folded in _lexicon(name) for name in ("fr", "en", "pcm"))


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((DATA / "languages.toml").read_text(encoding="utf-8"))


@cache
def _codes() -> dict[str, str]:
    found = {}
    for code, entry in _table()["languages"].items():
        for name in (code, entry["fr"], entry["en"], *entry["aliases"]):
            found[fold(name)] = code
    return found


NLLB_CODES: dict[str, str] = {
    code: entry["nllb"] for code, entry in _table()["languages"].items() if "nllb" in entry
}


@cache
def _lexicon(language: str) -> frozenset[str]:
    lines = (DATA / f"lexicon_{language}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(fold(w) for line in lines for w in line.partition("#")[0].split())


def _words(text: str) -> list[str]:
    """Words, and the two halves of « j'ai »."""
    found = [fold(match[0]) for match in _WORD.finditer(text[:4000])]
    return [part for word in found for part in _parts(word)]


def _parts(word: str) -> list[str]:
    if _in_any(word, _ALL_LISTS):
        return [word]
    return [part for part in re.split(r"['-]", word) if part]


# Pidgin takes most of its words from English: its own words and turns count for more, and the more
# of them there are, the more of the English ones are its too.
_STRONG, _WEAK, _PHRASE = 3.0, 1.2, 2.5
_SHARE, _MOST_SHARED = 0.3, 0.95


def _scores(words: list[str]) -> dict[str, float]:
    """Language to the weight of its words; languages without any are left out."""
    scores = {code: sum(_says(word, code) for word in words) for code in ("fr", "en")}
    own = _STRONG * sum(word in _lexicon("pcm") for word in words)
    own += _WEAK * sum(word in _lexicon("pcm_weak") for word in words)
    own += _PHRASE * sum(bool(phrase.search(" ".join(words))) for phrase in _phrases())
    scores["pcm"] = own + min(_MOST_SHARED, _SHARE * own) * scores["en"]
    return {language: score for language, score in scores.items() if score}


def _says(word: str, code: str) -> float:
    """How much a word says for French or English: by the lists, else a little by its letters."""
    if word in _lexicon(code):
        return 1.0
    if _in_any(word, _ALL_LISTS):
        return 0.0
    return 0.4 if _HINTS[code].search(word) else 0.0


def _known(words: list[str], language: str) -> float:
    """The share of words that a language's lists know; Pidgin may use English ones."""
    lists = [_lexicon(name) for name in _LISTS[language]]
    return sum(any(word in known for known in lists) for word in words) / len(words)


_LISTS = {"fr": ["fr"], "en": ["en"], "pcm": ["pcm", "pcm_weak", "en"]}
_ALL_LISTS = ("fr", "en", "pcm", "pcm_weak")


def _in_any(word: str, lists: Iterable[str]) -> bool:
    return any(word in _lexicon(name) for name in lists)


@cache
def _phrases() -> list[re.Pattern[str]]:
    lines = (DATA / "phrases_pcm.txt").read_text(encoding="utf-8").splitlines()
    return [re.compile(line) for line in lines if line and not line.startswith("#")]


def _guess(words: list[str]) -> Detected:
    """By letters and endings, for words that no list knows."""
    hints = {code: sum(bool(hint.search(word)) for word in words) for code, hint in _HINTS.items()}
    language = max(hints, key=lambda code: hints[code])
    known = hints[language] > 0.3 * len(words) and hints[language] > min(hints.values())
    return Detected(language if known else None, sure=False)


_HINTS = {
    "fr": re.compile(
        r"^qu|tions?$|eux$|euses?$|aires?$|oi|eau|ites?$|ment$|ais$|ait$|aient$|ez$|ees?$|elles?$"
        r"|iques?$|ances?$|eurs?$|ir$|oire|ille|gn"
    ),
    "en": re.compile(
        r"^th|^wh|ing$|[^aeiou]ed$|ght|ness$|aches?$|oo|sh$|ck|ies$|ly$|[^aeiou]y$|ful$|less$|wn$|ll$"
    ),
}
