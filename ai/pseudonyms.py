"""Names, telephone numbers, e-mail addresses and identity numbers stay in the country.

Before text goes to a provider abroad each is replaced by a mark such as `[NAME_1]`; in the answer
the marks become the words again, also where a mark is cut in two by the stream. What is recognised
is measured, not promised: see docs/providers.md.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from ai.base import ChatMessage
from ai.language import fold, is_common

DATA = Path(__file__).parent / "data"

_MARK = re.compile(r"\[?\b(NAME|PHONE|EMAIL|ID)[_ ](\d{1,4})\b\]?", re.IGNORECASE)
# The end of a piece that may be the beginning of a mark.
_BEGUN = re.compile(
    r"(?:\[|(?<![A-Za-z0-9]))"
    r"(?:N(?:A(?:ME?)?)?|P(?:H(?:O(?:NE?)?)?)?|E(?:M(?:A(?:IL?)?)?)?|ID?)?"
    r"(?:(?<=NAME|HONE|MAIL)[_ ]\d{0,4}|(?<=ID)[_ ]\d{0,4})?$",
    re.IGNORECASE,
)

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_GAP = r"[\s.\-/]?"
_PHONE = re.compile(
    # +237 or 00237 and nine digits however grouped; nine digits from 2 or 6; others' +NN.
    rf"(?<![\w+])(?:(?:\+|00){_GAP}237{_GAP}[26](?:{_GAP}\d){{8}}|237{_GAP}[26](?:{_GAP}\d){{8}}"
    rf"|[26](?:{_GAP}\d){{8}}|\+\d{{1,3}}(?:{_GAP}\d){{7,12}})(?!\d)"
)
_FILLER = (
    r"(?:[\s:#]{0,3}(?:est|is|na|de|du|d['’]|identit[ée]|identity|nationale?|m[ée]dical|scolaire"
    r"|bancaire|conduire|s[ée]jour|naissance|birth|cnps|card)(?!\w)){0,5}"
)
_NUMBER = r"[\s:#]{0,3}(?:n[o°º]\.?|num[ée]ro|number|no|num|:|#)(?!\w)"
_ID_CUE = re.compile(
    r"\b(?:(?:cni|cin|nic|cartes?|s[ée]jour|r[ée]c[ée]piss[ée]|id|passport|passeport|matricule|niu|cnps"
    r"|permis|licen[cs]e|immatriculation|plaque)\b"
    rf"{_FILLER}(?:{_NUMBER})?"
    # These are followed by other numbers too, such as a blood pressure: here « n° » is needed.
    r"|(?:dossier|file|assur[ée]e?|assurance|insurance|registration|patiente?|hospital|acte"
    r"|certificate|s[ée]curit[ée] sociale|compte|account)\b"
    rf"{_FILLER}{_NUMBER}"
    r"|(?:num[ée]ro d['’]assur[ée]e?|s[ée]curit[ée] sociale|compte bancaire|acte de naissance"
    r"|(?:insurance|file|hospital|account|registration) (?:number|no)|dossier(?=\s+\d{4}/\d{4}))"
    rf")(?:\s*(?:est|is|na))?[\s:#]{{0,3}}"
    # Not a date; four digits at least.
    r"(?P<id>(?!\d{1,2}/\d{1,2}/\d)"
    r"(?=(?:[ /-]?[A-Za-z]){0,4}(?:[ /-]?\d){4}|[A-Za-z]{2}[ -]\d{3} [A-Z]{2}|\d+/[A-Z])"
    r"[A-Za-z0-9]+(?:[/-][A-Za-z0-9]+"
    # Groups go on, but not into « 120/80 » or « 500 mg ».
    r"|[ ](?:\d+\b|[A-Z]{1,2}\b)(?![,.]?\d|/|\s*(?:mg|ans|kg|SA)\b)){0,8})(?!\w)",
    re.IGNORECASE,
)
_LONG_ID = re.compile(r"(?<![\w+])(?:[A-Z]{1,4}[-/ ]?\d{6,17}[A-Z]?|\d{10,20})(?!\w)")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


class Pseudonyms:
    """The marks of one question. The same words get the same mark in all its messages."""

    def __init__(self, known_names: Iterable[str] = ()) -> None:
        self._marks: dict[tuple[str, str], str] = {}
        self._words: dict[str, str] = {}
        self._taken: set[str] = set()
        self._known = _alternatives(known_names)

    def of_messages(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        for message in messages:
            self._reserve(message.content)
        return [replace(m, content=self.of(m.content, names=m.role != "system")) for m in messages]

    def of(self, text: str, *, names: bool = True) -> str:
        """`text` with marks. `names=False` leaves alone all names but the known ones."""
        self._reserve(text)
        text = _EMAIL.sub(lambda m: self._mark("EMAIL", m[0]), text)
        text = _ID_CUE.sub(lambda m: m[0].replace(m["id"], self._mark("ID", m["id"])), text)
        text = _PHONE.sub(lambda m: self._mark("PHONE", m[0]), text)
        text = _LONG_ID.sub(lambda m: self._mark("ID", m[0]), text)
        if self._known:
            text = self._known.sub(lambda m: self._mark("NAME", m[0]), text)
        return _replaced(text, name_spans(text), self._name) if names else text

    def restore(self, text: str) -> str:
        return _MARK.sub(lambda m: self._words.get(_canonical(m), m[0]), text)

    async def restored(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        """`pieces` with the words put back; holds back only what may be the start of a mark."""
        held = ""
        try:
            async for piece in pieces:
                text = held + piece
                cut = _BEGUN.search(text) if self._words else None
                held = text[cut.start() :] if cut else ""
                if said := self.restore(text[: cut.start()] if cut else text):
                    yield said
            if held:
                yield self.restore(held)
        finally:
            if close := getattr(pieces, "aclose", None):
                await close()

    def _reserve(self, text: str) -> None:
        """Marks that somebody typed are not given out."""
        self._taken.update(_canonical(match) for match in _MARK.finditer(text))

    def _name(self, words: str) -> str:
        return self._mark("NAME", words)

    def _mark(self, kind: str, words: str) -> str:
        key = (kind, words.casefold())
        if key not in self._marks:
            self._marks[key] = self._free(kind)
            self._words[self._marks[key]] = words
        return f"[{self._marks[key]}]"

    def _free(self, kind: str) -> str:
        number = 1
        while f"{kind}_{number}" in self._taken:
            number += 1
        self._taken.add(f"{kind}_{number}")
        return f"{kind}_{number}"


def _canonical(match: re.Match[str]) -> str:
    return f"{match[1].upper()}_{match[2]}"


def _replaced(text: str, spans: Iterable[tuple[int, int]], mark: Callable[[str], str]) -> str:
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], mark(text[start:end])]
        at = end
    return "".join([*parts, text[at:]])


def _alternatives(known_names: Iterable[str]) -> re.Pattern[str] | None:
    """Full names and each of their words of three letters or more."""
    words = {w for name in known_names for w in [name.strip(), *name.split()] if len(w) > 2}
    if not words:
        return None
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.I)


@cache
def _listed(name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Words of a data file (`#` starts a comment), as written and without accents."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    known = frozenset(w.casefold() for line in lines for w in line.partition("#")[0].split())
    return known, frozenset(map(fold, known))


def name_spans(text: str) -> list[tuple[int, int]]:
    """Where people are named, in order, without overlaps.

    A name is seeded by a list of names, by a cue (« je m'appelle ») or by a title (« Dr »), and
    grows over the capitalised words beside it that are not everyday words.
    """
    words = list(_WORD.finditer(text))
    shouted = sum(w[0].isupper() for w in words) > len(words) / 2
    seeds = _seeds(text, words, shouted)
    spans: list[tuple[int, int]] = []
    for index in sorted(seeds):
        first = _grown(text, words, index, -1, shouted)
        last = _grown(text, words, index, 1, shouted)
        start, end = words[first].start(), words[last].end()
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _seeds(text: str, words: Sequence[re.Match[str]], shouted: bool) -> set[int]:
    seeds = {i for i, word in enumerate(words) if _is_listed(text, word, shouted)}
    seeds |= {i for i in range(len(words) - 1) if _acts(text, words[i], words[i + 1], shouted)}
    starts = {word.start(): i for i, word in enumerate(words)}
    for cue, accepts in _CUES:
        for match in _cue(cue).finditer(text):
            index = starts.get(match.end())
            if index is not None and accepts(words[index][0], shouted):
                seeds.add(index)
    return seeds


def _acts(text: str, match: re.Match[str], after: re.Match[str], shouted: bool) -> bool:
    """A capitalised word that is no everyday word, and does what people do: « Tiomo tousse »."""
    beside = text[match.end() : after.start()] == " "
    return (
        beside
        and len(match[0]) > 2
        and _in_list(after[0].partition("'")[0].partition("’")[0], "people_do.txt")
        and _belongs(match[0], shouted)
    )


def _is_listed(text: str, match: re.Match[str], shouted: bool) -> bool:
    word = match[0]
    if _in_list(word, "names.txt"):
        return True
    inside = text[: match.start()].rstrip()[-1:] not in ("", ".", "!", "?", "\n")
    return inside and _capital(word, shouted) and _in_list(word, "names_capitalised.txt")


def _after_name_cue(word: str, shouted: bool) -> bool:
    return len(word) > 1 and not _in_list(word, "not_names.txt")


def _after_person_cue(word: str, shouted: bool) -> bool:
    return _capital(word, shouted) and not _everyday(word)


def _grown(text: str, words: Sequence[re.Match[str]], index: int, step: int, shouted: bool) -> int:
    """The furthest word of the name that begins at `index`, in one direction, at most three on."""
    for _ in range(3):
        beside = index + step
        if not 0 <= beside < len(words):
            break
        left, right = sorted((words[index], words[beside]), key=lambda w: w.start())
        joined = text[left.end() : right.start()]
        if not _JOIN.fullmatch(joined) or not _belongs(words[beside][0], shouted):
            break
        index = beside
    return index


def _belongs(word: str, shouted: bool) -> bool:
    if _in_list(word, "names.txt"):
        return True
    return _capital(word, shouted) and not _everyday(word)


def _capital(word: str, shouted: bool) -> bool:
    """Written as names are: « Ngono », or « NGONO » where not everything is shouted."""
    return word[0].isupper() and not (shouted and word.isupper())


def _everyday(word: str) -> bool:
    return is_common(word) or any(_in_list(word, name) for name in _NOBODY)


def _in_list(word: str, name: str) -> bool:
    """In a list as written, or, typed without accents, as the list without them."""
    known, plain = _listed(name)
    folded = word.casefold().replace("’", "'")
    return folded in known or folded in plain


_NOBODY = ("not_names.txt", "not_people.txt")
_CUES = (("name_cues.txt", _after_name_cue), ("person_cues.txt", _after_person_cue))
_JOIN = re.compile(r"[ \t]{1,2}|-|[ \t]?\.[ \t]?(?=[A-ZÀ-Ý])")


@cache
def _cue(name: str) -> re.Pattern[str]:
    """The cues of a data file, one regular expression a line, each up to the word it announces."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    cues = "|".join(line for line in lines if line and not line.startswith("#"))
    return re.compile(rf"\b(?:{cues})\s+", re.IGNORECASE)
