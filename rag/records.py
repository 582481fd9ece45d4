"""Reads files of case records, CSV or JSON, whatever is wrong with them, in batches.

What comes out is `pandas` frames of text with the columns of `COLUMNS`; identities stay in the file.
pandas is imported when the first file is read, so that a server starts without it.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from carehelp.errors import Invalid

if TYPE_CHECKING:
    import pandas as pd

BATCH = 5_000
LONGEST_ROW = 1024 * 1024
LARGEST_JSON = 64 * 1024 * 1024

COLUMNS: dict[str, tuple[str, ...]] = {
    "summary_id": ("record_id", "id"),
    "patient_id": ("patient", "name"),
    "patient_age": ("age", "age_years"),
    "patient_gender": ("gender", "sex", "sexe"),
    "diagnosis": ("diagnoses", "condition", "conditions", "medical_conditions", "diagnostic"),
    "body_temp_c": ("temperature", "temp_c", "body_temperature"),
    "blood_pressure_systolic": ("systolic", "systolic_bp"),
    "heart_rate": ("pulse",),
    "summary_text": ("summary", "symptoms", "notes", "note", "description"),
    "date_recorded": ("date", "recorded_at", "visit_date", "last_visit"),
}
"""The columns wanted, each with other names it goes by."""

NEEDED = ("diagnosis", "summary_text")
"""A file with neither says nothing about cases."""


class BadRecords(Invalid):
    """A file that cannot be read as case records; `detail` says why."""

    code, title = "bad_records", "This file cannot be read as case records"


@dataclass(slots=True)
class Report:
    """What became of each row, by reason. `repaired` counts values, the rest counts rows."""

    name: str
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, part: Report) -> None:
        """Count what became of further rows."""
        self.kept += part.kept
        self.dropped += part.dropped
        self.repaired += part.repaired
        self.missing += part.missing
        self.notes += [note for note in part.notes if note not in self.notes]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kept": self.kept,
            "dropped": dict(self.dropped),
            "repaired": dict(self.repaired),
            "missing": dict(self.missing),
            "notes": self.notes,
        }


class Batch(NamedTuple):
    """Records of a file, up to a `position` from which reading can go on: lines, or JSON records.

    `report` has what became of the rows that are not in `frame`, and of those only.
    """

    frame: pd.DataFrame
    report: Report
    position: int


@dataclass(frozen=True, slots=True)
class Examined:
    """A file read through once: its SHA-256, size in bytes, and the encoding that fits it."""

    path: Path
    digest: str
    size: int
    encoding: str


Advance = Callable[[int], object]
"""Told how many bytes more have been read."""


def examine(path: Path) -> Examined:
    """Read the file through. Raises `BadRecords` for what is no text at all."""
    digest, size, encoding = hashlib.sha256(), 0, ""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            if not size:
                encoding = _by_mark(block, path.name)
            digest.update(block)
            size += len(block)
            if not encoding:
                encoding = _unless_utf8(decoder, block)
    if not size:
        raise BadRecords(f"{path.name}: the file is empty")
    return Examined(path, digest.hexdigest(), size, encoding or "utf-8-sig")


def _by_mark(block: bytes, name: str) -> str:
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in block:
        raise BadRecords(f"{name}: not a CSV or JSON file, it holds binary data")
    return ""


def _unless_utf8(decoder: codecs.IncrementalDecoder, block: bytes) -> str:
    try:
        decoder.decode(block)
    except UnicodeDecodeError:
        return "cp1252"
    return ""


def batches(file: Examined, advance: Advance, after: int = 0) -> Iterator[Batch]:
    """Batches of at most `BATCH` rows, those behind the position `after`; the last may be empty.

    Raises `BadRecords` where nothing can be read as records.
    """
    is_json = file.path.suffix.lower() in (".json", ".jsonl")
    for batch in (_json_batches if is_json else _csv_batches)(file, advance, after):
        if file.encoding == "cp1252":
            batch.report.notes.append("not UTF-8: read as latin-1 (Windows-1252)")
        yield batch


def _csv_batches(file: Examined, advance: Advance, after: int) -> Iterator[Batch]:
    report = Report(file.path.name)
    with (
        file.path.open("rb") as raw,
        TextIOWrapper(raw, file.encoding, errors="replace", newline="") as stream,
    ):
        lines = _Lines(stream, report)
        header = next(lines, "")
        delimiter = max(",;\t|", key=header.count)
        names = _header(header, delimiter, file.path.name)
        places = _places(names, file.path.name, report)
        rows = _rows(csv.reader(lines, delimiter=delimiter), len(names), report)
        if after:
            lines.skip_to(after)
            _taken(report)
        seen = 0
        while batch := list(islice(rows, BATCH)):
            yield Batch(_frame(batch, places), _taken(report), lines.position)
            advance(raw.tell() - seen)
            seen = raw.tell()
        yield Batch(_frame([], places), _taken(report), lines.position)


@dataclass(slots=True)
class _Lines:
    """Lines of bearable length: neither a row of 10 MB nor a file without newlines fills memory."""

    stream: TextIO
    report: Report
    position: int = 0
    """How many lines, or pieces of too long ones, have been read."""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        while line := self._read():
            if len(line) < LONGEST_ROW or line.endswith("\n"):
                return line.replace("\0", "")
            self.report.dropped["a row over 1 MB"] += 1
            while (rest := self._read()) and not rest.endswith("\n"):
                pass
        raise StopIteration

    def _read(self) -> str:
        line = self.stream.readline(LONGEST_ROW)
        self.position += bool(line)
        return line

    def skip_to(self, position: int) -> None:
        while self.position < position and self._read():
            pass


def _taken(report: Report) -> Report:
    """What was reported since the last time."""
    taken = Report(report.name, 0, report.dropped, report.repaired, notes=report.notes)
    report.dropped, report.repaired, report.notes = Counter(), Counter(), []
    return taken


def _header(line: str, delimiter: str, name: str) -> list[str]:
    try:
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise BadRecords(f"{name}: not a CSV file, its first line has no column names") from error
    return [column.strip().casefold() for column in names]


def _rows(reader: Iterator[list[str]], width: int, report: Report) -> Iterator[list[str]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            # A cell over csv's 128 KB, or a quote that never ends: the reader goes on after it.
            report.dropped["a row that cannot be read"] += 1
            continue
        if len(row) > width and any(row[width:]):
            report.dropped["more cells than columns"] += 1
        elif row:
            if len(row) < width:
                report.repaired["fewer cells than columns"] += 1
            yield (row + [""] * width)[:width]


def _places(names: Sequence[str], file_name: str, report: Report) -> dict[str, int]:
    """Where each wanted column is. Raises `BadRecords` with the names found and those wanted."""
    places = {
        wanted: names.index(found)
        for wanted, others in COLUMNS.items()
        if (found := next((n for n in (wanted, *others) if n in names), None)) is not None
    }
    absent = [wanted for wanted in COLUMNS if wanted not in places]
    if absent:
        shown = ", ".join(repr(name[:40]) for name in names[:20])
        said = f"columns found: {shown}; wanted: {', '.join(COLUMNS)}"
        if not any(column in places for column in NEEDED):
            raise BadRecords(f"{file_name}: {said}", found=list(names[:20]), wanted=list(COLUMNS))
        report.notes.append(f"missing {', '.join(absent)} ({said})")
    return places


def _frame(rows: list[list[str]], places: dict[str, int]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            wanted: [row[places[wanted]] for row in rows] if wanted in places else ""
            for wanted in COLUMNS
        },
        dtype="str",
    )


def _json_batches(file: Examined, advance: Advance, after: int) -> Iterator[Batch]:
    if file.size > LARGEST_JSON:
        raise BadRecords(f"{file.path.name}: over {LARGEST_JSON >> 20} MB; give it as CSV")
    records = list(_records(file))
    report = Report(file.path.name)
    names = list(dict.fromkeys(key for record in records[:1000] for key in record))
    places = _places(names, file.path.name, report)
    for start in range(after, len(records), BATCH):
        batch = records[start : start + BATCH]
        rows = [[_cell(record.get(name)) for name in names] for record in batch]
        yield Batch(_frame(rows, places), _taken(report), start + len(batch))
    advance(file.size)


def _records(file: Examined) -> Iterator[dict[str, Any]]:
    """Records out of a list, an object of lists, or an object of records by patient."""
    text = file.path.read_text(encoding=file.encoding, errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        data = _json_lines(text)
        if data is None:
            raise BadRecords(f"{file.path.name}: not a JSON file") from error
    found = False
    for record in _walk(data):
        found = True
        yield {str(key).strip().casefold(): value for key, value in record.items()}
    if not found:
        raise BadRecords(f"{file.path.name}: no records in this JSON file")


def _json_lines(text: str) -> list[Any] | None:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None


def _walk(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict) and (_is_record(data) or not _nested(data)):
        yield data
    elif isinstance(data, dict | list):
        for value in data.values() if isinstance(data, dict) else data:
            yield from _walk(value)


def _nested(data: dict[str, Any]) -> bool:
    return any(isinstance(value, dict | list) for value in data.values())


def _is_record(data: dict[str, Any]) -> bool:
    names = {str(key).strip().casefold() for key in data}
    return any(names & {wanted, *COLUMNS[wanted]} for wanted in NEEDED)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    return str(value)
