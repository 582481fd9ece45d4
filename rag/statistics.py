"""Case records in, de-identified counts out: ages in bands, months not days, no small numbers.

Only what at least `SMALLEST` records share is ever said, so neither a rare diagnosis nor a sentence
written about one person can point at somebody.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rag.guidance import Parsed, Section
from rag.records import COLUMNS, Report

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SMALLEST = 5
MOST_DIAGNOSES = 200
MOST_COUNTED = 50_000
MOST_REMEMBERED = 4_000_000
LONGEST_CELL = 200
BANDS = (("0-4", 0), ("5-14", 5), ("15-24", 15), ("25-44", 25), ("45-64", 45), ("65+", 65))
_TOO_LONG = f"repeated rows are noticed among the first {MOST_REMEMBERED} only"
_FORMULA = re.compile(r"^[\s=+@\-|]+(?=\D)")
_MARKUP = re.compile(r"[<>{}\[\]|`#*\\]+")
"""What could end a document, begin a heading or a role, or cite a source where this text is quoted."""

_DATA = Path(__file__).parent / "data" / "local_statistics.yaml"


@cache
def wording() -> dict[str, Any]:
    return yaml.safe_load(_DATA.read_text(encoding="utf-8"))


@dataclass(slots=True)
class Seen:
    """Eight bytes for each row read, to notice repeated ones, up to `MOST_REMEMBERED` rows.

    Sorted runs, each at least twice as long as the next: a look costs a few binary searches, and
    remembering does not sort everything again with each batch.
    """

    runs: list[np.ndarray] = field(default_factory=list)
    full: bool = False

    def repeated(self, hashes: np.ndarray) -> np.ndarray:
        """True for each row whose hash came before; remembers the others while there is room."""
        import numpy as np

        new, first = np.unique(hashes, return_index=True)
        repeated = np.ones(len(hashes), bool)
        repeated[first] = False
        for run in self.runs:
            at = np.searchsorted(run, hashes).clip(max=len(run) - 1)
            repeated |= run[at] == hashes
        self._remember(new[~repeated[first]])
        return repeated

    def _remember(self, new: np.ndarray) -> None:
        import numpy as np

        self.full = self.full or sum(map(len, self.runs)) + len(new) > MOST_REMEMBERED
        if self.full or not len(new):
            return
        while self.runs and len(self.runs[-1]) < 2 * len(new):
            new = np.sort(np.concatenate([new, self.runs.pop()]))
        self.runs.append(new)


@dataclass(slots=True)
class Cases:
    """Counts over all records of a file; what is kept has a limit, however long the file is."""

    report: Report
    rows: Seen = field(default_factory=Seen)
    ids: Seen = field(default_factory=Seen)
    counts: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=lambda: {name: Counter() for name in ("sex", "age", "month", "notes")}
    )
    diagnoses: Counter[str] = field(default_factory=Counter)

    def add(self, frame: pd.DataFrame) -> None:
        """Count a batch of records as `rag.records.batches` yields them."""
        frame = self._keep(frame.apply(lambda column: column.str.strip()))
        diagnosis = self._words(frame["diagnosis"], "diagnosis").str.casefold()
        columns = {
            "sex": self._sexes(frame["patient_gender"]),
            "age": self._ages(frame["patient_age"]),
            "month": self._months(frame["date_recorded"]),
            "notes": self._words(frame["summary_text"], "summary_text"),
        }
        for column in ("body_temp_c", "blood_pressure_systolic", "heart_rate"):
            self._numbers(frame[column], column)
        self.report.kept += len(frame)
        _count(self.diagnoses, diagnosis.value_counts().items())
        for name, values in columns.items():
            _count(self.counts[name], _pairs(diagnosis, values))

    def _keep(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Drop, for the first reason that holds, repeated rows and rows that say nothing."""
        import pandas as pd

        empty = (frame["diagnosis"] == "") & (frame["summary_text"] == "")
        content = frame.drop(columns="summary_id")
        same = self.rows.repeated(pd.util.hash_pandas_object(content, index=False).to_numpy())
        named = frame["summary_id"] != ""
        ids = pd.util.hash_pandas_object(frame["summary_id"], index=False)
        again = pd.Series(False, index=frame.index)
        again[named] = self.ids.repeated(ids[named].to_numpy())
        dropped = pd.Series(False, index=frame.index)
        for reason, rows in (
            ("neither diagnosis nor summary", empty),
            ("the same record again", pd.Series(same, index=frame.index)),
            ("a summary_id seen before", again),
        ):
            _add(self.report.dropped, reason, int((rows & ~dropped).sum()))
            dropped |= rows
        if (self.rows.full or self.ids.full) and _TOO_LONG not in self.report.notes:
            self.report.notes.append(_TOO_LONG)
        kept = frame[~dropped]
        for column in COLUMNS:
            _add(self.report.missing, column, int((kept[column] == "").sum()))
        return kept

    def _words(self, texts: pd.Series, column: str) -> pd.Series:
        formula, markup = texts.str.match(_FORMULA), texts.str.contains(_MARKUP)
        long = texts.str.len() > LONGEST_CELL
        _add(self.report.repaired, f"{column}: formula made inert", int(formula.sum()))
        _add(self.report.repaired, f"{column}: markup removed", int(markup.sum()))
        _add(self.report.repaired, f"{column}: cut to {LONGEST_CELL} characters", int(long.sum()))
        plain = texts.str.replace(_FORMULA, "", regex=True).str.replace(_MARKUP, " ", regex=True)
        plain = plain.str.slice(0, LONGEST_CELL)
        return plain.str.replace(r"\s+", " ", regex=True).str.strip()

    def _numbers(self, texts: pd.Series, column: str) -> pd.Series:
        import pandas as pd

        low, high = wording()["limits"]["age" if column == "patient_age" else column]
        numbers = pd.to_numeric(texts.str.replace(",", ".", regex=False), errors="coerce")
        unreadable = numbers.isna() & (texts != "")
        impossible = (numbers < low) | (numbers > high)
        _add(self.report.repaired, f"{column}: not a number", int(unreadable.sum()))
        _add(self.report.repaired, f"{column}: outside {low} to {high}", int(impossible.sum()))
        return numbers.mask(impossible)

    def _ages(self, texts: pd.Series) -> pd.Series:
        import pandas as pd

        edges = [start for _, start in BANDS] + [1000]
        labels = [label for label, _ in BANDS]
        ages = self._numbers(texts, "patient_age")
        return pd.cut(ages, edges, labels=labels, right=False).astype("str").replace("nan", "")

    def _sexes(self, texts: pd.Series) -> pd.Series:
        known = {word: sex for sex, words in wording()["sexes"].items() for word in words}
        sexes = texts.str.casefold().map(known).fillna("")
        unknown = int(((sexes == "") & (texts != "")).sum())
        _add(self.report.repaired, "patient_gender: neither F nor M, counted as unknown", unknown)
        return sexes

    def _months(self, texts: pd.Series) -> pd.Series:
        import pandas as pd

        dates = pd.to_datetime(texts, errors="coerce", format="mixed", utc=True)
        future = dates > pd.Timestamp.now(tz="UTC")
        unreadable = int((dates.isna() & (texts != "")).sum())
        _add(self.report.repaired, "date_recorded: not a date", unreadable)
        _add(self.report.repaired, "date_recorded: in the future", int(future.sum()))
        return dates.mask(future).dt.strftime("%Y-%m").fillna("")

    def documents(self, name: str) -> Iterator[Parsed]:
        """The counts in words, French and English. `name` is the file's, for the label."""
        topic = "local-statistics-" + (re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:80])
        for language in ("fr", "en"):
            yield Parsed(
                topic=topic,
                language=language,
                title=wording()[language]["title"].format(name=name),
                keywords=(),
                sources=(),
                sections=tuple(_Writer(self, name, language).sections()),
            )


def _count(counter: Counter[Any], items: Iterable[tuple[Any, int]]) -> None:
    """Add to counts; past `MOST_COUNTED` different values new ones are not begun."""
    for value, count in items:
        if value in counter or len(counter) < MOST_COUNTED:
            counter[value] += count


def _pairs(diagnosis: pd.Series, values: pd.Series) -> Iterator[tuple[tuple[str, str], int]]:
    for pair, count in diagnosis.to_frame("d").assign(v=values).value_counts().items():
        yield (pair[0], pair[1]), count


def _add(counter: Counter[str], reason: str, count: int) -> None:
    if count:
        counter[reason] += count


@dataclass(frozen=True, slots=True)
class _Writer:
    cases: Cases
    name: str
    language: str

    @property
    def words(self) -> dict[str, Any]:
        return wording()[self.language]

    def sections(self) -> Iterator[Section]:
        label = self.words["label"].format(name=self.name)
        common = [
            (diagnosis, count)
            for diagnosis, count in self.cases.diagnoses.most_common(MOST_DIAGNOSES + 1)
            if count >= SMALLEST and diagnosis
        ]
        shares = self._shares((self._title(d), n) for d, n in common[:12])
        total = self.words["total"].format(kept=self.cases.report.kept, shares=shares)
        yield Section("", self.words["overall"], f"{label} {total}")
        for diagnosis, count in common:
            lines = [label, self._cases(diagnosis, count), *self._details(diagnosis)]
            yield Section("", self._title(diagnosis), " ".join(lines))

    def _cases(self, diagnosis: str, count: int) -> str:
        kept = self.cases.report.kept
        percent = round(100 * count / kept)
        words = wording()["diagnoses"].get(diagnosis, {}).get("words", ())
        title = self._title(diagnosis) + (f" ({', '.join(words)})" if words else "")
        return self.words["cases"].format(title=title, count=count, kept=kept, percent=percent)

    def _details(self, diagnosis: str) -> Iterator[str]:
        for name, most in (("age", 6), ("sex", 2), ("month", 3), ("notes", 5)):
            found = [
                (value, count)
                for (of, value), count in self.cases.counts[name].items()
                if of == diagnosis and value
            ]
            found.sort(key=lambda pair: (-pair[1], pair[0]))
            if name == "notes":
                found = [pair for pair in found if pair[1] >= SMALLEST]
            if found:
                shares = self._shares((self._value(name, v), n) for v, n in found[:most])
                yield self.words[name].format(shares=shares)

    def _title(self, diagnosis: str) -> str:
        known = wording()["diagnoses"].get(diagnosis)
        return known[self.language] if known else diagnosis.capitalize()

    def _value(self, name: str, value: str) -> str:
        if name == "sex":
            return self.words["sexes"][value]
        if name == "age":
            return self.words["years"].format(band=value)
        return value.rstrip(".") if name == "notes" else value

    def _shares(self, pairs: Iterable[tuple[str, int]]) -> str:
        return ", ".join(f"{value} {self._number(count)}" for value, count in pairs)

    def _number(self, count: int) -> str:
        return str(count) if count >= SMALLEST else self.words["few"].format(smallest=SMALLEST)
