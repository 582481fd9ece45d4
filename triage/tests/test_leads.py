"""Of several rules of one level the most particular one speaks."""

import pytest

from triage import rulebook
from triage.engine import assess
from triage.levels import Level

LEADS = [
    ("mon bébé de 3 semaines a de la fièvre et ne tète plus", "newborn-fever"),
    ("my wife is pregnant, strong headache and she had a fit", "preeclampsia"),
    ("un serpent l'a mordu et il vomit du sang", "snake-bite"),
    ("elle a bu du gramoxone, elle respire mal", "poisoning"),
    ("sickle cell, chest pain, e no fit breathe", "sickle-danger"),
]


@pytest.mark.parametrize(("text", "rule"), LEADS)
def test_the_most_particular_rule_speaks(text, rule):
    found = assess(text, rulebook.current())[0]
    assert len([match for match in found.matches if match.level is found.level]) > 1
    assert found.speaker.id == rule


@pytest.mark.parametrize(
    "text", ["ça me brûle quand je pisse", "burning when I pee", "piss di burn me"]
)
def test_burning_urine_is_no_burn(text):
    found = assess(text, rulebook.current())[0]
    assert not {"burn", "burn-severe", "burn-small"} & {match.id for match in found.matches}


def test_every_emergency_rule_has_its_place():
    rules = rulebook.current()
    emergencies = {
        one.rule.id
        for one in rules.compiled
        if one.rule.level is Level.EMERGENCY and not one.learned
    }
    assert emergencies <= set(rules.lexicon.leads)
    assert set(rules.lexicon.leads) <= set(rules.rules)
