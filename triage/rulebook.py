"""The rules and contacts in force, without I/O for whoever asks.

`current()` answers from memory: first the rules shipped in `fixtures/rules`, then whatever
`triage.stored` last read from the database. Rules that cannot be loaded are refused and
those in force stay, so triage works with the database gone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from triage import contacts as directory
from triage import lexicon, rules, signal, text, worked_out
from triage.contacts import Contact
from triage.engine import check_examples
from triage.rules import RuleSet
from triage.signal import Signal

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
RULES = FIXTURES / "rules"
WORKED_OUT = "triage.json"

_lock = threading.Lock()
_folder: Path | None = None
_current: RuleSet | None = None
_contacts: list[Contact] | None = None


def current() -> RuleSet:
    """The rules in force. No I/O once loaded."""
    if _current is None:
        with _lock:
            if _current is None:
                put_in_force(_remembering(signal.load()))
    assert _current is not None
    return _current


def keep_in(folder: Path) -> None:
    """Where what takes seconds to work out is kept for the next start."""
    global _folder
    _folder = folder


def _remembering(learned: Signal) -> RuleSet:
    if _folder is None:
        return shipped(learned)
    worked_out.restore(_folder / WORKED_OUT)
    found = shipped(learned)
    worked_out.keep(_folder / WORKED_OUT, found.reader.groups)
    return found


def shipped(learned: Signal | None = None) -> RuleSet:
    """The rules of `fixtures/rules`, checked for form but not against their examples."""
    return RuleSet(rules.load_folder(RULES), lexicon.load(RULES / "lexicon"), learned)


def checked(found: RuleSet) -> RuleSet:
    """The same, once every active rule has passed its own examples. Raises `BadRule`."""
    check_examples(found)
    return found


def written_out(message: str) -> str:
    """A message without SMS and local spellings, as far as our vocabulary lists them."""
    return text.written_out(message, current().reader.spelling.written_out)


def complains(signs: Iterable[str]) -> bool:
    """Whether any of these is felt or seen, and not only something that somebody has or is."""
    known = current().lexicon.signs
    return any(name in known and known[name].kind == "sign" for name in signs)


def put_in_force(found: RuleSet) -> None:
    global _current
    _current = found


def put_contacts(found: list[Contact]) -> None:
    global _contacts
    _contacts = found


def contacts(region: str = "") -> list[Contact]:
    """Emergency contacts serving a region (and the whole country), the region's own first."""
    global _contacts
    if _contacts is None:
        _contacts = directory.load(FIXTURES / "contacts.yaml")
    return directory.for_region(_contacts, region)
