"""Stretches of words in which signs are not here and now: asked about, past, supposed, elsewhere. Pure.

A stretch ends where somebody is told of (`triage.told`): a question about what they have is no
reason to think that they have it not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triage import told
from triage.negation import BOUNDARIES, FULL_STOPS, NEGATIONS, takes_nothing_away
from triage.questions import only_general, seeks_help
from triage.reader import Found, Hit
from triage.standings import SPOKEN_OF, Standing
from triage.text import word_set

Scope = tuple[Standing, int, int]
"""How signs stand that lie in the words [first, after)."""

_SINCE = word_set("depuis since from for des")
_EVEN = word_set("meme even")
""" "Even if we shake her" supposes nothing."""
_ALIKE = word_set("pareil pareille comme same like")
_JOINTS = frozenset(("and", "et", ",", "then", "puis"))
_HERE = word_set("this these now la ce cette cet ces there here maintenant today aujourd tonight")
_GOES_ON = word_set("a has have est is et and puis then now maintenant mais but il elle he she e i")
_LASTS = word_set("hour hours heure heures minute minutes day days jour jours night")
_LONG = frozenset(("long", "longtemps"))
_AGO = word_set("ago back before wey past passe don ya y")
_MYSELF = word_set("moi me mine mien mienne maintenant now celui celle this")
_HOW = word_set("how comment")
_SOME_DAY = word_set("jour day jamais ever someday")
_WHAT_IS = word_set("c ca sa cela na wetin weti what")
_NAME = 3
"""Before "what is that?" so many words may name a thing; more tell of somebody."""


def scopes(found: Found) -> list[Scope]:
    """Those that come first win where several hold."""
    here = _here(found)
    return [one for one in _Scopes(found) if one[0] not in SPOKEN_OF or one[1] >= here]


def _here(found: Found) -> int:
    """Where "that is me" or "like mine" is said last; what was asked or supposed before is told."""
    words = found.words.words
    likened = [
        i for i, word in enumerate(words) if word in _ALIKE and _MYSELF & {*words[i + 1 : i + 3]}
    ]
    return max([hit.first for hit in found.marks.get("here", ())] + likened, default=-1)


class _Scopes:
    def __init__(self, found: Found) -> None:
        self._found, self._marks, self._words = found, found.marks, found.words.words
        self._told = frozenset(told.clauses(self._words))
        self._harmed = [i for i in range(len(self._words)) if told.harms(self._words, i)]
        self._buts = self._at("but")
        self._stops = self._at("personal") + self._buts

    def _at(self, *names: str) -> list[int]:
        return [hit.first for name in names for hit in self._marks.get(name, ())]

    def __iter__(self) -> Iterator[Scope]:
        yield from self._idioms()
        yield from self._denied_wholesale()
        if only_general(self._words):
            yield Standing.ASKED, 0, len(self._words)
        yield from self._past()
        yield from self._purposes()
        yield from self._supposed()
        yield from self._asked()
        yield from self._elsewhere()

    def _idioms(self) -> Iterator[Scope]:
        for hit in self._marks.get("idiom", ()):
            yield Standing.IDIOM, hit.first, hit.after
        for hit in self._marks.get("laughs", ()):
            yield Standing.IDIOM, self._left(hit.first, ()), self._right(hit.after, ())

    def _denied_wholesale(self) -> Iterator[Scope]:
        """ "None of these: …" denies to the end of the sentence or a "but"; "…: none of those" denies
        what stands before it, over a question mark too ("Convulsions? None of that.")."""
        for hit in self._marks.get("denies_all", ()):
            after = self._right(hit.after, self._buts)
            if not takes_nothing_away(self._words, hit.first, after):
                yield Standing.NEGATED, hit.after, self._until_told(hit, after)
        for hit in self._marks.get("denied_all", ()):
            first = self._left(hit.first, self._buts)
            signs = self._found.signs
            if not any(first <= sign.first < hit.first for sign in signs) and first > 0:
                first = self._left(first - 1, self._buts)
            yield Standing.NEGATED, first, hit.after

    def _past(self) -> Iterator[Scope]:
        turns = self._at("now", "but")
        for hit in self._marks.get("past", ()):
            if self._goes_on(hit):
                continue
            first = self._left(hit.first, turns)
            told_before = any(
                first <= sign.first and sign.after <= hit.first for sign in self._found.signs
            )
            after = self._right(hit.after, turns, clause_only=told_before)
            after = self._until_told(hit, self._before_turn(hit.after, after), now=True)
            yield Standing.PAST, self._since_told(first, hit.first, first, now=True), after

    def _purposes(self) -> Iterator[Scope]:
        words = self._words
        for hit in self._marks.get("purpose", ()):
            if not self._denied_or_compared(hit.first):
                fronted = hit.first == 0 or words[hit.first - 1] in BOUNDARIES
                after = self._right(hit.after, self._stops) if fronted else hit.after
                first = self._since_told(0, hit.first, hit.first)
                yield Standing.ASKED, first, self._until_told(hit, after)

    def _supposed(self) -> Iterator[Scope]:
        words = self._words
        for name, stops in (("imagines", self._buts), ("supposes", self._stops)):
            for hit in self._marks.get(name, ()):
                even = hit.first > 0 and words[hit.first - 1] in _EVEN
                if not even and not _HOW & {*words[hit.after : hit.after + 1]}:
                    after = self._right(hit.after, stops)
                    yield Standing.SUPPOSED, hit.first, self._until_told(hit, after)

    def _asked(self) -> Iterator[Scope]:
        words, stops = self._words, self._stops
        greeted = {
            i for hit in self._marks.get("greeting", ()) for i in range(hit.first, hit.after)
        }
        for hit in self._marks.get("asks", ()):
            if hit.first not in greeted:  # "How work, doctor?" asks about no sign
                start = hit.first if words[hit.first] in _WHAT_IS else hit.after
                after = self._until_told(hit, self._right(start, stops))
                if not self._seeks_help(hit):
                    yield Standing.ASKED, hit.first, after
        for hit in self._marks.get("price", ()):
            after = self._right(hit.after, stops, clause_only=True)
            if not self._seeks_help(hit):
                yield Standing.ASKED, hit.first, after
        for hit in self._marks.get("asks_after", ()):
            if not NEGATIONS.isdisjoint(words[max(hit.first - 2, 0) : hit.first]):
                continue  # "no vaccine": what is lacking is not asked about
            first = self._since_told(self._left(hit.first, stops), hit.first, hit.first)
            if words[hit.first] in _WHAT_IS and hit.first - first > _NAME:
                first = hit.first
            yield Standing.ASKED, first, self._until_told(hit, self._right(hit.after, stops))

    def _seeks_help(self, hit: Hit) -> bool:
        return seeks_help(self._words[hit.first : self._right(hit.after, self._buts)])

    def _elsewhere(self) -> Iterator[Scope]:
        for hit in self._marks.get("elsewhere", ()):
            if not self._denied_or_compared(hit.first):
                left = self._left(hit.first, self._stops)
                first = self._since_told(left, hit.first, left, now=True)
                after = self._until_told(hit, self._right(hit.after, self._stops), now=True)
                yield Standing.ELSEWHERE, first, after

    def _left(self, start: int, stops: Sequence[int]) -> int:
        nearest = max((stop for stop in stops if stop < start), default=0)
        for i in range(start - 1, nearest - 1, -1):
            if self._words[i] in FULL_STOPS:
                return i + 1
        return nearest

    def _right(self, start: int, stops: Sequence[int], *, clause_only: bool = False) -> int:
        """As far as the sentence goes; or only the clause, where a sign stands before already."""
        words = self._words
        nearest = min((stop for stop in stops if stop >= start), default=len(words))
        for i in range(start, nearest):
            ends_clause = clause_only and (words[i] == "," or words[i] in _GOES_ON)
            if words[i] in FULL_STOPS or ends_clause:
                return i
        return nearest

    def _until_told(self, hit: Hit, after: int, *, now: bool = False) -> int:
        """No further than to where somebody is told of (`now`: as they are now, the next word
        included); "he" after "someone" may be anybody."""
        words = self._words
        if not _SOME_DAY.isdisjoint(words[hit.first : hit.after]):
            return after
        after = min([at for at in self._harmed if hit.first < at < after], default=after)
        for at in range(self._after_heading(hit) if now else hit.after, after):
            if now and told.plainly_now(words, at) and self._nearby(hit, at):
                return at
            told_here = at in self._told and at > hit.after and not self._of_anybody(hit, at)
            if told_here and (not now or told.of_now(words, at)):
                return at
        return after

    def _after_heading(self, hit: Hit) -> int:
        """ "Ten years ago, he convulses": a clause with its time before it is of that time."""
        heads = hit.first == 0 or self._words[hit.first - 1] in FULL_STOPS
        return hit.after + 2 * (heads and self._words[hit.after : hit.after + 1] == (",",))

    def _nearby(self, hit: Hit, at: int) -> bool:
        """What follows a mark at once, or further on "I am": but not "I dreamt that I am"."""
        return at == hit.after or (told.of_writer(self._words, at) and self._words[at - 1] != "que")

    def _of_anybody(self, hit: Hit, at: int) -> bool:
        return told.of_others(self._words, at) and told.of_nobody(self._words, hit.first, at)

    def _since_told(self, first: int, before: int, otherwise: int, *, now: bool = False) -> int:
        """Where the clause that ends at `before` begins, if somebody was told of since `first`;
        `otherwise`, if that is in this clause."""
        since = [at for at in sorted(self._told) if first <= at < before]
        if now:
            since = [at for at in since if told.of_now(self._words, at)]
        if not since:
            return first
        last = since[-1]
        cuts = [i + 1 for i in range(last, before) if self._words[i] == ","]
        return cuts[-1] if cuts else otherwise

    def _before_turn(self, start: int, after: int) -> int:
        """ "It was in 2016 and this pain": what is pointed at after "and" or a comma is here."""
        words = self._words
        for i in range(start, after - 1):
            if words[i] in _JOINTS and words[i + 1] in _HERE:
                return i
        return after

    def _goes_on(self, hit: Hit) -> bool:
        """ "Since 2019", "the same as back then", "for a long time", "in the past hour": of now."""
        words = self._words
        before = words[max(hit.first - 4, 0) : hit.first]
        since = bool(before) and before[-1] in _SINCE and not self._pidgin_year(hit.first)
        around = {*before[-2:], *words[hit.first : hit.after + 1]}
        lasts = words[hit.first] in _LONG and _AGO.isdisjoint(around)
        return since or lasts or not _ALIKE.isdisjoint(before) or self._lately(hit)

    def _lately(self, hit: Hit) -> bool:
        """ "In the past hour", "au cours des deux dernières heures"."""
        return not _LASTS.isdisjoint(self._words[hit.after : hit.after + 2]) and (
            self._words[hit.after - 1] == "past"
        )

    def _pidgin_year(self, i: int) -> bool:
        """ "For 2012" is Pidgin for "in 2012"."""
        return self._words[i - 1] == "for" and self._words[i].isdigit()

    def _denied_or_compared(self, first: int) -> bool:
        """ "This is not a joke", "as in the film": what is told is told of here and now."""
        before = self._words[max(first - 4, 0) : first]
        return not _ALIKE.isdisjoint(before) or not NEGATIONS.isdisjoint(before)
