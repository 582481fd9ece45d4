"""Clinicians read, edit and sign rules, and keep the numbers to call."""

from functools import cache

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from carehelp.database.identity import through
from conversations.tests.desk import browser, clinician, in_database, post, sign_in
from conversations.tests.test_desk import A
from triage import rulebook, stored
from triage.models import EmergencyContact, Rule

RULES, CONTACTS = "/admin/triage/rule/", "/admin/triage/emergencycontact/"
RULE = f"{RULES}learned-urgent/change/"


@sync_to_async
def as_owner(work):
    try:
        with through("owner"):
            return work()
    finally:
        connections["owner"].close()


@cache
def shipped():
    return stored.shipped_rules(rulebook.RULES)


def load():
    stored.keep(Rule, shipped())
    stored.load_contacts()


@pytest.fixture
async def ngo(database):
    await as_owner(load)
    await in_database(clinician, A)
    async with browser() as client:
        await sign_in(client, A)
        yield client


async def rule():
    return await as_owner(lambda: Rule.objects.get(pk="learned-urgent"))


async def test_the_list_and_a_rule_can_be_read(ngo):
    listed = await ngo.get(RULES)
    assert listed.status_code == 200
    assert "learned-urgent" in listed.text
    shown = await ngo.get(RULE)
    assert shown.status_code == 200
    assert "N&#x27;attendez pas demain" in shown.text


async def test_a_rule_is_signed_in_the_clinicians_own_name(ngo):
    answer = await post(ngo, RULE, text=(await rule()).text, triage_rule_sign="1")
    assert answer.status_code == 302, answer.text
    signed = await rule()
    assert signed.signed_by == "Dr Ngo"
    assert signed.signed_on is not None


async def test_rules_are_signed_from_the_list(ngo):
    answer = await post(ngo, RULES, action="sign_chosen", _selected_action="learned-urgent")
    assert answer.status_code == 302
    assert (await rule()).signed_by == "Dr Ngo"


async def test_an_edit_takes_the_signature_away(ngo):
    text = (await rule()).text
    await post(ngo, RULE, text=text, triage_rule_sign="1")
    edited = text.replace("N'attendez pas demain.", "Demain, c'est tard.")
    edited = edited.replace("level: urgent", "level: routine")
    answer = await post(ngo, RULE, text=edited)
    assert answer.status_code == 302, answer.text
    now = await rule()
    assert (now.text, now.signed_by, now.signed_on) == (edited, "", None)
    assert now.level == "routine"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("learned_urgent}", "no_such_sign}", "rule learned-urgent: unknown sign"),
        ("    pcm: ", "    wes: ", "advice has no pcm"),
        ('no_match: ["', 'no_match: ["fièvre et brûlure en urinant", "', "broken example"),
        ("id: learned-urgent", "id: another", "the id stays learned-urgent"),
        ("level: urgent", "level: soon", "unknown level"),
    ],
)
async def test_a_rule_that_cannot_be_used_is_refused_with_the_reason(ngo, old, new, why):
    text = (await rule()).text
    assert old in text
    answer = await post(ngo, RULE, text=text.replace(old, new))
    assert answer.status_code == 200
    assert why in answer.text
    assert (await rule()).text == text


async def test_rules_are_neither_made_nor_deleted_here(ngo):
    assert (await ngo.get(f"{RULES}add/")).status_code == 403
    assert (await ngo.get(f"{RULES}learned-urgent/delete/")).status_code == 403


CONTACT = {
    "key": "hgd", "name_fr": "Hôpital général", "name_en": "General hospital", "name_pcm": "",
    "phone": "233 00 00 00", "region": "littoral", "hours": "24/24", "kind": "emergency",
    "in_use": "on", "note": "", "source": "", "verified_at": "2026-11-20", "verified_by": "Dr Ngo",
}  # fmt: skip


async def test_a_contact_is_added_changed_and_deleted(ngo):
    answer = await post(ngo, f"{CONTACTS}add/", **CONTACT)
    assert answer.status_code == 302, answer.text
    answer = await post(ngo, f"{CONTACTS}hgd/change/", **CONTACT | {"phone": "233 11 11 11"})
    assert answer.status_code == 302
    made = await as_owner(lambda: EmergencyContact.objects.get(pk="hgd"))
    assert made.phone == "233 11 11 11"
    assert (await post(ngo, f"{CONTACTS}hgd/delete/", post="yes")).status_code == 302
    assert await as_owner(lambda: EmergencyContact.objects.filter(pk="hgd").exists()) is False


async def test_a_shipped_contact_is_not_deleted(ngo):
    assert (await ngo.get(f"{CONTACTS}samu-119/delete/")).status_code == 403


async def test_nobody_else_sees_rules(database):
    async with browser() as client:
        assert (await client.get(RULES)).status_code == 302
