"""A second opinion, learned from messages: may raise a level, never lower one. Pure, no numpy.

A linear model over words, pairs of words, pieces of words and the reader's marks ("past", "asks"),
hashed into one table of small integers. What it hears becomes a sign like any other
(`learned_emergency`, `learned_urgent`), which the rules of `fixtures/rules/learned.yaml` speak for;
so what it says stands beside the rules' own reasons, labelled, with the word that weighed most.
`manage.py train_signal` makes the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zlib import crc32

FILE = Path(__file__).resolve().parent / "data" / "signal.bin"
BITS = 18
NAMES = ("learned_emergency", "learned_urgent")
"""What may be heard, worst first; each has its own weights and threshold."""

MOST_WORDS = 64
"""It learned from messages of at most so many words, marks of punctuation counted, and says nothing
of longer texts: it calls clinicians' vignettes emergencies.
"""

_LONGEST_WORD = 20
_MOST_KNOWN = 20_000
_MASK = (1 << BITS) - 1
_UPPER = 1 << 24
_WORD, _PIECE, _MARK = 1, 2, 3
_PIECES = (3, 4)
WHOLE = 4
"""What a word, a pair of words or a mark counts, where a piece of a word counts 1: pieces are many."""


def of_word(word: str) -> list[int]:
    """Features of a word by itself: the word (first), and its pieces of three and four letters."""
    spelled = word.encode("ascii", "replace")[:_LONGEST_WORD]
    found = [crc32(spelled, _WORD) & _MASK]
    if word.isalpha():
        edged = b"_" + spelled + b"_"
        for size in _PIECES:
            found += [
                crc32(edged[i : i + size], _PIECE) & _MASK for i in range(len(edged) - size + 1)
            ]
    return found


def of_pair(first: int, second: int) -> int:
    """The feature of two words that follow each other, from their own."""
    return (first * 31 + second * 17 + 7) & _MASK


def of_mark(name: str) -> int:
    return crc32(name.encode(), _MARK) & _MASK


def features(words: Sequence[str], marks: Iterable[str]) -> list[tuple[int, int]]:
    """Everything the model sees of a message, with what it counts, as often as it occurs."""
    single = [of_word(word) for word in words]
    whole = [one[0] for one in single]
    whole += [of_pair(a, b) for a, b in pairwise(whole)] + [of_mark(name) for name in marks]
    return [(i, WHOLE) for i in whole] + [(i, 1) for one in single for i in one[1:]]


@dataclass(frozen=True, slots=True)
class Weights:
    """One opinion: a message's weights, summed over the root of their number, above a threshold."""

    table: bytes
    """One signed byte a feature."""
    bias: float
    threshold: float
    """Both in units of the table."""


class Signal:
    """What was learned, ready to be asked.

    Both tables are one list of whole numbers, a weight in the upper and one in the lower digits, so
    that one addition adds both.
    """

    def __init__(self, opinions: Sequence[Weights]) -> None:
        tables = [memoryview(one.table).cast("b") for one in opinions]
        self._table = [worst * _UPPER + other for worst, other in zip(*tables, strict=True)]
        self._least = [one.threshold - one.bias for one in opinions]
        self._known: dict[str, tuple[int, int, int]] = {}

    def hear(self, words: Sequence[str], marks: Iterable[str]) -> tuple[str, int] | None:
        """What is heard, and which word weighed most for it; mostly nothing."""
        if not 0 < len(words) <= MOST_WORDS:
            return None
        table, known, before = self._table, self._known, -1
        total = count = 0
        for word in words:
            own, features, weights = known.get(word) or self._meet(word)
            total += weights
            count += features
            if before >= 0:
                total += WHOLE * table[of_pair(before, own)]
                count += 1
            before = own
        for name in marks:
            total += WHOLE * table[of_mark(name)]
            count += 1
        for which, sum_ in enumerate(_unpacked(total)):
            if sum_ > self._least[which] * count**0.5:
                return NAMES[which], self._heaviest(words, which)
        return None

    def _heaviest(self, words: Sequence[str], which: int) -> int:
        known = [self._known.get(word) or self._meet(word) for word in words]
        weights = [_unpacked(one[2])[which] for one in known]
        return weights.index(max(weights))

    def _meet(self, word: str) -> tuple[int, int, int]:
        """A word's own feature, how many features it has, and their weights, which are kept."""
        found = of_word(word)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        weights = [self._table[i] for i in found]
        weighed = sum(weights) + (WHOLE - 1) * weights[0]
        kept = self._known[word] = (found[0], len(found), weighed)
        return kept


def _unpacked(total: int) -> tuple[int, int]:
    lower = (total + _UPPER // 2) % _UPPER - _UPPER // 2
    return (total - lower) // _UPPER, lower


def write(path: Path, opinions: Sequence[Weights], note: dict[str, object]) -> None:
    """One line of JSON, then a table of bytes for each opinion."""
    head = {
        "bits": BITS,
        "opinions": [
            {"name": name, "bias": one.bias, "threshold": one.threshold}
            for name, one in zip(NAMES, opinions, strict=True)
        ],
        **note,
    }
    path.write_bytes(json.dumps(head).encode() + b"\n" + b"".join(one.table for one in opinions))


def load(path: Path = FILE) -> Signal:
    """Raises `ValueError` where the file is not what this code reads."""
    head, _, tables = path.read_bytes().partition(b"\n")
    said = json.loads(head)
    names = tuple(one["name"] for one in said["opinions"])
    size = 1 << BITS
    if said["bits"] != BITS or names != NAMES or len(tables) != size * len(NAMES):
        raise ValueError(f"{path}: not the signal of this version; run manage.py train_signal")
    return Signal(
        [
            Weights(tables[i * size : (i + 1) * size], one["bias"], one["threshold"])
            for i, one in enumerate(said["opinions"])
        ]
    )
