"""What expressions demand of a text, kept from one start to the next.

Working it out for all of them takes seconds, and every process and command would. A file that is
not there, or not ours, costs those seconds and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from triage import prefilter
from triage.prefilter import Demand, Memory

_memories: dict[str, Memory] = {}
_stored: dict[str, int] = {}


def memory(groups: Mapping[str, str]) -> Memory:
    """What has been worked out with these word groups; whoever works out more adds it."""
    return _memories.setdefault(_digest(groups), {})


def restore(path: Path) -> None:
    """Take in what an earlier process kept."""
    with suppress(OSError, ValueError, KeyError, TypeError, IndexError):
        said = json.loads(path.read_bytes())
        demands = [frozenset((how, what) for how, what in one) for one in said["demands"]]
        found = {
            pattern: [demands[i] for i in indices] for pattern, indices in said["patterns"].items()
        }
        _memories.setdefault(said["digest"], {}).update(found)
        _stored[said["digest"]] = len(found)


def keep(path: Path, groups: Mapping[str, str]) -> None:
    """Leave it for later processes, where there is something new and the folder can be written."""
    digest = _digest(groups)
    found = _memories.get(digest, {})
    if len(found) <= _stored.get(digest, 0):
        return
    demands: dict[Demand, int] = {}
    patterns = {
        pattern: [demands.setdefault(one, len(demands)) for one in needed]
        for pattern, needed in found.items()
    }
    whole = {
        "digest": digest,
        "demands": [sorted(one) for one in demands],
        "patterns": patterns,
    }
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(whole, separators=(",", ":")), encoding="utf-8")
        draft.replace(path)
        _stored[digest] = len(found)


def _digest(groups: Mapping[str, str]) -> str:
    """Of the word groups, and of the code that works things out: another version starts afresh."""
    code = Path(prefilter.__file__).read_bytes()
    return hashlib.sha256(code + json.dumps(dict(groups)).encode()).hexdigest()
