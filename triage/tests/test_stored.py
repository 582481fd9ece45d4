"""Rules and contacts between files, database and what is in force: a clinician's word stays."""

from functools import cache

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db import connections

from carehelp.database.identity import through
from carehelp.errors import Unavailable
from triage import contacts, rulebook, stored
from triage.engine import assess
from triage.lines import BadRule
from triage.models import EmergencyContact, Rule

BAD = """
- id: no-such-sign
  title: {fr: Rien, en: Nothing}
  level: routine
  when: {sign: [nothing_known]}
  advice: {fr: a, en: b, pcm: c}
  examples: {match: [a], no_match: [b]}
  source: {title: t}
  status: active
"""


@pytest.fixture(scope="module", autouse=True)
def shipped():
    """What these tests put into force, the next ones do not find."""
    before = rulebook.current()
    yield
    rulebook.put_in_force(before)
    rulebook.put_contacts(contacts.load(rulebook.FIXTURES / "contacts.yaml"))


@cache
def shipped_rules():
    return stored.shipped_rules(rulebook.RULES)


def load(**changed):
    """Load what is shipped, or with other words for some rules (None: without it)."""
    rows = {key: dict(row) for key, row in shipped_rules().items()}
    for name, words in changed.items():
        key = name.replace("_", "-")
        if words is None:
            del rows[key]
        else:
            rows[key]["text"] = rows[key]["text"].replace(*words)
    return stored.keep(Rule, rows)


@pytest.fixture
def loaded(as_owner):
    with as_owner:
        yield load(), stored.load_contacts()


def some_rule():
    return Rule.objects.get(pk="learned-urgent")


def change(row, **fields):
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


def test_what_is_shipped_is_added_unsigned(loaded):
    rules, contacts = loaded
    assert set(rules.added) == set(rulebook.current().rules)
    assert not Rule.objects.exclude(signed_by="").exists()
    assert EmergencyContact.objects.count() == len(contacts.added)


def test_loading_again_changes_nothing(loaded):
    before = {row.key: row.changed_at for row in Rule.objects.all()}
    again = load()
    assert set(again.same) == set(before)
    assert before == {row.key: row.changed_at for row in Rule.objects.all()}
    assert stored.load_contacts().same


def test_each_rule_stands_as_its_own_lines(loaded):
    row = some_rule()
    assert row.text.startswith("- id: learned-urgent\n")
    assert row.text.endswith("  signed_by: null\n")
    assert stored.parse(row.text).id == "learned-urgent"


NEWER = ("N'attendez pas demain.", "Demain, c'est tard.")


def test_a_newer_text_replaces_one_that_nobody_touched(loaded):
    assert load(learned_urgent=NEWER).updated == ["learned-urgent"]
    assert NEWER[1] in some_rule().text


@pytest.mark.parametrize("fields", [{"signed_by": "Dr Ngo"}, {"text": "- id: learned-urgent\n"}])
def test_what_a_clinician_signed_or_edited_is_kept(loaded, fields):
    change(some_rule(), **fields)
    before = some_rule().text
    report = load(learned_urgent=NEWER)
    assert report.kept == ["learned-urgent"]
    assert not report.updated
    assert some_rule().text == before


def test_a_rule_that_is_no_longer_shipped_goes_unless_it_is_a_clinicians(loaded):
    change(some_rule(), signed_by="Dr Ngo")
    report = load(learned_urgent=None, learned_emergency=None)
    assert (report.removed, report.kept) == (["learned-emergency"], ["learned-urgent"])


def test_a_bad_file_is_refused_whole_and_named(loaded, tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    with pytest.raises(BadRule, match=r"bad.yaml:5: rule no-such-sign: unknown sign"):
        stored.load_rules(tmp_path)
    assert not Rule.objects.filter(pk="no-such-sign").exists()


def test_the_command_says_what_it_did(database, capsys):
    call_command("load_rules")
    assert f"Rules: {len(rulebook.current().rules)} added, 0 updated" in capsys.readouterr().out


def test_the_command_names_a_refused_rule(database, monkeypatch):
    def refuse(folder=None):
        raise BadRule("has no level", rule="x", file="y.yaml", line=3)

    monkeypatch.setattr(stored, "load_rules", refuse)
    with pytest.raises(CommandError, match=r"nothing was changed: y.yaml:3: rule x: has no level"):
        call_command("load_rules")


# Into force.


@pytest.fixture
def keeper():
    return stored.Keeper()


@pytest.fixture
async def in_database(database):
    """Load everything as `start` does; then `await in_database(work)` changes it as the owner."""

    @sync_to_async
    def work(do, *args, **fields):
        try:
            with through("owner"):
                return do(*args, **fields)
        finally:
            connections["owner"].close()

    await work(load)
    await work(stored.load_contacts)
    return work


async def test_the_files_rules_stay_while_the_database_says_the_same(in_database, keeper):
    before = rulebook.current()
    assert await keeper.refresh() is False
    assert rulebook.current() is before


async def test_a_signature_comes_into_force(in_database, keeper):
    await in_database(lambda: change(some_rule(), signed_by="Dr Ngo", signed_on="2026-11-26"))
    assert await keeper.refresh() is True
    rule = rulebook.current().rules["learned-urgent"]
    assert rule.signed_by == {"name": "Dr Ngo", "date": "2026-11-26"}
    assert await keeper.refresh() is False


async def test_an_edit_comes_into_force_and_files_order_stays(in_database, keeper):
    def edit():
        row = some_rule()
        change(row, text=row.text.replace("N'attendez pas demain.", "Demain, c'est tard."))

    order = list(rulebook.current().rules)
    await in_database(edit)
    assert await keeper.refresh() is True
    assert "Demain, c'est tard." in rulebook.current().rules["learned-urgent"].advice["fr"]
    assert list(rulebook.current().rules) == order


async def test_a_rule_that_cannot_be_used_leaves_those_in_force(in_database, keeper, caplog):
    await in_database(lambda: change(some_rule(), text=BAD))
    before = rulebook.current()
    assert await keeper.refresh() is False
    assert rulebook.current() is before
    assert "learned-urgent:5: rule no-such-sign: unknown sign 'nothing_known'" in caplog.text
    assert assess("mon fils convulse", before)[0].emergency
    caplog.clear()
    assert await keeper.refresh() is False
    assert not caplog.text


async def test_with_no_rules_in_the_database_those_of_the_files_stay(database, keeper):
    before = rulebook.current()
    assert await keeper.refresh() is False
    assert rulebook.current() is before


async def test_with_the_database_gone_the_rules_stay(keeper, monkeypatch):
    async def gone(*args):
        raise Unavailable("gone")

    monkeypatch.setattr(stored, "run_as", gone)
    with pytest.raises(Unavailable):
        await keeper.refresh()
    assert assess("mon fils convulse", rulebook.current())[0].emergency


async def test_a_contact_that_was_verified_is_told_so_and_one_out_of_use_is_not_told(
    in_database, keeper
):
    def verify():
        change(EmergencyContact.objects.get(pk="samu-119"), in_use=False)
        police = EmergencyContact.objects.get(pk="police-117")
        change(police, verified_at="2026-11-20", verified_by="Dr Ngo")

    await in_database(verify)
    await keeper.refresh()
    told = {contact.key: contact for contact in rulebook.contacts()}
    assert "samu-119" not in told
    assert told["police-117"].verified_by == "Dr Ngo"


async def test_the_deploy_check_counts_what_waits_for_a_signature(in_database):
    from triage.checks import rules_are_signed

    (warning,) = await in_database(rules_are_signed, None)
    count = len(rulebook.current().compiled)
    assert warning.msg.startswith(f"{count} of {count} active rules wait")
    await in_database(lambda: Rule.objects.update(signed_by="Dr Ngo"))
    assert await in_database(rules_are_signed, None) == []
