"""What the desk calls things."""

import uuid

import pytest
from django.utils import translation

from conversations.desk import labels
from conversations.desk.thread import Page, _people, _source
from triage.levels import Level


@pytest.fixture(autouse=True)
def french():
    with translation.override("fr"):
        yield


@pytest.mark.parametrize(
    ("days", "said"),
    [(0, "0 jour"), (13, "13 jours"), (21, "3 semaines"), (200, "7 mois"), (365.25 * 2, "2 ans"),
     (365.25 * 62, "62 ans")],
)  # fmt: skip
def test_an_age_is_said_as_clinicians_say_it(days, said):
    assert labels.age(days) == said


def test_facts_are_lines_with_their_units():
    known = {"age_years": 62, "age_days": 62 * 365.25, "systolic": 170.0, "diastolic": 100.0}
    known |= {"temperature_c": 39.2, "sex": "f", "pregnant": False, "duration_hours": 72.0}
    assert labels.facts(known) == [
        ("Âge", "62 ans"),
        ("Sexe", "féminin"),
        ("Enceinte", "non"),
        ("Température", "39,2 °C"),
        ("Tension artérielle", "170/100 mmHg"),
        ("Depuis", "3 jours"),
    ]


def test_a_fact_that_nobody_named_is_shown_all_the_same():
    assert labels.facts({"limp": "left"}) == [("limp", "left")]


def test_every_level_has_a_word():
    assert [labels.level(level) for level in Level] == [
        "Urgence vitale",
        "Urgent, aujourd'hui",
        "Consultation",
        "Non compris",
        "Soins à la maison",
        "Aucun symptôme",
    ]


def test_a_label_is_short_and_always_the_same():
    assert labels.patient(uuid.UUID("edbd05c0-0000-4000-8000-000000000000")) == "P-EDB-D05"


def test_a_rule_that_is_gone_is_called_by_its_id():
    assert labels.rule("no-such-rule") == "no-such-rule"


def test_the_worst_off_comes_first_and_who_is_not_a_patient_not_at_all():
    subjects = {
        "self": {"level": "none", "facts": {}},
        "mother": {"level": "routine", "facts": {}},
        "child": {"level": "emergency", "facts": {"age_days": 21}},
    }
    assert [one.who for one in _people({"subjects": subjects})] == ["Son enfant", "Sa mère"]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x", "", None])
def test_only_a_web_address_becomes_a_link(url):
    assert _source({"title": "x", "url": url})["url"] == ""


def test_a_telephone_is_told_to_dial_numbers_only():
    assert Page(line=None, phone='+237 6 99" onclick="x').dialled == "+237699"
