"""Rules and contacts between the files, the database and the rules in force.

`load` brings the files into the database and never touches what a clinician has edited or signed.
`keep_fresh` puts into force what the database says, in the background: triage itself waits for
nothing. What cannot be loaded is refused, and what is in force stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from django.db import connections
from django.db.models.functions import Now

from carehelp.database.identity import acting_as, login, run_as
from carehelp.errors import CarehelpError
from triage import contacts, lexicon, lines, rulebook, rules, signal
from triage.contacts import Contact
from triage.engine import check_examples
from triage.lines import BadRule
from triage.models import EmergencyContact, Rule
from triage.rules import RuleSet

logger = logging.getLogger(__name__)

EVERY_SECONDS = 20.0
_TEXTS = ("phone", "region", "hours", "kind", "note", "source", "verified_by")


# From files into the database.


@dataclass(slots=True)
class Loaded:
    """What became of each rule or contact of the files. `kept`: a clinician's, left as it was."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counted = {name: len(getattr(self, name)) for name in self.__slots__}
        return ", ".join(f"{count} {name}" for name, count in counted.items())


def load_rules(folder: Path = rulebook.RULES) -> Loaded:
    """The rules of a folder, all or none. Raises `BadRule`, naming rule and line."""
    return keep(Rule, shipped_rules(folder))


def shipped_rules(folder: Path) -> dict[str, dict[str, Any]]:
    """The rules of a folder as rows, once all of them have passed their examples."""
    check_examples(RuleSet(rules.load_folder(folder), _lexicon(), signal.load()))
    return {key: _rule_fields(text) for key, text in texts_of(folder)}


def load_contacts(path: Path = rulebook.FIXTURES / "contacts.yaml") -> Loaded:
    shipped = {contact.key: _contact_fields(contact) for contact in contacts.load(path)}
    return keep(EmergencyContact, shipped)


def texts_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Each rule's own lines, as they stand in its file."""
    for path in sorted(folder.glob("*.yaml")):
        whole = path.read_text(encoding="utf-8").splitlines()
        found = rules.read_rules(lines.load(path), path.name)
        ends = [rule.line - 1 for rule in found[1:]] + [len(whole)]
        for rule, end in zip(found, ends, strict=True):
            yield rule.id, "\n".join(whole[rule.line - 1 : end]).rstrip() + "\n"


def _rule_fields(text: str) -> dict[str, Any]:
    rule = parse(text)
    signed = rule.signed_by or {}
    return {
        "text": text,
        **summary(rule),
        "signed_by": signed.get("name", ""),
        "signed_on": signed.get("date"),
    }


def summary(rule: rules.Rule) -> dict[str, str]:
    """What a row repeats of its rule."""
    return {"level": str(rule.level), "title": rule.title["fr"], "status": rule.status}


def _contact_fields(contact: Contact) -> dict[str, Any]:
    names = {f"name_{code}": contact.name.get(code, "") for code in ("fr", "en", "pcm")}
    texts = {name: getattr(contact, name) for name in _TEXTS}
    return {**names, **texts, "verified_at": contact.verified_at, "in_use": True}


def keep(model: type[Rule] | type[EmergencyContact], shipped: Mapping[str, Any]) -> Loaded:
    """Add, update and remove rows, but those that are a clinician's."""
    loaded, rows = Loaded(), {row.key: row for row in model.objects.all()}
    for key, fields in shipped.items():
        row = rows.pop(key, None)
        digest = _digest(fields)
        if row is None:
            model.objects.create(key=key, shipped=digest, **fields)
            loaded.added.append(key)
        elif _is_a_clinicians(row):
            loaded.kept.append(key)
        elif row.shipped == digest:
            loaded.same.append(key)
        else:
            model.objects.filter(pk=key).update(shipped=digest, changed_at=Now(), **fields)
            loaded.updated.append(key)
    for key, row in rows.items():
        if not _is_a_clinicians(row):
            row.delete()
            loaded.removed.append(key)
        else:
            loaded.kept.append(key)
    return loaded


def _is_a_clinicians(row: Rule | EmergencyContact) -> bool:
    """Made, edited or signed here: not what was loaded."""
    own = ("key", "shipped", "changed_at")
    names = [f.attname for f in row._meta.concrete_fields if f.attname not in own]
    return _digest({name: getattr(row, name) for name in names}) != row.shipped


def _digest(fields: Mapping[str, Any]) -> str:
    told = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    return hashlib.sha256(told.encode()).hexdigest()


# From the database into force.


def parse(text: str, name: str = "") -> rules.Rule:
    """The one rule of a row. Raises `BadRule`."""
    found = rules.read_rules(lines.parse(text, name), name)
    if len(found) != 1:
        raise BadRule("one rule is written here, not several or none", file=name)
    return found[0]


def check(text: str, key: str) -> rules.Rule:
    """A rule as a clinician edited it, together with all others. Raises `BadRule`."""
    edited = parse(text)
    if edited.id != key:
        raise BadRule(f"the id stays {key}", rule=edited.id, line=edited.line)
    others = [rule for rule in rulebook.current().rules.values() if rule.id != key]
    whole = RuleSet([*others, edited], _lexicon(), signal.load())
    whole.compiled = [one for one in whole.compiled if one.rule.id == key]
    check_examples(whole)
    return edited


def rule_set(rows: Iterable[Rule]) -> RuleSet:
    """The rules of the rows, signed as the rows say, in the order of the files. Raises `BadRule`."""
    order = {key: place for place, key in enumerate(rulebook.current().rules)}
    placed = sorted(rows, key=lambda row: order.get(row.key, len(order)))
    found = [_signed(parse(row.text, row.key), row) for row in placed]
    return RuleSet(found, _lexicon(), signal.load())


def _signed(rule: rules.Rule, row: Rule) -> rules.Rule:
    if not row.signed_by:
        return replace(rule, signed_by=None)
    return replace(rule, signed_by={"name": row.signed_by, "date": str(row.signed_on or "")})


def _contact(row: EmergencyContact) -> Contact:
    names = {"fr": row.name_fr, "en": row.name_en, "pcm": row.name_pcm or row.name_en}
    texts = {name: getattr(row, name) for name in _TEXTS}
    return Contact(key=row.key, name=names, verified_at=row.verified_at, **texts)


def _lexicon() -> lexicon.Lexicon:
    return lexicon.load(rulebook.RULES / "lexicon")


_VERSION = """
SELECT md5(string_agg(kind || key || changed_at::text, ',' ORDER BY kind, key))
FROM (SELECT 'r' AS kind, key, changed_at FROM triage_rule
      UNION ALL SELECT 'c', key, changed_at FROM triage_contact) AS kept
"""


@dataclass(slots=True)
class Keeper:
    """Watches the database and puts into force what it says."""

    version: str | None = None

    async def refresh(self) -> bool:
        """Look once; whether something new came into force. The database may be gone."""
        with acting_as(None):
            read = await run_as(self._read)
        if read is None:
            return False
        version, rows, numbers = read
        # Once a version, whether or not it can be used.
        self.version = version
        if numbers:
            rulebook.put_contacts([_contact(row) for row in numbers if row.in_use])
        try:
            return await asyncio.to_thread(_put_in_force, rows)
        except BadRule as bad:
            logger.error("rules of the database are refused, those in force stay: %s", bad)
            return False

    def _read(self) -> tuple[str, list[Rule], list[EmergencyContact]] | None:
        with connections[login()].cursor() as cursor:
            cursor.execute(_VERSION)
            (version,) = cursor.fetchone()
        if version is None or version == self.version:
            return None
        return version, list(Rule.objects.all()), list(EmergencyContact.objects.all())

    async def keep_fresh(self) -> None:
        """Look again and again, for as long as the process serves."""
        while True:
            try:
                await self.refresh()
            except CarehelpError as error:
                logger.warning("rules could not be looked up: %s", error)
            except Exception:
                logger.exception("rules could not be looked up")
            await asyncio.sleep(EVERY_SECONDS)


def _put_in_force(rows: list[Rule]) -> bool:
    if not rows or _same(rows):
        return False
    found = rule_set(rows)
    rulebook.put_in_force(rulebook.checked(found))
    return True


def _same(rows: list[Rule]) -> bool:
    """Whether they say what is in force already, which spares compiling it again."""
    stored = {row.key: _placeless(_signed(parse(row.text, row.key), row)) for row in rows}
    return stored == {key: _placeless(rule) for key, rule in rulebook.current().rules.items()}


def _placeless(rule: rules.Rule) -> rules.Rule:
    return replace(rule, file="", line=0)


keeper = Keeper()
