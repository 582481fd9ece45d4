"""What a model may not say, taken out of the stream as it passes.

Numbers to call that nobody verified, "no need to see a doctor", doses that stand in none of the
documents given, advice to stop treatment or stay away from care, details of self-harm, a disease read
off a picture, addresses and citations that lead nowhere. `data/guard.yaml` says in which words, and
what is put in their place. What is said does not depend on how the stream was cut into pieces, and
only that is held back which may turn out to be the beginning of such words.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from carehelp.metrics import GUARDED
from conversations.phrases import Found, Phrases, Reading
from conversations.tokens import (
    LONGEST_WORD,
    Token,
    digits,
    folded,
    number_keys,
    plain_number,
    tokens,
)
from conversations.wording import say

DATA = Path(__file__).parent / "data" / "guard.yaml"

MOST_HELD = 160
"""Characters of a phrase that is not complete yet; one that goes on for longer is let through."""

WHOLE = 8
"""Digits of the shortest number that belongs to a person."""

MOST_TAKEN = 400
"""Characters taken out with a phrase where its sentence does not end."""

_KEY_SIGNS = frozenset("/%°")
_ENDS = frozenset(".!?…")
_ADDRESS_BEGINS = frozenset(("h", "ht", "htt", "http", "https", "w", "ww", "www"))
_PAUSES = frozenset(",;:()[]{}|\n—–•")


@dataclass(frozen=True, slots=True)
class Given:
    """What the model had before it, and may therefore repeat.

    `numbers` are those that may be called, digits only. `picture` says that the patient sent one.
    """

    texts: Sequence[str] = ()
    addresses: Sequence[str] = ()
    numbers: frozenset[str] = frozenset()
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """`takes` is how much goes with a phrase: nothing, its sentence, or all the rest."""

    name: str
    kind: str
    takes: str
    unless: str


@dataclass(slots=True, eq=False)
class Removal:
    """What goes, from `start` to `end`; `applied` once its replacement has been said."""

    start: int
    end: int
    kind: str
    takes: str = ""
    applied: bool = False


class Guard:
    """One answer's way past the rules: `feed` it, say what it returns, then what `finish` returns.

    `removed` counts what was taken out, by kind.
    """

    def __init__(self, given: Given, language: str) -> None:
        self.removed: Counter[str] = Counter()
        self._given, self._language = given, language
        self._doses = frozenset(pair for text in given.texts for pair in doses(text))
        table = _table()
        self._rules = table.rules
        self._phrases = _phrases(picture=given.picture)
        self._reading = Reading(self._phrases, MOST_HELD)
        self._text, self._base = "", 0
        self._read = self._said = 0
        self._before = ""
        self._removals: list[Removal] = []
        self._taking: Removal | None = None

    @classmethod
    async def ready(cls, given: Given, language: str) -> Guard:
        """Made in a thread: the first one compiles the phrases, each reads its documents' doses."""
        return await asyncio.to_thread(cls, given, language)

    def feed(self, piece: str) -> str:
        """What may be said once this piece has come."""
        return self._go_on(piece, whole=False)

    def finish(self) -> str:
        """What was held back, now that nothing more comes."""
        said = self._go_on("", whole=True)
        self._mark(self._reading.stop())
        said += self._release(self._read)
        for kind, count in self.removed.items():
            GUARDED.labels(kind).inc(count)
        return said

    @property
    def held(self) -> int:
        """Characters received and not yet said."""
        return self._base + len(self._text) - self._said

    def _go_on(self, piece: str, *, whole: bool) -> str:
        self._text += piece
        if self._reading.begun is None and self._taking is None:
            self._pass_over()
        for token in tokens(self._text, self._read - self._base, self._base, whole=whole):
            self._take(token)
            self._read = token.end
        said = self._release(self._safe())
        self._forget()
        return said

    def _pass_over(self) -> None:
        """Be done with what most of a text is, before anything is made of it: plain words with which
        no phrase begins. The last one may go on, and waits.
        """
        at = self._read - self._base
        for word in self._text[at : max(at, self._text.rfind(" "))].split(" "):
            at += len(word)
            if word:
                plain = word.isalpha() and len(word) <= LONGEST_WORD
                if not plain or not self._reading.passes(folded(word)):
                    return
                self._before, self._read = word, self._base + at
            at += 1

    def _take(self, token: Token) -> None:
        taking = self._taking
        if taking:
            self._take_along(taking, token)
        self._mark(self._found(token))
        self._mark(self._reading.let_go(token.end))
        if self._taking and self._taking is not taking:
            self._take_along(self._taking, token)

    def _found(self, token: Token) -> list[Found]:
        match token.kind:
            case "word":
                self._before = token.text
                return self._reading.word((folded(token.text),), token.start, token.end)
            case "number":
                return self._reading.word(number_keys(token.text), token.start, token.end)
            case "sign":
                return self._sign(token)
            case _:
                self._lead(token)
                return self._reading.pause(token.kind)

    def _sign(self, token: Token) -> list[Found]:
        if token.text in _KEY_SIGNS:
            return self._reading.word((token.text,), token.start, token.end)
        if token.text in _ENDS:
            return self._reading.stop()
        return self._reading.pause(token.text) if token.text in _PAUSES else []

    def _mark(self, found: Iterable[Found]) -> None:
        for one in found:
            rule = self._rules[one.rule]
            if not rule.unless or not self._allowed(rule.unless, one):
                self._remove(Removal(one.start, one.end, rule.kind, rule.takes))

    def _allowed(self, unless: str, found: Found) -> bool:
        text = self._text[found.start - self._base : found.end - self._base]
        if unless == "callable":
            return set(dialled(text)) <= self._given.numbers
        return doses(text) <= self._doses

    def _remove(self, removal: Removal) -> None:
        taking = self._taking
        if taking and removal.start <= taking.end and removal.takes != "rest":
            taking.end = max(taking.end, removal.end)
            return
        self._removals.append(removal)
        if removal.takes and not (taking and taking.takes == "rest"):
            self._taking = removal

    def _take_along(self, taking: Removal, token: Token) -> None:
        """A sentence goes with its full stop, but leaves the line's end."""
        ends = token.text == "\n" or token.end - taking.start > MOST_TAKEN
        if not ends or taking.takes == "rest":
            taking.end = token.end
            if taking.applied:
                self._said = max(self._said, taking.end)
        if taking.takes == "sentence" and (ends or token.text in _ENDS):
            self._taking = None

    def _lead(self, token: Token) -> None:
        """Addresses and citations: those of the documents given stay."""
        if token.kind == "cited":
            self._cite(token)
        elif token.kind == "link":
            if token.text[2:-1] not in self._given.addresses:
                self._remove(Removal(token.start + 1, token.end, "address"))
        else:
            address = token.text.rstrip(".,;:!?")
            whole = address if token.kind == "address" else self._before + address
            if not any(whole.casefold() in known.casefold() for known in self._given.addresses):
                self._remove(Removal(token.start, token.start + len(address), "address"))

    def _cite(self, token: Token) -> None:
        most = len(self._given.texts)
        numbers = [
            int(digits(part)) for part in token.text.strip(" []^").split(",") if digits(part)
        ]
        spans = "–" in token.text or "-" in token.text or ";" in token.text
        if spans or "【" in token.text or not all(1 <= number <= most for number in numbers):
            self._remove(Removal(token.start, token.end, "citation"))

    def _safe(self) -> int:
        """Up to where nothing can be taken out any more."""
        begun = self._reading.begun
        if begun is not None:
            return begun
        rest = self._text[self._read - self._base :]
        if not rest.isalpha() or rest.lower() in _ADDRESS_BEGINS:
            return self._read
        may_begin = self._phrases.may_begin(folded(rest))
        return self._read if may_begin else self._read + len(rest)

    def _release(self, safe: int) -> str:
        out: list[str] = []
        while removal := self._next(safe):
            if removal.start > self._said:
                self._say(out, removal.start)
            if removal.start == self._said or removal.takes == "rest":
                self.removed[removal.kind] += 1
                out.append(self._instead(removal.kind))
            removal.applied = True
            self._said = max(self._said, removal.end)
        if safe > self._said and not (self._taking and self._taking.applied):
            self._say(out, safe)
        return "".join(out)

    def _next(self, safe: int) -> Removal | None:
        """The next removal that is certain: the longest of those that begin first."""
        if not self._removals:
            return None
        first = min(self._removals, key=lambda one: (one.start, -one.end))
        if first.start >= safe:
            return None
        self._removals.remove(first)
        return first

    def _say(self, out: list[str], end: int) -> None:
        out.append(self._text[self._said - self._base : end - self._base])
        self._said = end

    def _instead(self, kind: str) -> str:
        words = _table().again if self.removed[kind] > 1 else _table().says
        return say(words[kind], self._language) if kind in words else ""

    def _forget(self) -> None:
        """Let go of text that is said, but for one character to look back at."""
        begun = self._reading.begun
        keep = min(self._said, self._read, self._read if begun is None else begun) - 1
        if keep > self._base:
            self._text, self._base = self._text[keep - self._base :], keep


@dataclass(frozen=True, slots=True)
class Table:
    """`data/guard.yaml`, but for its phrases."""

    rules: dict[str, Rule]
    numerals: dict[str, str]
    units: dict[str, str]
    says: dict[str, dict[str, str]]
    again: dict[str, dict[str, str]]


@cache
def _table() -> Table:
    data = _data()
    return Table(
        {name: _rule(name, rule) for name, rule in data["rules"].items()},
        _by_word(data["numerals"]),
        _by_word(data["units"]),
        data["says"],
        data["again"],
    )


async def warm_up() -> None:
    """Compile the phrases ahead of the first answer."""
    await asyncio.to_thread(Guard, Given(texts=[""]), "fr")


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return data


@cache
def _phrases(*, picture: bool = False, doses_alone: bool = False) -> Phrases:
    """The phrases of all rules, but for what holds only where there is a picture."""
    rules = _data()["rules"]
    chosen = {name: rule for name, rule in rules.items() if picture or "only" not in rule}
    return _compiled({"dose": rules["dose"]} if doses_alone else chosen)


def _rule(name: str, rule: dict[str, Any]) -> Rule:
    return Rule(name, rule.get("counts_as", name), rule.get("takes", ""), rule.get("unless", ""))


def _compiled(rules: dict[str, Any]) -> Phrases:
    phrases = Phrases({name: _entries(line) for name, line in _data()["lists"].items()})
    for name, rule in rules.items():
        for phrase in rule["phrases"]:
            phrases.add(name, phrase, frozenset(rule.get("across", "")))
    return phrases


def _entries(line: str) -> list[tuple[str, ...]]:
    return [tuple(entry.split()) for entry in line.split(",")]


def _by_word(names: dict[str, str]) -> dict[str, str]:
    return {words[-1]: name for name, line in names.items() for words in _entries(line)}


def doses(text: str) -> frozenset[tuple[str, str]]:
    """The doses in a text as pairs of a number and a unit, whatever the language."""
    reading = Reading(_phrases(doses_alone=True), MOST_HELD)
    found: list[Found] = []
    for token in tokens(text, 0, 0, whole=True):
        if token.kind == "word":
            found += reading.word((folded(token.text),), token.start, token.end)
        elif token.kind == "number":
            found += reading.word(number_keys(token.text), token.start, token.end)
        elif token.text in _KEY_SIGNS:
            found += reading.word((token.text,), token.start, token.end)
        elif token.text in _ENDS or token.text in _PAUSES:
            found += reading.pause(token.text)
    found += reading.stop()
    return frozenset(pair for one in found for pair in _pairs(text[one.start : one.end]))


_TIMES = frozenset({"hours", "daily"})


def _pairs(phrase: str) -> set[tuple[str, str]]:
    table = _table()
    numbers: set[str] = set()
    units: set[str] = set()
    for token in tokens(phrase, 0, 0, whole=True):
        if token.kind == "number":
            numbers.update(_values(token.text))
        elif token.kind == "word":
            word = folded(token.text)
            numbers.update({table.numerals[word]} if word in table.numerals else ())
            units.update({table.units[word]} if word in table.units else ())
    # « un comprimé » is one, « un demi-comprimé » is not; what a day holds is no unit beside one.
    units = units - _TIMES or units
    return {(number, unit) for number in numbers or {"1"} for unit in units or {""}}


def _values(text: str) -> list[str]:
    """« 2-3 » is two numbers; « 0,5 » and « 1 500 » are one."""
    plain = plain_number(text)
    return [part.replace(" ", "").replace(",", ".") for part in plain.split("-")]


def as_dialled(phone: str) -> set[str]:
    """The digits of a number, with and without the country's code."""
    figures = digits(phone).removeprefix("00")
    return {figures, figures.removeprefix("237")}


def own_numbers(text: str) -> frozenset[str]:
    """Whole telephone numbers in a patient's own words, as a model may repeat them. Services' short
    numbers are not among them: whether those answer here is not for a patient or a model to say.
    """
    whole = (number for number in dialled(text) if len(number) >= WHOLE)
    return frozenset(form for number in whole for form in as_dialled(number))


def dialled(text: str) -> list[str]:
    """The numbers in a text that somebody might call; one spelled out is given as ""."""
    found = [token for token in tokens(text, 0, 0, whole=True) if token.kind == "number"]
    return [digits(t.text) for t in found if "<dial>" in number_keys(t.text)] or [""]
