"""Load and check rules: nothing gets in that is not complete and does not pass its examples. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triage import lexicon as lexicons
from triage import lines
from triage.conditions import BadCondition, Bits, Clauses, Vocabulary, compile_condition
from triage.expressions import BadExpression, pattern
from triage.facts import NAMES
from triage.levels import Level
from triage.lexicon import Lexicon, Sign
from triage.lines import BadRule
from triage.reader import Reader
from triage.signal import NAMES as LEARNED
from triage.signal import Signal
from triage.text import word_set

TONES = ("plain", "crisis", "violence")
STATUSES = ("draft", "active", "retired")
FACTS = NAMES | {"sex"}
_KEYS = word_set("id title level tone when asks advice follow_up examples source status signed_by")
_LANGUAGES = {
    "title": ("fr", "en"),
    "advice": ("fr", "en", "pcm"),
    "follow_up": ("fr", "en", "pcm"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as a clinician reads it. Texts are mappings from a language to words."""

    id: str
    title: Mapping[str, str]
    level: Level
    when: Any
    advice: Mapping[str, str]
    follow_up: Mapping[str, str]
    examples: Mapping[str, Sequence[str]]
    source: Mapping[str, Any]
    tone: str = "plain"
    asks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    status: str = "draft"
    signed_by: Mapping[str, Any] | None = None
    file: str = ""
    line: int = 0

    @property
    def signed(self) -> bool:
        return self.signed_by is not None


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule ready to be asked. `uses`: every bit that can help it to hold, `names` their signs.

    `learned`: it speaks for the learned signal, so a rule of the same level comes before it.
    `place`: of rules of one level, the one with the lowest speaks.
    """

    rule: Rule
    clauses: Clauses
    uses: int
    names: frozenset[str]
    rank: int
    learned: bool = False
    place: int = 0

    def holds(self, present: int) -> bool:
        return all(clause.holds(present) for clause in self.clauses)

    def missing(self, present: int) -> int:
        """The bits of which one would make it hold: those of its only unsatisfied clause."""
        missing = 0
        for clause in self.clauses:
            if not clause.holds(present):
                if missing:
                    return 0
                missing = clause.wanted
        return missing


@dataclass(frozen=True, slots=True)
class Derived:
    """A sign that follows from others or from facts, and the bits that it adds."""

    sign: Sign
    clauses: Clauses
    uses: int
    adds: int

    def holds(self, present: int) -> bool:
        return all(clause.holds(present) for clause in self.clauses)


class RuleSet:
    """The rules in force, compiled with the lexicon they speak in, and the learned signal."""

    def __init__(
        self, rules: Iterable[Rule], lexicon: Lexicon, signal: Signal | None = None
    ) -> None:
        self.lexicon = lexicon
        self.signal = signal
        self.bits = Bits()
        self._inline: dict[str, list[str]] = {}
        self._places = {name: i for i, name in enumerate(lexicon.leads)}
        self.rules = {rule.id: rule for rule in rules}
        self.derived = [self._derived(s) for s in lexicon.signs.values() if s.when is not None]
        self.compiled = [self._compile(r) for r in self.rules.values() if r.status == "active"]
        self.compiled.sort(key=lambda one: -one.rank)
        self.askable = self.bits.mask(n for n, sign in lexicon.signs.items() if sign.asks)
        says: dict[str, Sequence[str]] = {n: s.says for n, s in lexicon.signs.items() if s.says}
        says |= self._inline
        self.reader = Reader(
            says, lexicon.marks, lexicon.groups, lexicon.forms, lexicon.ordinary, self._messages()
        )
        self.by_bit = self._indexed()

    def _messages(self) -> list[str]:
        """The examples of all rules, as a sample of what people write."""
        return [
            text
            for rule in self.rules.values()
            for key in ("match", "no_match")
            for text in rule.examples[key]
        ]

    def _vocabulary(self, owner: str) -> Vocabulary:
        def inline(says: Mapping[str, Sequence[str]]) -> str:
            name = f"{owner}#{len(self._inline) + 1}"
            self._inline[name] = _checked_says(says, self.lexicon)
            return name

        return Vocabulary(self.bits, frozenset(self.lexicon.signs), FACTS, inline)

    def _derived(self, sign: Sign) -> Derived:
        try:
            clauses = compile_condition(sign.when, self._vocabulary(sign.name))
        except (BadCondition, BadExpression) as bad:
            raise BadRule(f"sign {sign.name}: {bad}", file=sign.file, line=sign.line) from None
        adds = 0
        for name in (sign.name, *sign.implies):
            adds |= self.bits.sign(name)
        return Derived(sign, clauses, _uses(clauses), adds)

    def _compile(self, rule: Rule) -> Compiled:
        try:
            clauses = compile_condition(rule.when, self._vocabulary(rule.id))
        except (BadCondition, BadExpression, BadRule) as bad:
            line = getattr(rule.when, "line", rule.line)
            raise BadRule(str(bad), rule=rule.id, file=rule.file, line=line) from None
        uses = _uses(clauses)
        if not uses:
            raise BadRule("holds for everything", rule=rule.id, file=rule.file, line=rule.line)
        names = frozenset(self.bits.names(uses))
        learned = bool(uses & self.bits.mask(LEARNED))
        place = self._places.get(rule.id, len(self._places))
        return Compiled(rule, clauses, uses, names, rule.level.rank, learned, place)

    def _indexed(self) -> dict[int, list[Compiled]]:
        """Rules by each bit of their first clause, without one of which they cannot hold."""
        index: dict[int, list[Compiled]] = {}
        for one in self.compiled:
            wanted = one.clauses[0].wanted
            while wanted:
                index.setdefault(wanted & -wanted, []).append(one)
                wanted &= wanted - 1
        return index

    def candidates(self, present: int) -> list[Compiled]:
        found: dict[str, Compiled] = {}
        while present:
            for one in self.by_bit.get(present & -present, ()):
                found[one.rule.id] = one
            present &= present - 1
        return list(found.values())


def _uses(clauses: Clauses) -> int:
    uses = 0
    for clause in clauses:
        uses |= clause.wanted
    return uses


def _checked_says(says: Mapping[str, Sequence[str]], lexicon: Lexicon) -> list[str]:
    for language in ("fr", "en"):
        if language not in says:
            raise BadRule(f"says has no {language}")
    found = lexicons.expressions(says)
    for expression in found:
        pattern(expression, lexicon.groups, lexicon.forms)
    return found


def load_folder(folder: Path) -> list[Rule]:
    """Every rule of `folder/*.yaml`."""
    rules: list[Rule] = []
    for path in sorted(folder.glob("*.yaml")):
        rules += read_rules(lines.load(path), path.name)
    return rules


def read_rules(documents: Iterable[Any], file: str = "") -> list[Rule]:
    rules: dict[str, Rule] = {}
    for document in documents:
        rule = read_rule(document, file)
        if rule.id in rules:
            raise BadRule("stands twice", rule=rule.id, file=file, line=rule.line)
        rules[rule.id] = rule
    return list(rules.values())


def read_rule(document: Any, file: str = "") -> Rule:
    """One rule, complete, or `BadRule` naming it and the line."""
    line = getattr(document, "line", 0)
    if not isinstance(document, Mapping) or not isinstance(document.get("id"), str):
        raise BadRule("a rule is a mapping with an id", file=file, line=line)
    name = document["id"]

    def bad(why: str, key: str = "") -> BadRule:
        at = getattr(document, "lines", {}).get(key, line)
        return BadRule(why, rule=name, file=file, line=at)

    if unknown := sorted(set(document) - _KEYS):
        raise bad(f"unknown {', '.join(unknown)}", unknown[0])
    for key in ("title", "level", "when", "advice", "examples", "source"):
        if not document.get(key):
            raise bad(f"has no {key}", key)
    for key, languages in _LANGUAGES.items():
        _check_languages(document.get(key), key, languages, bad)
    _check_values(document, bad)
    values: dict[str, Any] = {"follow_up": {}, **document, "level": Level(document["level"])}
    return Rule(**values, file=file, line=line)


def _check_languages(texts: Any, key: str, languages: Sequence[str], bad: Any) -> None:
    if texts is None:
        return
    if not isinstance(texts, Mapping):
        raise bad(f"{key} is a mapping from language to text", key)
    for language in languages:
        if not isinstance(texts.get(language), str) or not texts[language].strip():
            raise bad(f"{key} has no {language}", key)


def _check_values(document: Mapping[str, Any], bad: Any) -> None:
    if document["level"] not in ("emergency", "urgent", "routine", "self_care"):
        raise bad(f"unknown level {document['level']!r}", "level")
    if document["level"] == "emergency" and not document.get("follow_up"):
        raise bad("has no follow_up", "level")
    if document.get("tone", "plain") not in TONES:
        raise bad(f"unknown tone {document['tone']!r}", "tone")
    if document.get("status", "draft") not in STATUSES:
        raise bad(f"unknown status {document['status']!r}", "status")
    signature = document.get("signed_by")
    if signature is not None and not (
        isinstance(signature, Mapping) and signature.get("name") and signature.get("date")
    ):
        raise bad("signed_by is a name and a date, or null", "signed_by")
    examples = document["examples"]
    if not isinstance(examples, Mapping) or not all(examples.get(k) for k in ("match", "no_match")):
        raise bad("examples need match and no_match", "examples")
    for language in ("fr", "en") if document.get("asks") else ():
        if not document["asks"].get(language):
            raise bad(f"asks has no {language}", "asks")
    if not isinstance(document["source"], Mapping) or not document["source"].get("title"):
        raise bad("source has no title", "source")
