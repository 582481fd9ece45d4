"""How far a file of records has been read: what each batch came to, committed as it is counted.

A run that was killed goes on behind the last batch, and its report is that of the whole file. It all
goes with the publication of the file's statistics, where the file has changed, and after `KEPT`.
"""

from __future__ import annotations

import base64
import logging
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.fields import UnknownKey, seal, unseal_bytes
from rag.models import Checkpoint
from rag.records import Examined, Report
from rag.statistics import Cases, Tally

logger = logging.getLogger(__name__)

KEPT = timedelta(days=7)
_COLUMN = "rag_checkpoint.sealed"


def of(file: Examined) -> QuerySet[Checkpoint]:
    return Checkpoint.objects.filter(name=file.path.name, digest=file.digest)


def resume(file: Examined) -> tuple[Cases, int]:
    """What was counted before, and the position from which to go on; 0 is the beginning."""
    _forget_others(file)
    cases, after = Cases(Report(file.path.name)), 0
    try:
        for position, tally in _kept(file):
            cases.include(tally)
            after = position
    except (InvalidTag, UnknownKey):
        logger.warning("%s: read again from its beginning, its key is gone", file.path.name)
        of(file).delete()
        return Cases(Report(file.path.name)), 0
    return cases, after


def save(file: Examined, position: int, tally: Tally) -> None:
    """Commit what a batch came to."""
    place = _place(file)
    with transaction.atomic(using="owner"):
        Checkpoint.objects.create(
            name=file.path.name,
            digest=file.digest,
            position=position,
            sealed=seal(_packed(tally), _COLUMN, place, place),
        )


def _forget_others(file: Examined) -> None:
    changed = Q(name=file.path.name) & ~Q(digest=file.digest)
    Checkpoint.objects.filter(changed | Q(created_at__lt=timezone.now() - KEPT)).delete()


def _kept(file: Examined) -> Iterator[tuple[int, Tally]]:
    place = _place(file)
    for position, sealed in of(file).order_by("position").values_list("position", "sealed"):
        yield position, _unpacked(unseal_bytes(bytes(sealed), _COLUMN, place, place))


def _place(file: Examined) -> UUID:
    return UUID(file.digest[:32])


def _packed(tally: Tally) -> bytes:
    said = {
        "report": tally.report.as_dict(),
        "rows": base64.b64encode(tally.rows.tobytes()).decode(),
        "ids": base64.b64encode(tally.ids.tobytes()).decode(),
        "diagnoses": list(tally.diagnoses.items()),
        "counts": {
            name: [[*pair, count] for pair, count in counter.items()]
            for name, counter in tally.counts.items()
        },
    }
    return zlib.compress(orjson.dumps(said), 1)


def _unpacked(packed: bytes) -> Tally:
    said: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    report = said["report"]
    for name in ("dropped", "repaired", "missing"):
        report[name] = Counter(report[name])
    return Tally(
        Report(**report),
        rows=_hashes(said["rows"]),
        ids=_hashes(said["ids"]),
        diagnoses=Counter(dict(said["diagnoses"])),
        counts={
            name: Counter({(diagnosis, value): count for diagnosis, value, count in found})
            for name, found in said["counts"].items()
        },
    )


def _hashes(text: str) -> Any:
    import numpy as np

    return np.frombuffer(base64.b64decode(text), np.uint64)
