"""From the expressions that people write to what re2 matches. Pure.

An expression is a regular expression over canonical text, and so may be typed with accents,
apostrophes and `ne`. Three things are added: `{chest}` stands for a word group, `...` for up to
four words of the same clause, and `~` for any ending ("vomi~").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import re2

from triage.text import fold, without_contractions

_GROUP = re.compile(r"\{([a-z_]+)\}")
_ESCAPE = re.compile(r"(\\[A-Za-z])")
_PLAIN = re.compile(r"(?<![\\\w~])(?<![a-z][?*+])[a-z]+(?![\w~*+?{])")
_WORD = re.compile(r"(?<!\\)[a-z]{3,}~?")
_NE = re.compile(r"\x02(?:ne|n') ?\x03\? ?|\b(?:ne |n')")
_OPTIONAL_GAP = re.compile(r"\((?:\?:)?\.\.\. \)\?")
_GAPS = re.compile(r"(?:\s*\.\.\.\s*)+")
_GAP = r"(?:[a-z0-9][a-z0-9./]* ){0,%d}"
_FIRST = 0xE000
_NEUTRAL = (b"", b" ", b" zq 7 xk ", b" qwxz , 12.5 vbnk . ")
_ANYWHERE = re2._Anchor.UNANCHORED
_OPTIONS = re2.Options()
_OPTIONS.never_capture = True
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 32 << 20


class BadExpression(ValueError):
    """re2 refuses it, it matches everything, or it names a word group that does not exist."""


def expand(expression: str, groups: Mapping[str, str]) -> str:
    """The expression with its word groups written out, folded as the text will be."""

    def group(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in groups:
            raise BadExpression(f"unknown word group {{{name}}} in {expression!r}")
        return f"(?:{expand(groups[name], groups)})"

    return _GROUP.sub(group, _folded(expression))


def _folded(expression: str) -> str:
    pieces = _ESCAPE.split(expression)
    return "".join(piece if i % 2 else _fold_piece(piece) for i, piece in enumerate(pieces))


def _fold_piece(piece: str) -> str:
    """`fold`, keeping the characters that mean something to re2 and to us."""
    kept = {"...": "\x01", "(": "\x02", ")": "\x03", "+": "\x04", "[": "\x05", "]": "\x06"}
    for sign, mark in kept.items():
        piece = piece.replace(sign, mark)
    piece = _NE.sub("", without_contractions(fold(piece))).replace("'", " ")
    for sign, mark in kept.items():
        piece = piece.replace(mark, sign)
    return piece


def pattern(expression: str, groups: Mapping[str, str], forms: Mapping[str, str]) -> bytes:
    """What re2 is given, checked to compile and not to match everything."""
    writer = Writer(groups, forms)
    compiled = writer.pattern(writer.outline(expression))
    check(compiled, expression)
    return compiled


class Writer:
    """Writes expressions for re2, by way of outlines in which a word group is one character.

    `groups` gives the expression that each of these characters stands for.
    """

    def __init__(self, groups: Mapping[str, str], forms: Mapping[str, str]) -> None:
        self._forms = forms
        self._signs = {name: chr(_FIRST + i) for i, name in enumerate(groups)}
        expanded = {name: expand(f"{{{name}}}", groups) for name in groups}
        self.groups = {self._signs[name]: self._spelt(one) for name, one in expanded.items()}
        self._written = {ord(sign): self._finish(one) for sign, one in self.groups.items()}

    def outline(self, expression: str) -> str:
        def sign(found: re.Match[str]) -> str:
            if found.group(1) not in self._signs:
                raise BadExpression(f"unknown word group {{{found.group(1)}}} in {expression!r}")
            return self._signs[found.group(1)]

        outline = self._spelt(_GROUP.sub(sign, _folded(expression)))
        return rf"\b(?:{self._finish(outline)})\b"

    def pattern(self, outline: str) -> bytes:
        return outline.translate(self._written).encode("ascii", "replace")

    def _spelt(self, expanded: str) -> str:
        return _PLAIN.sub(lambda word: one_word(word.group(), self._forms), expanded)

    def _finish(self, spelt: str) -> str:
        return _GAPS.sub(_gap, _OPTIONAL_GAP.sub("...", spelt)).replace("~", "[a-z]*")


def _gap(found: re.Match[str]) -> str:
    lead = " " if found.group()[0].isspace() else ""
    return lead + _GAP % (4 * found.group().count("..."))


def alternatives(expression: str) -> list[str]:
    """An expression as the expressions it is an alternation of, so that each is judged alone."""
    parts, depth, start = [], 0, 0
    for i, sign in enumerate(expression):
        depth += (sign == "(") - (sign == ")")
        if sign == "|" and depth == 0:
            parts.append(expression[start:i])
            start = i + 1
    parts.append(expression[start:])
    if len(parts) > 1:
        return [one for part in parts for one in alternatives(part)]
    if expression.startswith("(") and _closing(expression) == len(expression) - 1:
        inner = expression[1:-1].removeprefix("?:")
        found = alternatives(inner)
        return found if len(found) > 1 else [expression]
    return [expression]


def _closing(expression: str) -> int:
    depth = 0
    for i, sign in enumerate(expression):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return i
    return -1


def one_word(word: str, forms: Mapping[str, str]) -> str:
    """The spelling that the text will have: "ça" is typed "sa", so both become one."""
    form = forms.get(word, word)
    return form if form and " " not in form else word


def check(compiled: bytes, expression: str) -> None:
    _check(compile_bytes(compiled, expression), expression)


def _check(compiled: re2._Regexp, expression: str) -> None:
    if any(compiled.search(text) for text in _NEUTRAL):
        raise BadExpression(f"{expression!r} matches everything")


def compile_bytes(compiled: bytes, expression: str = "") -> re2._Regexp:
    try:
        return re2.compile(compiled, _OPTIONS)
    except re2.error as refused:
        raise BadExpression(f"re2 refuses {expression!r}: {refused}") from None


class Finder:
    """Gives the first and last byte of the leftmost match between two places, or (-1, -1).

    Asks re2 itself: the wrapper's match objects cost twice the search. What is `proven` (it has
    been compiled before) is compiled when it is first asked for.
    """

    __slots__ = ("_compiled", "_expression", "_match")

    def __init__(self, compiled: bytes, expression: str, *, proven: bool = False) -> None:
        self._compiled, self._expression = compiled, expression
        self._match: Any = None if proven else self._proved()

    def __call__(self, text: bytes, start: int, end: int) -> tuple[int, int]:
        if self._match is None:
            self._match = compile_bytes(self._compiled, self._expression)._regexp.Match
        found: tuple[int, int] = self._match(_ANYWHERE, text, start, end)[0]
        return found

    def _proved(self) -> Any:
        regexp = compile_bytes(self._compiled, self._expression)
        _check(regexp, self._expression)
        return regexp._regexp.Match


def vocabulary(expression: str, groups: Mapping[str, str]) -> set[str]:
    """The words an expression spells, as targets for `Spelling`; stems keep their `~`."""
    return set(_WORD.findall(expand(expression, groups)))
