"""The queue, a case, and the record of who saw them, through the real application."""

import asyncio
import re
from contextlib import contextmanager

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections

from accounts import services
from accounts.models import AccessLog, Pseudonym
from carehelp.database.identity import Principal
from conversations.desk import claims
from conversations.models import Case
from conversations.tests.desk import (
    PASSWORD,
    WORDS,
    as_,
    browser,
    case,
    clinician,
    in_database,
    patient,
    post,
    sign_in,
)

A, B = "a@carehelp.example", "b@carehelp.example"
QUEUE = "/admin/conversations/case/"
LOG = "/admin/accounts/accesslog/"


@pytest.fixture
async def ngo(database):
    """The browser of a clinician who has signed in."""
    await in_database(clinician, A)
    async with browser() as client:
        await sign_in(client, A)
        yield client


@pytest.fixture
async def fouda(database):
    await in_database(clinician, B, "Dr Fouda")
    async with browser() as client:
        await sign_in(client, B)
        yield client


def as_clinician(work, *args):
    """For looking at what is stored."""
    with as_(Principal.clinician("00000000-0000-0000-0000-000000000001"), "desk"):
        return work(*args)


async def stored(work, *args):
    return await in_database(as_clinician, work, *args)


def entries():
    return list(AccessLog.objects.order_by("at").values_list("reason", "ids", "patients"))


def numbers(page):
    return [int(n) for n in re.findall(rf'desk-line-link" href="{QUEUE}(\d+)/"', page.text)]


def set_up_queue():
    """Cases 1 to 6: closed, claimed, urgent, and three emergencies that are nobody's."""
    who = patient()
    for level in ("emergency", "emergency", "urgent", "emergency", "emergency", "emergency"):
        case(who, level=level)
    me = clinician("x@carehelp.example")
    with as_(Principal.clinician(me), "desk"):
        claims.claim(1, me, "Dr X")
        claims.close(1, me, "Dr X")
        claims.claim(2, me, "Dr X")


async def test_the_queue_puts_emergencies_that_nobody_has_first(ngo):
    await in_database(set_up_queue)
    assert numbers(await ngo.get(QUEUE)) == [4, 5, 6, 2, 3, 1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=free", [4, 5, 6, 3]),
        ("state=claimed", [2]),
        ("state=closed", [1]),
        ("state=mine", []),
        ("level=urgent", [3]),
        ("readable=no", []),
    ],
)
async def test_the_queue_narrows(ngo, query, expected):
    await in_database(set_up_queue)
    assert numbers(await ngo.get(f"{QUEUE}?{query}")) == expected


async def test_the_queue_says_how_urgent_whose_where_and_since_when(ngo):
    user = await in_database(lambda: patient(region="Littoral", full_name="Aïssatou Njoya"))
    await in_database(case, user)
    page = await ngo.get(QUEUE)
    label = (await stored(Pseudonym.objects.get)).pseudonym.hex[:6].upper()
    for said in ("Urgence vitale", f"P-{label[:3]}-{label[3:]}", "Littoral", "Français", "depuis"):
        assert said in page.text
    assert "Aïssatou" not in page.text
    assert WORDS not in page.text


async def test_a_case_reads_as_one_conversation(ngo):
    user = await in_database(lambda: patient(full_name="Aïssatou Njoya", phone="+237 699 12 34 56"))
    facts = {"subjects": {"child": {"level": "emergency", "facts": {"age_days": 21.0}}}}
    opened = await in_database(lambda: case(user, context=facts))
    page = await ngo.get(f"{QUEUE}{opened.pk}/")
    thread = page.text[page.text.index("desk-thread") :]
    assert thread.index(WORDS) < thread.index("moins de 2 mois") < thread.index("Allez tout")
    for said in ("Aïssatou Njoya", 'href="tel:+237699123456"', "Son enfant", "3 semaines"):
        assert said in page.text
    assert "<mark>fièvre</mark>" in page.text
    assert "Message important" not in page.text


async def test_markup_in_a_message_is_shown_as_text(ngo):
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    user = await in_database(lambda: patient(full_name="<b>x</b>", phone='"><b>', region="<i>"))
    opened = await in_database(lambda: case(user, evil, reply=evil))
    for path in (QUEUE, f"{QUEUE}{opened.pk}/"):
        page = (await ngo.get(path)).text
        for markup in ("<script>alert", "<img src=x", "<b>", "<i>"):
            assert markup not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2


async def test_a_case_that_is_not_readable_shows_its_level_and_says_why_no_more(ngo):
    user = await in_database(lambda: patient(full_name="Nom Secret", phone="699", region="Ouest"))
    opened = await in_database(lambda: case(user, readable=False))
    queue, page = await ngo.get(QUEUE), await ngo.get(f"{QUEUE}{opened.pk}/")
    assert numbers(queue) == [opened.pk]
    assert "Urgence vitale" in page.text
    assert "Le patient n'a pas permis" in page.text
    for text in (queue.text, page.text):
        for hidden in (WORDS, "Allez tout de suite", "Nom Secret", "699", "Ouest", "P-"):
            assert hidden not in text
    assert [patients for _, _, patients in await stored(entries)] == [[], []]


def allow_a_later_case(user_id, earlier):
    with as_(Principal.patient(user_id)):
        about = {"conversation_id": earlier.conversation_id, "message_id": earlier.message_id}
        Case.objects.create(user_id=user_id, level="emergency", readable=True, **about)


async def test_what_is_allowed_later_opens_no_earlier_case(ngo):
    user = await in_database(lambda: patient(full_name="Nom Secret"))
    earlier = await in_database(lambda: case(user, readable=False))
    await in_database(allow_a_later_case, user, earlier)
    page = await ngo.get(f"{QUEUE}{earlier.pk}/")
    assert WORDS not in page.text
    assert "Nom Secret" not in page.text
    assert WORDS in (await ngo.get(f"{QUEUE}{earlier.pk + 1}/")).text


async def test_every_view_of_patients_is_on_record_by_pseudonym(ngo):
    user = await in_database(patient)
    first, second = [await in_database(case, user) for _ in range(2)]
    await ngo.get(QUEUE)
    await ngo.get(f"{QUEUE}{second.pk}/")
    pseudonym = (await stored(Pseudonym.objects.get)).pseudonym
    assert await stored(entries) == [
        ("queue", [str(first.pk), str(second.pk)], [pseudonym]),
        ("case", [str(second.pk)], [pseudonym]),
    ]
    assert str(user) != str(pseudonym)


@contextmanager
def log_that_cannot_be_written():
    with connections["owner"].cursor() as cursor:
        cursor.execute("REVOKE INSERT ON access_log FROM clinician")
        try:
            yield
        finally:
            cursor.execute("GRANT INSERT ON access_log TO clinician")


async def test_nothing_is_shown_or_done_that_cannot_be_recorded(ngo):
    user = await in_database(lambda: patient(full_name="Aïssatou Njoya"))
    opened = await in_database(case, user)
    case_page = f"{QUEUE}{opened.pk}/"
    broken = log_that_cannot_be_written()
    await in_database(broken.__enter__)
    try:
        answers = [await ngo.get(QUEUE), await ngo.get(case_page)]
        answers.append(await post(ngo, f"{case_page}claim/"))
    finally:
        await in_database(broken.__exit__, None, None, None)
    for answer in answers:
        assert answer.status_code == 500
        assert "Aucune page n&#x27;a été envoyée" in answer.text
        assert WORDS not in answer.text
        assert "Aïssatou" not in answer.text
    assert (await stored(Case.objects.get)).claimed_by is None


async def test_of_two_who_claim_at_once_one_has_the_case(ngo, fouda):
    opened = await in_database(lambda: case(patient()))
    claim = f"{QUEUE}{opened.pk}/claim/"
    await asyncio.gather(*(post(each, claim) for each in (ngo, fouda, ngo, fouda)))
    assert (await stored(Case.objects.get)).claimed_by_name in ("Dr Ngo", "Dr Fouda")
    assert [reason for reason, _, _ in await stored(entries)] == ["claim"]


async def test_only_who_claimed_a_case_releases_or_closes_it(ngo, fouda):
    opened = await in_database(lambda: case(patient()))
    page = f"{QUEUE}{opened.pk}/"
    await post(ngo, f"{page}close/")
    assert (await stored(Case.objects.get)).closed_at is None
    await post(ngo, f"{page}claim/")
    for step in ("claim", "release", "close"):
        answer = await post(fouda, f"{page}{step}/")
        assert answer.status_code == 302
    theirs = await fouda.get(page)
    assert "Rien n&#x27;a changé" in theirs.text
    assert "Pris en charge par Dr Ngo." in theirs.text
    assert (await stored(Case.objects.get)).claimed_by_name == "Dr Ngo"
    await post(ngo, f"{page}release/")
    assert (await stored(Case.objects.get)).claimed_by is None
    await post(fouda, f"{page}claim/")
    await post(fouda, f"{page}close/")
    closed = await stored(Case.objects.get)
    assert (closed.claimed_by_name, closed.closed_at is None) == ("Dr Fouda", False)
    await post(fouda, f"{page}release/")
    assert (await stored(Case.objects.get)).claimed_by_name == "Dr Fouda"


def take_over(pk, intruder):
    with as_(Principal.clinician(intruder), "desk"):
        return Case.objects.filter(pk=pk).update(claimed_by=intruder)


async def test_postgres_too_keeps_a_claimed_case_from_others(ngo):
    opened = await in_database(lambda: case(patient()))
    await post(ngo, f"{QUEUE}{opened.pk}/claim/")
    intruder = await in_database(clinician, B)
    assert await in_database(take_over, opened.pk, intruder) == 0


async def test_a_step_is_a_form_and_never_a_link(ngo):
    opened = await in_database(lambda: case(patient()))
    page = f"{QUEUE}{opened.pk}/"
    assert (await ngo.get(f"{page}claim/")).status_code == 405
    assert (await ngo.post(f"{page}claim/")).status_code == 403
    assert (await post(ngo, f"{page}erase/")).status_code == 404
    assert (await stored(Case.objects.get)).claimed_by is None


async def test_nothing_else_of_the_admin_reaches_patients(ngo):
    await in_database(lambda: case(patient()))
    paths = [f"{QUEUE}{rest}" for rest in ("add/", "1/change/", "1/delete/", "1/history/", "9/")]
    paths += ["/admin/accounts/user/", "/admin/auth/group/", "/admin/nothing/", f"{LOG}add/"]
    for path in paths:
        answer = await ngo.get(path)
        assert answer.status_code in (404, 405), path
        assert answer.headers["Content-Type"].startswith("text/html") or not answer.content


async def test_no_words_of_patients_stand_in_titles_or_in_djangos_log(ngo):
    opened = await in_database(lambda: case(patient()))
    page = await ngo.get(f"{QUEUE}{opened.pk}/")
    await post(ngo, f"{QUEUE}{opened.pk}/claim/")
    assert re.search(r"<title>\s*Cas \d+ \| Carehelp\s*</title>", page.text)
    assert await stored(LogEntry.objects.count) == 0


async def test_the_access_log_is_read_and_checked(ngo):
    opened = await in_database(lambda: case(patient()))
    await ngo.get(f"{QUEUE}{opened.pk}/")
    page, seals = await ngo.get(LOG), await ngo.get(f"{LOG}seals/")
    assert f"Cas {opened.pk}" in page.text
    assert "a lu" in page.text
    assert "Rien de ce qui a été scellé" in seals.text
    assert (await post(ngo, LOG, action="delete_selected")).status_code in (200, 403)
    assert len(await stored(entries)) == 1


async def test_the_page_asks_how_many_cases_are_new_and_learns_a_number(ngo):
    who = await in_database(patient)
    first = await in_database(case, who)
    await in_database(case, who)
    news = await ngo.get(f"{QUEUE}news/?after={first.pk}")
    assert "1 nouveau cas" in news.text
    assert (await ngo.get(f"{QUEUE}news/?after=999999999999999999999999")).text.strip() == ""
    assert await stored(entries) == []


async def test_a_given_password_is_replaced_before_anything_is_seen(database):
    given = await in_database(services.create_clinician, A, "Dr Ngo")
    change = "/admin/password_change/"
    async with browser() as client:
        await sign_in(client, A, given)
        assert (await client.get(QUEUE)).headers["Location"] == change
        new = {"new_password1": PASSWORD, "new_password2": PASSWORD}
        same = {"new_password1": given, "new_password2": given}
        wrong = await post(client, change, old_password="wrong", **new)
        again = await post(client, change, old_password=given, **same)
        assert (wrong.status_code, again.status_code) == (200, 200)
        assert "Choisissez un autre mot de passe" in again.text
        done = await post(client, change, old_password=given, **new)
        assert done.headers["Location"] == f"{change}done/"
        assert (await client.get(QUEUE)).status_code == 200
    async with browser() as another:
        assert (await sign_in(another, A, given)).status_code == 200
        assert (await sign_in(another, A)).status_code == 302


async def test_french_comes_first_and_english_where_it_is_wanted(database):
    async with browser() as client:
        assert "Bureau des soignants" in (await client.get("/admin/login/")).text
        english = await client.get("/admin/login/", headers={"Accept-Language": "en-GB,en"})
        assert "Desk for clinicians" in english.text
        await post(client, "/admin/language/", language="en", next="/admin/login/")
        assert "Desk for clinicians" in (await client.get("/admin/login/")).text


async def test_problems_of_the_api_are_told_in_the_language_asked_for(database):
    async with browser() as client:
        french = await client.get("/api/conversations")
        english = await client.get("/api/conversations", headers={"Accept-Language": "en"})
    assert french.json()["title"] == "Connectez-vous d'abord"
    assert english.json()["title"] == "Sign in first"
    assert "Accept-Language" in english.headers["Vary"]
