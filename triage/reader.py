"""Find what a text says: signs and marks, with where they stand. Pure.

All expressions are matched in one pass of a `google-re2` Set, so no text can stall it; only those
that matched are located. A sign is something about a patient ("chest_pain"); a mark is something
about the telling ("past", "asks", "idiom").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from triage import expressions, text
from triage.spelling import Spelling
from triage.text import Words, word_set

_MOST = 6
_BUDGET = 256 << 20
_NEGATIVE_WORDS = word_set(
    "pas plus no not sans without aucun aucune ni jamais never neva non rien cannot nor"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """An expression found: word indices [first, after). `negating`: it contains its own "not"."""

    name: str
    first: int
    after: int
    negating: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What the Set holds: all expressions of one name that treat negation alike."""

    name: str
    is_mark: bool
    negating: bool
    regexp: Any


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in a text. `marks` maps a mark's name to its hits."""

    words: Words
    signs: tuple[Hit, ...]
    marks: Mapping[str, tuple[Hit, ...]]


class Reader:
    """Reads texts with the expressions of a lexicon.

    `signs` and `marks` map names to expressions, `groups` names to alternations used by them.
    """

    def __init__(
        self,
        signs: Mapping[str, Sequence[str]],
        marks: Mapping[str, Sequence[str]],
        groups: Mapping[str, str],
        forms: Mapping[str, str],
        ordinary: Iterable[str],
    ) -> None:
        folded = {text.fold(word): form for word, form in forms.items()}
        self.entries: list[Entry] = []
        options = re2.Options()
        options.never_capture = True
        options.max_mem = _BUDGET
        self._set = re2.Set.SearchSet(options)
        for names, is_mark in ((signs, False), (marks, True)):
            for name, says in names.items():
                self._add(name, is_mark, says, groups, folded)
        self._set.Compile()
        spelled: set[str] = set()
        for says in (*signs.values(), *marks.values()):
            for expression in says:
                spelled |= expressions.vocabulary(expression, groups)
        stems = {word[:-1] for word in spelled if word.endswith("~")}
        self.spelling = Spelling(folded, spelled - {f"{s}~" for s in stems}, stems, ordinary)

    def _add(
        self,
        name: str,
        is_mark: bool,
        says: Sequence[str],
        groups: Mapping[str, str],
        forms: Mapping[str, str],
    ) -> None:
        kinds: dict[bool, list[bytes]] = {False: [], True: []}
        for expression in _written_out(says):
            compiled = expressions.pattern(expression, groups, forms)
            kinds[_negates(compiled)].append(compiled)
        for negating, compiled_all in kinds.items():
            if compiled_all:
                joined = expressions.union(compiled_all)
                self._set.Add(joined)
                regexp = expressions.compile_bytes(joined, name)
                self.entries.append(Entry(name, is_mark, negating, regexp))

    def read(self, message: str) -> Found:
        words = text.as_words(text.tokens(message, self.spelling))
        signs: list[Hit] = []
        marks: dict[str, tuple[Hit, ...]] = {}
        for index in self._set.Match(words.joined) or ():
            entry = self.entries[index]
            hits = _locate(entry, words)
            if entry.is_mark:
                marks[entry.name] = marks.get(entry.name, ()) + hits
            else:
                signs.extend(hits)
        return Found(words, tuple(signs), marks)

    def strangers(self, words: Words) -> tuple[int, int]:
        """How many words nobody here knows, of how many."""
        typed = [word for word in words.words if word.isalpha()]
        return sum(not self.spelling.knows(word) for word in typed), len(typed)


def _written_out(says: Sequence[str]) -> list[str]:
    """Every alternative by itself. What one cannot do one may also do hardly ({hardly})."""
    found = [one for expression in says for one in expressions.alternatives(expression)]
    return found + [one.replace("{cannot}", "{hardly}") for one in found if "{cannot}" in one]


def _negates(compiled: bytes) -> bool:
    spelled = compiled.replace(b"(?:", b" ").translate(_SEPARATORS).split()
    return any(word.decode() in _NEGATIVE_WORDS for word in spelled)


_SEPARATORS = bytes.maketrans(b"()|?", b"    ")


def _locate(entry: Entry, words: Words) -> tuple[Hit, ...]:
    hits = []
    for found in entry.regexp.finditer(words.joined):
        first, after = words.span(*found.span())
        hits.append(Hit(entry.name, first, after, entry.negating))
        if len(hits) == _MOST:
            break
    return tuple(hits)
