"""Phrases sought in a stream of words, all at once: which are found, and where one may have begun.

A phrase is written as a line of elements, each of which takes one or more words:

    word   a|b        one of these words
    {list}            one entry of a named list; an entry may be several words
    <kind>            a number of that kind, as `conversations.tokens` reads it
    x?   x*3          perhaps; up to three times
    ~3                up to three words, whichever
    !{list}           first: not right after one of these; last: not right before one of these
    &{list}           first: only right after one of these, which are no part of the phrase

The phrases become one machine that takes each word once, so reading is linear however many there
are. What it has begun and not finished is what a reader has to hold back.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

ANY = "~"
_ELEMENT = re.compile(
    r"(?P<beside>[!&])?(?P<what>\{\w+\}|~|[^\s?*!&~]+)(?P<perhaps>\?)?(?:\*?(?P<most>(?<=[*~])\d))?"
)
Words = tuple[str, ...]
Lists = Mapping[str, Sequence[Words]]


@dataclass(eq=False, slots=True)
class Node:
    """A place in a phrase: where each word leads from here.

    `rule` is what has been found when this is reached; `unless` are the words that undo it when
    they follow; `across` are the signs that do not end the phrase.
    """

    across: frozenset[str] = frozenset()
    edges: dict[str, set[Node]] = field(default_factory=dict)
    rule: str = ""
    unless: frozenset[str] | None = None

    def then(self, word: str, nodes: Iterable[Node]) -> None:
        self.edges.setdefault(word, set()).update(nodes)


@dataclass(frozen=True, slots=True)
class Opening:
    """The first word of a phrase, which counts right after `after` alone, and not after `unless`."""

    nodes: frozenset[Node]
    unless: frozenset[str] = frozenset()
    after: frozenset[str] | None = None

    def counts(self, previous: str) -> bool:
        return previous not in self.unless and (self.after is None or previous in self.after)


class Phrases:
    """All phrases of all rules, as one machine."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self.openings: dict[str, list[Opening]] = {}
        self._first_words: list[str] = []

    def add(self, rule: str, phrase: str, across: frozenset[str] = frozenset()) -> None:
        elements = list(_ELEMENT.finditer(phrase))
        opens = Opening(frozenset())
        after = Node(across, rule=rule)
        if sign := elements[0]["beside"]:
            beside = self._words(elements.pop(0)["what"])
            not_after, only_after = (beside, None) if sign == "!" else (frozenset(), beside)
            opens = Opening(frozenset(), not_after, only_after)
        if elements[-1]["beside"]:
            after.unless = self._words(elements.pop()["what"])
        nodes = {after}
        for element in reversed(elements):
            nodes = self._before(element, nodes, across)
        self._open(nodes - {after}, opens)

    def may_begin(self, letters: str) -> bool:
        """Whether some phrase begins with a word that begins so."""
        if len(self._first_words) != len(self.openings):
            self._first_words = sorted(self.openings)
        at = bisect_left(self._first_words, letters)
        return at < len(self._first_words) and self._first_words[at].startswith(letters)

    def _before(
        self, element: re.Match[str], after: set[Node], across: frozenset[str]
    ) -> set[Node]:
        """The nodes from which `element` leads on to `after`."""
        entries = self._entries(element["what"])
        most = int(element["most"] or 1)
        perhaps = element["perhaps"] or element["most"]
        nodes = set(after)
        for _ in range(most):
            first = self._chain(entries, nodes, across)
            nodes = {first, *after} if perhaps else {first}
        return nodes

    def _chain(self, entries: Iterable[Words], after: set[Node], across: frozenset[str]) -> Node:
        first = Node(across)
        for words in entries:
            node = first
            for word in words[:-1]:
                following = Node(across)
                node.then(word, {following})
                node = following
            node.then(words[-1], after)
        return first

    def _open(self, nodes: Iterable[Node], opens: Opening) -> None:
        for node in nodes:
            for word, following in node.edges.items():
                opening = replace(opens, nodes=frozenset(following))
                self.openings.setdefault(word, []).append(opening)

    def _entries(self, what: str) -> list[Words]:
        if what == ANY:
            return [(ANY,)]
        if what.startswith("{"):
            return list(self._lists[what[1:-1]])
        return [(word,) for word in what.split("|")]

    def _words(self, what: str) -> frozenset[str]:
        return frozenset(words[0] for words in self._entries(what))


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase of `rule`, from character `start` to `end`."""

    rule: str
    start: int
    end: int


class Reading:
    """One text on its way through the machine."""

    def __init__(self, phrases: Phrases, longest: int) -> None:
        self._openings = phrases.openings
        self._longest = longest
        self._previous = ""
        self._set_live({})

    def _set_live(self, live: _Live) -> None:
        """`begun` is where the earliest phrase began that may still be found, or None."""
        self._live = live
        self.begun = min([start for start, _ in live.values()]) if live else None

    def word(self, keys: Sequence[str], start: int, end: int) -> list[Found]:
        """What has been found once this word is known; `keys` are all that it counts as."""
        found: list[Found] = []
        live: _Live = {}
        followed = (*keys, ANY)
        for node, (begun, ended) in self._live.items():
            if node.unless is None:
                for key in followed:
                    if nodes := node.edges.get(key):
                        _reach(nodes, begun, end, live, found)
            elif node.unless.isdisjoint(keys):
                found.append(Found(node.rule, begun, ended))
        for key in keys:
            for opening in self._openings.get(key, ()):
                if opening.counts(self._previous):
                    _reach(opening.nodes, start, end, live, found)
        self._previous = keys[0]
        self._set_live(live)
        return found

    def passes(self, key: str) -> bool:
        """Whether this word, read while nothing is begun, begins nothing; if so it has been read."""
        if key in self._openings:
            return False
        self._previous = key
        return True

    def pause(self, sign: str) -> list[Found]:
        """A comma, a bracket, the end of a line: few phrases go on across it."""
        return self._keep(lambda node, begun: sign in node.across)

    def stop(self) -> list[Found]:
        """The end of a sentence, or of everything."""
        return self._keep(lambda node, begun: False)

    def let_go(self, position: int) -> list[Found]:
        """Give up phrases that have been going on for too long."""
        if self.begun is None or position - self.begun <= self._longest:
            return []
        return self._keep(lambda node, begun: position - begun <= self._longest)

    def _keep(self, stays: Callable[[Node, int], bool]) -> list[Found]:
        """What the phrases that end here have found."""
        if not self._live:
            self._previous = ""
            return []
        ending = [(n, at) for n, at in self._live.items() if n.unless or not stays(n, at[0])]
        self._set_live({n: at for n, at in self._live.items() if not n.unless and stays(n, at[0])})
        self._previous = ""
        return [Found(node.rule, *at) for node, at in ending if node.unless is not None]


_Live = dict[Node, tuple[int, int]]


def _reach(nodes: Iterable[Node], begun: int, end: int, live: _Live, found: list[Found]) -> None:
    for node in nodes:
        if node.rule and node.unless is None:
            found.append(Found(node.rule, begun, end))
        elif node not in live or begun < live[node][0]:
            live[node] = (begun, end)
