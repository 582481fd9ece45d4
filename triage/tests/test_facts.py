"""Numbers with the units that people write."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage import rulebook, text
from triage.facts import NAMES, read_facts

SPELL = rulebook.current().reader.spelling


def facts(message, *, about_child=False):
    return read_facts(text.normalise(message, SPELL), about_child=about_child)


@pytest.mark.parametrize(
    ("message", "name", "value"),
    [
        ("il a 39°5", "temperature_c", 39.5),
        ("fièvre à 39,5", "temperature_c", 39.5),
        ("temperature 102 F", "temperature_c", 38.9),
        ("tension 16/10", "systolic", 160),
        ("tension 16/10", "diastolic", 100),
        ("bp 180 over 110", "systolic", 180),
        ("pouls à 140", "pulse", 140),
        ("il respire 70 fois", "breaths", 70),
        ("saturation 85%", "saturation", 85),
        ("glycémie 0,45", "glucose_mg_dl", 45),
        ("sugar 480", "glucose_mg_dl", 480),
        ("vomit 10 fois", "vomits", 10),
        ("elle a 25 ans", "age_years", 25),
        ("enceinte de 7 mois", "gestation_weeks", 30.4),
    ],
)
def test_a_number_is_read_as_meant(message, name, value):
    assert facts(message)[name] == pytest.approx(value, rel=0.01)


def test_an_age_goes_down_to_days():
    assert facts("mon bébé de 5 jours", about_child=True)["age_days"] == 5
    assert "age_days" not in facts("il a de la fièvre depuis 5 jours")


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet="0123456789./°, abcdefgjhsumoiern", max_size=120))
def test_no_text_breaks_it(message):
    assert set(facts(message)) <= NAMES
