"""The words triage knows: signs, marks, word groups, spellings, wording. Pure.

Read from `fixtures/rules/lexicon/`. A sign is what a patient may have ("chest_pain"), with the
expressions people use for it in any language, the question that asks for it, what it implies,
and the facts it follows from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triage import lines
from triage.lines import BadRule

KINDS = ("sign", "condition", "context")


@dataclass(frozen=True, slots=True)
class Sign:
    """`kind`: sign (a complaint), condition (a known, lasting state) or context (age, setting)."""

    name: str
    says: tuple[str, ...] = ()
    kind: str = "sign"
    implies: tuple[str, ...] = ()
    when: Any = None
    asks: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Lexicon:
    """`marks` are the expressions about the telling; `wording` the texts that belong to no rule.

    `leads` are the rules that speak before others of their level, the first of them first.
    """

    signs: Mapping[str, Sign]
    marks: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, str]
    forms: Mapping[str, str]
    ordinary: frozenset[str]
    wording: Mapping[str, Any]
    leads: tuple[str, ...] = ()


def load(folder: Path) -> Lexicon:
    signs: dict[str, Sign] = {}
    for path in sorted(folder.glob("signs*.yaml")):
        for document in lines.load(path):
            for name, spec in document.items():
                if name in signs:
                    raise BadRule(f"sign {name} stands twice", file=path.name)
                signs[name] = _sign(name, spec or {}, path.name)
    reading = _one(folder / "reading.yaml")
    groups = {name: _alternation(words) for name, words in _one(folder / "groups.yaml").items()}
    return Lexicon(
        signs=signs,
        marks={name: tuple(says) for name, says in reading["marks"].items()},
        groups=groups,
        forms={str(typed): str(meant or "") for typed, meant in reading["forms"].items()},
        ordinary=frozenset(" ".join(reading["ordinary"]).split()),
        wording=_one(folder / "wording.yaml"),
        leads=tuple(_one(folder / "leads.yaml")["leads"]),
    )


def _one(path: Path) -> dict[str, Any]:
    return dict(lines.load(path)[0])


def _alternation(words: Any) -> str:
    return "|".join(str(word) for word in words) if isinstance(words, list) else str(words)


def _sign(name: str, spec: Any, file: str) -> Sign:
    unknown = set(spec) - {"says", "kind", "implies", "when", "asks"}
    line = getattr(spec, "line", 0)
    if unknown:
        raise BadRule(f"sign {name} has unknown {sorted(unknown)}", file=file, line=line)
    kind = spec.get("kind", "sign")
    if kind not in KINDS:
        raise BadRule(f"sign {name} is of no kind {kind!r}", file=file, line=line)
    return Sign(
        name=name,
        says=tuple(expressions(spec.get("says", ()))),
        kind=kind,
        implies=tuple(spec.get("implies", ())),
        when=spec.get("when"),
        asks=spec.get("asks", {}),
        file=file,
        line=line,
    )


def expressions(says: Mapping[str, Sequence[str]] | Sequence[str]) -> list[str]:
    """All expressions of a `says`, whatever language they are filed under."""
    lists = list(says.values()) if isinstance(says, Mapping) else [says]
    found = [expression for one in lists for expression in one]
    for expression in found:
        if not isinstance(expression, str) or not expression.strip():
            raise BadRule(f"an expression must be text (quote it?): {expression!r}")
    return found
