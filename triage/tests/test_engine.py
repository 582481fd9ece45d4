"""Subjects over turns: facts and level belong to somebody, and only rise."""

from datetime import UTC, datetime, timedelta

import pytest

from triage import rulebook
from triage.engine import assess
from triage.levels import Level
from triage.state import State

RULES = rulebook.current()
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def say(text, state=None, at=NOON, **kwargs):
    return assess(text, RULES, state=state, at=at, **kwargs)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("j'ai mal à la tête", "self"),
        ("mon bébé a de la fièvre", "child"),
        ("ma pikin di cough", "child"),
        ("my father has chest pain", "father"),
        ("le pater a mal au dos", "father"),
        ("ma nga vomit", "partner"),
    ],
)
def test_it_knows_who_is_meant(text, key):
    assert say(text)[0].subject == key


def test_a_fever_is_urgent_in_an_adult_and_an_emergency_in_a_newborn():
    assert say("j'ai de la fièvre")[0].level is Level.URGENT
    assert say("mon bébé de 10 jours a de la fièvre")[0].level is Level.EMERGENCY


def test_danger_may_come_together_over_turns():
    first, state = say("ma femme est enceinte de 8 mois")
    second, _ = say("elle saigne", state)
    assert first.level is not Level.EMERGENCY
    assert second.level is Level.EMERGENCY


def test_one_patient_does_not_lend_signs_to_another():
    _, state = say("mon père ne respire plus")
    after, state = say("j'ai un rhume", state)
    assert after.subject == "self"
    assert after.level is Level.SELF_CARE
    assert state.level("father") is Level.EMERGENCY


def test_feeling_better_lowers_nothing():
    _, state = say("ma fille convulse")
    after, _ = say("elle va mieux, elle dort", state)
    assert after.conversation_level is Level.EMERGENCY


def test_an_episode_ends_after_72_hours_of_silence():
    _, state = say("ma fille convulse")
    kept, _ = say("elle a un rhume", state, at=NOON + timedelta(hours=71))
    ended, _ = say("elle a un rhume", state, at=NOON + timedelta(hours=73))
    assert kept.conversation_level is Level.EMERGENCY
    assert ended.conversation_level is Level.SELF_CARE


def test_a_known_disease_outlives_the_episode():
    _, state = say("mon fils est drépanocytaire")
    after, _ = say("il a mal à la poitrine", state, at=NOON + timedelta(days=30))
    assert after.level is Level.EMERGENCY


def test_yes_establishes_what_was_asked():
    asked, state = say("mon fils de 3 ans a de la fièvre")
    assert asked.asked
    assert len(asked.asked) <= 2
    assert say("oui", state)[0].conversation_level is Level.EMERGENCY
    assert say("non", state)[0].conversation_level is not Level.EMERGENCY


def test_after_an_emergency_its_situation_is_answered():
    _, state = say("un serpent m'a mordu au pied")
    after, _ = say("je suis loin, pas de voiture", state)
    assert (after.kind, after.situation) == ("follow_up", "far")
    assert after.level is Level.EMERGENCY


@pytest.mark.parametrize("text", ["xqz wvk pfft brrz", "mi ɗon nyawa haandu jemma", "....", ""])
def test_what_it_cannot_read_is_unknown_and_not_harmless(text):
    assert say(text)[0].level is Level.UNKNOWN


def test_its_state_survives_json():
    _, state = say("mon bébé de 10 jours a de la fièvre")
    assert State.from_json(state.to_json()) == state


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        (
            "mon fils a 3 ans il convulse, sa sœur tousse",
            {"son": "emergency", "sibling": "self_care"},
        ),
        ("ma fille tousse, mon fils convulse", {"daughter": "self_care", "son": "emergency"}),
        (
            "my pikin dey cough, ma papa mouth don bend",
            {"child": "self_care", "father": "emergency"},
        ),
    ],
)
def test_several_patients_of_a_message_are_read_each_for_themselves(text, levels):
    """By the rules: what the learned signal hears in a message it hears of everybody."""
    assessment, state = assess(text, rulebook.shipped(), at=NOON)
    assert assessment.level is Level.EMERGENCY
    assert {key: str(one.level) for key, one in state.subjects.items()} == levels


def test_ages_and_pregnancy_do_not_cross_over():
    _, state = say("ma femme enceinte de 8 mois tousse, mon fils de 3 ans a mal à la tête")
    assert "age_years" not in state.subjects["partner"].facts
    assert "pregnant" not in state.subjects["son"].signs


@pytest.mark.parametrize(
    "text", ["mon fils vomit, ma mère dit qu'il convulse", "mon fils vomit, son frère l'a frappé"]
)
def test_who_only_speaks_or_does_something_is_no_patient(text):
    assert set(say(text)[1].subjects) == {"son"}


def test_an_age_told_after_the_complaint_is_an_age():
    assert say("le bébé a de la fièvre, il a 10 jours")[0].level is Level.EMERGENCY
