"""Facts and rules in, assessment out. Pure: no Django, no I/O.

`assess` reads a message, adds what it establishes to what is known of its subject, and asks the
rules. The worst match wins, every match is kept as a reason, and nothing here ever lowers a level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from triage import subjects
from triage.clauses import judge
from triage.facts import Facts, read_facts
from triage.language import detect, pick
from triage.levels import Level, worst
from triage.lines import BadRule
from triage.reader import Found, Hit
from triage.rules import Compiled, Rule, RuleSet
from triage.standings import Standing
from triage.state import State, Subject

MOST_QUESTIONS = 2
LEARNED = "learned.yaml"
"""The file of rules that hold for what a learned signal says."""

_GREETING = 6
_ANSWERED = ("yes", "no")
_SITUATIONS = ("worse", "money", "far", "on_the_way", "alone", "no_answer")


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that holds, and the patient's words that made it hold."""

    rule: Rule
    words: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.rule.id

    @property
    def level(self) -> Level:
        return self.rule.level

    @property
    def tone(self) -> str:
        return self.rule.tone

    @property
    def signed(self) -> bool:
        return self.rule.signed

    @property
    def learned(self) -> bool:
        """Whether it rests on a learned signal and on no rule for what was written."""
        return self.rule.file == LEARNED

    @property
    def source(self) -> Mapping[str, Any]:
        return self.rule.source

    def title(self, language: str) -> str:
        return pick(self.rule.title, language)


@dataclass(frozen=True, slots=True)
class Assessment:
    """How urgent a message is, and why. `matches` stand worst first.

    `kind` is `symptoms`, `follow_up` (a message after an emergency: far away, no money, on the
    way, worse: `situation`), `information` (asked about, idiom, news), `greeting` or `unclear`.
    """

    level: Level
    conversation_level: Level
    subject: str
    matches: tuple[Match, ...]
    language: str
    kind: str = "symptoms"
    situation: str | None = None
    asked: tuple[Mapping[str, str], ...] = ()
    signs: frozenset[str] = frozenset()
    facts: Mapping[str, Any] = field(default_factory=dict)
    wording: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def tone(self) -> str:
        """The quietest tone among the worst matches: violence, crisis, then plain."""
        tones = {match.tone for match in self.matches if match.level == self.level}
        return next((tone for tone in ("violence", "crisis") if tone in tones), "plain")

    @property
    def emergency(self) -> bool:
        return self.level is Level.EMERGENCY

    def advice(self, language: str | None = None) -> str:
        """What to do now: the worst rule's words, or the standing words for the level."""
        language = language or self.language
        if self.kind == "follow_up":
            return self.follow_up(language)
        if self.matches:
            return pick(self.speaker.rule.advice, language)
        return pick(self.wording.get("levels", {}).get(str(self.level), {}), language)

    def follow_up(self, language: str | None = None) -> str:
        """The answer to a message that follows an emergency."""
        language = language or self.language
        rule = pick(self.speaker.rule.follow_up, language) if self.matches else ""
        return " ".join(part for part in (self.situation_text(language), rule) if part)

    def situation_text(self, language: str) -> str:
        """The answer to "far away", "no money", "on the way" and the like, whatever the rule."""
        return pick(self.wording.get("situations", {}).get(self.situation or "", {}), language)

    def questions(self, language: str | None = None) -> list[str]:
        """At most two yes-or-no questions whose answer could raise the level."""
        return [pick(asked, language or self.language) for asked in self.asked]

    @property
    def speaker(self) -> Match:
        """Who speaks: among the worst matches the one with a quiet tone, else the first."""
        return next((m for m in self.matches if m.tone == self.tone), self.matches[0])


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one message establishes by itself."""

    found: Found
    hits: Sequence[tuple[Hit, Standing]]
    signs: frozenset[str]
    facts: Facts
    language: str

    def marked(self, *names: str) -> bool:
        return any(name in self.found.marks for name in names)


def assess(
    text: str,
    rules: RuleSet,
    *,
    state: State | None = None,
    declared: Mapping[str, Any] | None = None,
    language: str = "auto",
    at: datetime | None = None,
) -> tuple[Assessment, State]:
    """How urgent `text` is, and what is known afterwards.

    `declared` is the API's subject: key, relation, age_years, age_days, sex, pregnant. `at` is
    now, with a time zone.
    """
    state, at = state or State(), at or datetime.now(UTC)
    heard = _hear(text, rules, language, about_child=_child_spoken_of(state))
    if state.asked:
        heard = _with_answers(heard, state, rules)
    heard = _with_declared(heard, declared)
    state_then, told = state, []
    for key, part in _parts(heard, declared):
        assessment, subject = _worst_reading(key, part, state, rules, at, declared)
        told.append(assessment)
        known = {**state_then.subjects, assessment.subject: subject}
        state_then = State(known, assessment.subject)
    worst_told = max(told, key=lambda one: one.level.rank)
    asked = tuple(pick(question, "fr") for question in worst_told.asked)
    return worst_told, State(state_then.subjects, worst_told.subject, asked)


def _parts(
    heard: _Heard, declared: Mapping[str, Any] | None
) -> list[tuple[subjects.Mention, _Heard]]:
    """What is heard of each patient; of one, unless several are complained of each."""
    words = heard.found.words.words
    pregnant = "pregnant" in heard.signs
    whole = [(subjects.mentioned(words, pregnant=pregnant), heard)]
    if declared:
        return whole
    parts = [
        (subjects.Mention(key), _within(heard, stretches))
        for key, stretches in subjects.parted(words, pregnant=pregnant).items()
    ]
    return parts if len(parts) > 1 and all(part.hits for _, part in parts) else whole


def _within(heard: _Heard, stretches: Sequence[tuple[int, int]]) -> _Heard:
    """What some stretches of the words establish: their signs and facts and nobody else's."""
    hits = [
        (hit, standing)
        for hit, standing in heard.hits
        if any(first <= hit.first and hit.after <= after for first, after in stretches)
    ]
    signs = frozenset(hit.name for hit, standing in hits if standing is Standing.PRESENT)
    facts: Facts = {}
    for first, after in stretches:
        said = heard.found.words.between(first, after)
        facts = {**read_facts(said, about_child=_about_child(signs)), **facts}
    return replace(heard, hits=hits, signs=signs, facts=facts)


def _worst_reading(
    mention: subjects.Mention,
    heard: _Heard,
    state: State,
    rules: RuleSet,
    at: datetime,
    declared: Mapping[str, Any] | None,
) -> tuple[Assessment, Subject]:
    """The worst of what it means for each subject that it may be about."""
    readings = [
        _read_as(key, heard, state, rules, at, merge=mention.key is not None or i == 0)
        for i, key in enumerate(subjects.resolve(mention, state, declared))
    ]
    return max(readings, key=lambda one: one[0].level.rank)


def _about_child(signs: frozenset[str]) -> bool:
    return bool(signs & {"child_word", "baby_word"})


def _child_spoken_of(state: State) -> bool:
    """Then "he has twelve days", said next, is an age."""
    spoken_of = state.subjects.get(state.last or "")
    return spoken_of is not None and _about_child(spoken_of.signs)


def _hear(text: str, rules: RuleSet, language: str, *, about_child: bool = False) -> _Heard:
    found = rules.reader.read(text)
    hits = list(judge(found)) if found.signs else []
    hits += _learned(found, hits, rules)
    signs = frozenset(hit.name for hit, standing in hits if standing is Standing.PRESENT)
    words = found.words.words
    if language not in ("fr", "en", "pcm"):
        language = detect(words)
    facts = read_facts(found.words.text, about_child=about_child or _about_child(signs))
    return _Heard(found, hits, signs, facts, language)


def _learned(
    found: Found, hits: Sequence[tuple[Hit, Standing]], rules: RuleSet
) -> list[tuple[Hit, Standing]]:
    """What the learned signal hears, as a sign at the word that weighed most."""
    if rules.signal is None:
        return []
    heard = rules.signal.hear(found.words.words, _tellings(found, hits))
    if heard is None:
        return []
    name, at = heard
    return [(Hit(name, at, at + 1, negating=False), Standing.PRESENT)]


def _tellings(found: Found, hits: Sequence[tuple[Hit, Standing]]) -> list[str]:
    """How a message is told: its marks, and how its signs stand."""
    return [*found.marks, *sorted({f"sign {standing}" for _, standing in hits})]


def as_heard(text: str, rules: RuleSet) -> tuple[Sequence[str], list[str]]:
    """What the learned signal is told of a text: its words and how it is told."""
    found = rules.reader.read(text)
    return found.words.words, _tellings(found, list(judge(found)) if found.signs else [])


def _with_answers(heard: _Heard, state: State, rules: RuleSet) -> _Heard:
    """ "Oui" establishes what was asked; "non" and silence establish nothing."""
    answers = sorted(
        (hit.first, name) for name in _ANSWERED for hit in heard.found.marks.get(name, ())
    )
    if not answers or heard.found.words.words[answers[0][0]] != heard.found.words.words[0]:
        return heard
    given = [name for _, name in answers]
    if len(given) != len(state.asked):
        given = given[:1] * len(state.asked)
    said = [
        rules.reader.read(question)
        for question, answer in zip(state.asked, given, strict=True)
        if answer == "yes"
    ]
    signs = {hit.name for found in said for hit in found.signs}
    return replace(heard, signs=heard.signs | signs)


def _with_declared(heard: _Heard, declared: Mapping[str, Any] | None) -> _Heard:
    if not declared:
        return heard
    facts: dict[str, Any] = {
        name: declared[name]
        for name in ("age_years", "age_days", "sex")
        if declared.get(name) is not None
    }
    if "age_days" in facts:
        facts.setdefault("age_years", facts["age_days"] / 365.25)
    elif "age_years" in facts:
        facts["age_days"] = facts["age_years"] * 365.25
    signs = heard.signs | ({"pregnant"} if declared.get("pregnant") else set())
    return replace(heard, signs=signs, facts={**facts, **heard.facts})


def _read_as(
    key: str, heard: _Heard, state: State, rules: RuleSet, at: datetime, *, merge: bool
) -> tuple[Assessment, Subject]:
    """The message taken as being about one subject, and that subject afterwards."""
    before = state.subjects.get(key, Subject()).at(at)
    facts = {**before.facts, **heard.facts}
    signs, present = _established(heard.signs | before.signs, facts, rules)
    then = _established(before.signs, before.facts, rules)[1] if before.signs else 0
    new = present & ~then | rules.bits.mask(heard.signs)
    holding = [one for one in rules.candidates(present) if one.uses & new and one.holds(present)]
    holding.sort(key=lambda one: (-one.rank, one.learned, one.place))
    said = _said(heard) if holding else ()
    matches = tuple(Match(one.rule, _words(one, said)) for one in holding)
    level, kind = _level(matches, heard, rules)
    situation = None
    if before.level is Level.EMERGENCY and not matches and level is not Level.EMERGENCY:
        situation = next((name for name in _SITUATIONS if name in heard.found.marks), None)
        if situation:
            level, kind = Level.EMERGENCY, "follow_up"
            matches = tuple(Match(rules.rules[i], ()) for i in before.rules if i in rules.rules)
    asked = () if level is Level.EMERGENCY else _questions(rules, holding, present, heard, level)
    overall = worst(before.level, level)
    assessment = Assessment(
        level, overall, key, matches, heard.language, kind, situation, asked, signs, facts,
        rules.lexicon.wording,
    )  # fmt: skip
    return assessment, _after(before, assessment, signs, at, rules)


def _after(
    before: Subject, now: Assessment, signs: frozenset[str], at: datetime, rules: RuleSet
) -> Subject:
    table = rules.lexicon.signs
    lasting = frozenset(s for s in signs if s in table and table[s].kind == "condition")
    raised = now.level.rank >= before.level.rank and now.matches
    return Subject(
        signs=frozenset(s for s in signs if s not in table or table[s].when is None),
        lasting=lasting | before.lasting,
        facts=now.facts,
        level=now.conversation_level,
        rules=tuple(m.id for m in now.matches if m.level is now.level) if raised else before.rules,
        seen=at,
    )


def _established(
    signs: frozenset[str], facts: Mapping[str, Any], rules: RuleSet
) -> tuple[frozenset[str], int]:
    """Signs with what they imply and what follows from facts, and all of it as bits."""
    table = rules.lexicon.signs
    found = set(signs)
    for name in signs:
        if name in table:
            found.update(table[name].implies)
    present = rules.bits.mask(found) | rules.bits.of_facts(facts)
    for one in rules.derived:
        if one.uses & present and one.sign.name not in found and one.holds(present):
            found.update((one.sign.name, *one.sign.implies))
            present |= one.adds
    return frozenset(found), present


def _said(heard: _Heard) -> list[tuple[str, str]]:
    """The signs that are there, each with the words that say so."""
    between = heard.found.words.between
    return [
        (hit.name, between(hit.first, hit.after))
        for hit, standing in heard.hits
        if standing is Standing.PRESENT
    ]


def _words(one: Compiled, said: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([words for name, words in said if name in one.names]))


def _level(matches: Sequence[Match], heard: _Heard, rules: RuleSet) -> tuple[Level, str]:
    """The worst match; without one what kind of message it is. Not understood is not harmless."""
    if matches:
        return matches[0].level, "symptoms"
    if _complains(heard, rules):
        return Level.ROUTINE, "symptoms"
    standings = {standing for _, standing in heard.hits}
    if standings & {Standing.NEGATED, Standing.PAST}:
        return Level.UNKNOWN, "unclear"
    if standings & {Standing.ASKED, Standing.IDIOM, Standing.ELSEWHERE, Standing.SUPPOSED}:
        return Level.NONE, "information"
    strange, of = rules.reader.strangers(heard.found.words)
    if of and strange * 2 <= of:
        for kind in ("information", "greeting"):
            if heard.marked(*_HARMLESS[kind]) and (kind != "greeting" or of <= _GREETING):
                return Level.NONE, kind
    return Level.UNKNOWN, "unclear"


_HARMLESS = {
    "information": ("asks", "asks_after", "administration", "elsewhere", "idiom", "supposes"),
    "greeting": ("greeting", "yes", "no"),
}


def _complains(heard: _Heard, rules: RuleSet) -> bool:
    table = rules.lexicon.signs
    return any(name in table and table[name].kind == "sign" for name in heard.signs)


def _questions(
    rules: RuleSet, holding: Sequence[Compiled], present: int, heard: _Heard, level: Level
) -> tuple[Mapping[str, str], ...]:
    """The questions of the worst match, then what a worse rule lacks one answer for."""
    asked: list[Mapping[str, str]] = []
    for one in holding[:1]:
        count = min((len(texts) for texts in one.rule.asks.values()), default=0)
        asked += [{k: v[i] for k, v in one.rule.asks.items()} for i in range(count)]
    if heard.signs or heard.facts:
        asked += _lacking(rules, present, heard, level)
    unique = {pick(question, "fr"): question for question in asked}
    return tuple(unique.values())[:MOST_QUESTIONS]


def _lacking(rules: RuleSet, present: int, heard: _Heard, level: Level) -> list[Mapping[str, str]]:
    table = rules.lexicon.signs
    denied = {hit.name for hit, standing in heard.hits if standing is Standing.NEGATED}
    votes: dict[str, int] = {}
    rank = level.rank
    for one in rules.compiled:
        if one.rank <= rank:
            break
        if one.uses & present and (missing := one.missing(present)):
            for name in rules.bits.names(missing & rules.askable):
                if name not in denied:
                    votes[name] = votes.get(name, 0) + one.rank
    return [table[name].asks for name in sorted(votes, key=lambda n: -votes[n])]


def check_examples(rules: RuleSet) -> None:
    """Every active rule proves itself on its own examples, or `BadRule`."""
    for one in rules.compiled:
        rule = one.rule
        for wanted, key in ((True, "match"), (False, "no_match")):
            for example in rule.examples[key]:
                assessment, _ = assess(example, rules)
                if (rule.id in {match.id for match in assessment.matches}) is not wanted:
                    line = getattr(rule.examples, "line", rule.line)
                    raise BadRule(
                        f"broken example ({key}): {example!r}",
                        rule=rule.id, file=rule.file, line=line,
                    )  # fmt: skip
