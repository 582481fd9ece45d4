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
from rag.records import COLUMNS, Batch, Report

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
        """True for each row whose hash came before, here or among those remembered."""
        import numpy as np

        _, first = np.unique(hashes, return_index=True)
        repeated = np.ones(len(hashes), bool)
        repeated[first] = False
        for run in self.runs:
            at = np.searchsorted(run, hashes).clip(max=len(run) - 1)
            repeated |= run[at] == hashes
        return repeated

    def remember(self, new: np.ndarray) -> None:
        """Keep hashes that are not repeated, while there is room."""
        import numpy as np

        new = np.sort(new)
        self.full = self.full or sum(map(len, self.runs)) + len(new) > MOST_REMEMBERED
        if self.full or not len(new):
            return
        while self.runs and len(self.runs[-1]) < 2 * len(new):
            new = np.sort(np.concatenate([new, self.runs.pop()]))
        self.runs.append(new)


def _by_name() -> dict[str, Counter[tuple[str, str]]]:
    return {name: Counter() for name in ("sex", "age", "month", "notes")}


@dataclass(slots=True)
class Tally:
    """What one batch of records adds to `Cases`; `rows` and `ids` are the hashes of new ones."""

    report: Report
    rows: np.ndarray
    ids: np.ndarray
    diagnoses: Counter[str] = field(default_factory=Counter)
    counts: dict[str, Counter[tuple[str, str]]] = field(default_factory=_by_name)


@dataclass(slots=True)
class Cases:
    """Counts over all records of a file; what is kept has a limit, however long the file is."""

    report: Report
    rows: Seen = field(default_factory=Seen)
    ids: Seen = field(default_factory=Seen)
    counts: dict[str, Counter[tuple[str, str]]] = field(default_factory=_by_name)
    diagnoses: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Batch) -> Tally:
        """Count a batch; returns what it added, with which `include` would do the same."""
        report = batch.report
        frame, tally = self._keep(batch.frame.apply(lambda column: column.str.strip()), report)
        diagnosis = _words(frame["diagnosis"], "diagnosis", report).str.casefold()
        columns = {
            "sex": _sexes(frame["patient_gender"], report),
            "age": _ages(frame["patient_age"], report),
            "month": _months(frame["date_recorded"], report),
            "notes": _words(frame["summary_text"], "summary_text", report),
        }
        for column in ("body_temp_c", "blood_pressure_systolic", "heart_rate"):
            _numbers(frame[column], column, report)
        report.kept += len(frame)
        tally.diagnoses.update(dict(diagnosis.value_counts().items()))
        for name, values in columns.items():
            tally.counts[name].update(dict(_pairs(diagnosis, values)))
        self.include(tally)
        return tally

    def include(self, tally: Tally) -> None:
        """Add a batch's counts; takes out of the tally what is past `MOST_COUNTED`."""
        self.report.add(tally.report)
        self.rows.remember(tally.rows)
        self.ids.remember(tally.ids)
        if (self.rows.full or self.ids.full) and _TOO_LONG not in self.report.notes:
            self.report.notes.append(_TOO_LONG)
        _count(self.diagnoses, tally.diagnoses)
        for name, counter in tally.counts.items():
            _count(self.counts[name], counter)

    def _keep(self, frame: pd.DataFrame, report: Report) -> tuple[pd.DataFrame, Tally]:
        """Drop, for the first reason that holds, repeated rows and rows that say nothing."""
        import pandas as pd

        empty = (frame["diagnosis"] == "") & (frame["summary_text"] == "")
        rows = pd.util.hash_pandas_object(frame.drop(columns="summary_id"), index=False).to_numpy()
        same = self.rows.repeated(rows)
        named = frame["summary_id"] != ""
        ids = pd.util.hash_pandas_object(frame["summary_id"], index=False)[named].to_numpy()
        again = pd.Series(False, index=frame.index)
        again[named] = known = self.ids.repeated(ids)
        dropped = pd.Series(False, index=frame.index)
        for reason, those in (
            ("neither diagnosis nor summary", empty),
            ("the same record again", pd.Series(same, index=frame.index)),
            ("a summary_id seen before", again),
        ):
            _add(report.dropped, reason, int((those & ~dropped).sum()))
            dropped |= those
        kept = frame[~dropped]
        for column in COLUMNS:
            _add(report.missing, column, int((kept[column] == "").sum()))
        return kept, Tally(report, rows[~same], ids[~known])

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


def _words(texts: pd.Series, column: str, report: Report) -> pd.Series:
    formula, markup = texts.str.match(_FORMULA), texts.str.contains(_MARKUP)
    long = texts.str.len() > LONGEST_CELL
    _add(report.repaired, f"{column}: formula made inert", int(formula.sum()))
    _add(report.repaired, f"{column}: markup removed", int(markup.sum()))
    _add(report.repaired, f"{column}: cut to {LONGEST_CELL} characters", int(long.sum()))
    plain = texts.str.replace(_FORMULA, "", regex=True).str.replace(_MARKUP, " ", regex=True)
    plain = plain.str.slice(0, LONGEST_CELL)
    return plain.str.replace(r"\s+", " ", regex=True).str.strip()


def _numbers(texts: pd.Series, column: str, report: Report) -> pd.Series:
    import pandas as pd

    low, high = wording()["limits"]["age" if column == "patient_age" else column]
    numbers = pd.to_numeric(texts.str.replace(",", ".", regex=False), errors="coerce")
    unreadable = numbers.isna() & (texts != "")
    impossible = (numbers < low) | (numbers > high)
    _add(report.repaired, f"{column}: not a number", int(unreadable.sum()))
    _add(report.repaired, f"{column}: outside {low} to {high}", int(impossible.sum()))
    return numbers.mask(impossible)


def _ages(texts: pd.Series, report: Report) -> pd.Series:
    import pandas as pd

    edges = [start for _, start in BANDS] + [1000]
    labels = [label for label, _ in BANDS]
    ages = _numbers(texts, "patient_age", report)
    return pd.cut(ages, edges, labels=labels, right=False).astype("str").replace("nan", "")


def _sexes(texts: pd.Series, report: Report) -> pd.Series:
    known = {word: sex for sex, words in wording()["sexes"].items() for word in words}
    sexes = texts.str.casefold().map(known).fillna("")
    unknown = int(((sexes == "") & (texts != "")).sum())
    _add(report.repaired, "patient_gender: neither F nor M, counted as unknown", unknown)
    return sexes


def _months(texts: pd.Series, report: Report) -> pd.Series:
    import pandas as pd

    dates = pd.to_datetime(texts, errors="coerce", format="mixed", utc=True)
    future = dates > pd.Timestamp.now(tz="UTC")
    unreadable = int((dates.isna() & (texts != "")).sum())
    _add(report.repaired, "date_recorded: not a date", unreadable)
    _add(report.repaired, "date_recorded: in the future", int(future.sum()))
    return dates.mask(future).dt.strftime("%Y-%m").fillna("")


def _count(counter: Counter[Any], more: Counter[Any]) -> None:
    """Add to counts; past `MOST_COUNTED` different values new ones are not begun, but taken out."""
    for value, count in list(more.items()):
        if value in counter or len(counter) < MOST_COUNTED:
            counter[value] += count
        else:
            del more[value]


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
