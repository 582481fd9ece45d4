"""A stream of text as words, numbers and signs, each known only once it is certain to have ended.

A number is read whole, the way people write it: `38,5`, `16/10`, `10/10/2025`, `2-3`, `1 500`, and
also `9 1 1` and `+237 6 77 12 34 56`; what it can be (a number to call, an amount) is in its keys.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from ai.language import fold

LONGEST_WORD, LONGEST_NUMBER, LONGEST_ADDRESS = 60, 24, 300

# Letters with their accents; characters without width are part of the word that they are hidden in.
_HIDDEN = "\u00ad\u200b-\u200f\u2060\ufeff"
_LETTERS = rf"(?:[^\W\d_]|[\u0300-\u036f{_HIDDEN}]){{1,{LONGEST_WORD}}}"
_MARKS = rf"[*_`~{_HIDDEN}]{{0,2}}"
_JOINT = rf"{_MARKS}[ \u00a0\u202f.,/:\-\u2010-\u2013]?{_MARKS}"
_NUMBER = rf"(?:\+{_MARKS}(?=\d))?\d(?:{_JOINT}\d){{0,{LONGEST_NUMBER}}}"
_ADDRESS = rf"(?:https?://|www\.)[^\s)\]>]{{0,{LONGEST_ADDRESS}}}"
_DOMAIN = (
    r"(?<=[^\W_])\.(?:com|org|net|fr|cm|info|int|gov|edu|africa)(?![^\W_])"
    rf"(?:[/:?#][^\s)\]]{{0,{LONGEST_ADDRESS}}})?"
)
_MAILBOX = r"@[\w-]{1,60}(?:\.[\w-]{1,30})+"
_LINK = rf"\]\([^)\n]{{0,{LONGEST_ADDRESS}}}\)"
_CITED = r"\[\^?\d[\d ,;–-]{0,20}\]|【[^】\n]{0,40}】"

_TOKEN = re.compile(
    rf" ?(?P<cited>{_CITED})|(?P<link>{_LINK})|(?P<address>{_ADDRESS})|(?P<domain>{_DOMAIN})"
    rf"|(?P<mailbox>{_MAILBOX})|(?P<word>{_LETTERS})|(?P<number>{_NUMBER}|[½¼¾])|(?P<sign>.)",
    re.DOTALL | re.IGNORECASE,
)
# The end of a piece that may go on to be something else than the signs and words it looks like.
_UNDECIDED = re.compile(
    r" ?\[\^?(?:\d[\d ,;–-]{0,20})?| ?【[^】\n]{0,40}| "
    rf"|\](?:\([^)\n]{{0,{LONGEST_ADDRESS}}})?"
    r"|h(?:t(?:t(?:ps?(?::/?)?)?)?)?|w(?:ww?)?|\.[a-z]{0,6}|@[\w-]{0,60}(?:\.[\w-]{0,30})*"
    rf"|\+{_MARKS}",
    re.IGNORECASE,
)
_WORD = re.compile(_LETTERS)
_ADDRESS_LETTERS = frozenset("hHwW")
_CITATION_SIGNS = frozenset("[【")
UNDECIDED = -1
_UNFINISHED_NUMBER = re.compile(rf"{_NUMBER}{_JOINT}", re.DOTALL)


class Token(NamedTuple):
    """`kind` is word, number, sign, cited, link, address, domain or mailbox."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokens(text: str, at: int, offset: int, *, whole: bool) -> Iterator[Token]:
    """The tokens of `text` from `at` on that no further text can change; all of them if `whole`.

    `offset` is where `text` stands in the stream; `text[:at]` is there to be looked back at.
    """
    while at < len(text):
        end = _plain_end(text, at)
        if end > at:
            yield Token("sign" if text[at] == " " else "word", text[at:end], offset + at)
            at = end
            continue
        if end == UNDECIDED and not whole:
            return
        found = _TOKEN.match(text, at)
        assert found is not None  # a sign is any character
        if not whole and _may_change(text, at, found):
            return
        yield Token(str(found.lastgroup), found[0], offset + at)
        at = found.end()


def _plain_end(text: str, at: int) -> int:
    """Where a word or a space ends, which is what most of a text is: 0 where it may be part of
    something else, `UNDECIDED` where the next piece tells.
    """
    first = text[at]
    if first == " ":
        if at + 1 == len(text):
            return UNDECIDED
        return 0 if text[at + 1] in _CITATION_SIGNS else at + 1
    if first in _ADDRESS_LETTERS:
        return 0
    found = _WORD.match(text, at)
    if found is None:
        return 0
    return found.end() if found.end() < len(text) else UNDECIDED


def _may_change(text: str, at: int, found: re.Match[str]) -> bool:
    if found.end() == len(text) and found.lastgroup not in ("sign", "cited", "link"):
        return True
    if found.lastgroup == "number":
        return _unfinished(text, at)
    undecided = _UNDECIDED.match(text, at)
    return undecided is not None and undecided.end() == len(text)


def _unfinished(text: str, at: int) -> bool:
    """« 38, » may go on as « 38,5 »."""
    found = _UNFINISHED_NUMBER.match(text, at)
    return found is not None and found.end() == len(text)


@lru_cache(4096)
def folded(word: str) -> str:
    """A word for comparing: lower case, no accents, nothing invisible."""
    if word.isascii():
        return word.lower()
    plain = fold(word).replace("œ", "oe").replace("æ", "ae")
    return "".join(c for c in plain if unicodedata.category(c) != "Cf")


_FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4"}
_DATE = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-](?:\d{4}|\d{2})|\d{4}[/-]\d{1,2}[/-]\d{1,2}")
_THOUSANDS = re.compile(r"\d{1,3}(?:[ .,]000)+|\d{1,2}(?:[ ,]\d{3})+")
_SPAN = re.compile(r"(\d{1,4}(?:[.,]\d{1,2})?) ?- ?(\d{1,4}(?:[.,]\d{1,2})?)")
_DECIMAL = re.compile(r"\d{1,4}[.,]\d{1,3}")
_RATIO = re.compile(r"\d{1,3}/\d{1,3}")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
_SIGNS = re.compile(rf"[*_`~{_HIDDEN}]")


def plain_number(text: str) -> str:
    """As people mean it: ordinary digits, no marks, one kind of space and dash."""
    text = _FRACTIONS.get(text, text)
    text = _SIGNS.sub("", unicodedata.normalize("NFKC", text))
    return re.sub(r"[\u2010-\u2013]", "-", re.sub(r"\s", " ", text))


def digits(text: str) -> str:
    return "".join(str(unicodedata.digit(c)) for c in plain_number(text) if c.isdigit())


def number_keys(text: str) -> tuple[str, ...]:
    """What a number may be: `<dial>` one to call, `<amount>` one to measure with, `<digit>`…"""
    plain = plain_number(text)
    if _DATE.fullmatch(plain) or _CLOCK.fullmatch(plain):
        return ("<other>",)
    if any(known.fullmatch(plain) for known in (_SPAN, _DECIMAL, _RATIO, _THOUSANDS)):
        return ("<amount>",)
    figures = digits(text)
    if plain.startswith("+") or (len(figures) > 6 and not set(plain) & set(",/:")):
        return ("<phone>", "<dial>")
    keys = ("<digit>",) if len(figures) == 1 else ("<dial>", f"<{figures}>")
    return (*keys, "<amount>")
