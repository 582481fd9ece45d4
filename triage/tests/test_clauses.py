"""Whether a sign is here and now, in four languages."""

import pytest

from triage import rulebook
from triage.clauses import judge
from triage.standings import Standing

READER = rulebook.current().reader
PRESENT, NEGATED, PAST = Standing.PRESENT, Standing.NEGATED, Standing.PAST


def standings(message, sign):
    return {standing for hit, standing in judge(READER.read(message)) if hit.name == sign}


@pytest.mark.parametrize(
    ("message", "sign", "standing"),
    [
        ("je n'ai pas mal à la poitrine", "chest_pain", NEGATED),
        ("no chest pain, no fever", "fever", NEGATED),
        ("e no di bleed", "bleeding", NEGATED),
        ("il saigne pas", "bleeding", NEGATED),
        ("la tête ne me fait pas mal", "headache", NEGATED),
        ("she denies any fever, chills or vomiting", "vomiting", NEGATED),
        ("pas de fièvre mais il vomit", "vomiting", PRESENT),
        ("il n'arrête pas de vomir", "vomiting", PRESENT),
        ("je ne sais pas pourquoi il convulse", "convulsion", PRESENT),
        ("il ne respire plus", "not_breathing", PRESENT),
        ("a no fit breathe", "breathless", PRESENT),
        ("l'an dernier j'ai eu mal à la poitrine", "chest_pain", PAST),
        ("when I was small I had convulsions", "convulsion", PAST),
        ("a snake bit me in 2015", "snake_bite", PAST),
        ("depuis 2019 j'ai mal à la poitrine", "chest_pain", PRESENT),
        ("quels sont les signes d'une convulsion ?", "convulsion", Standing.ASKED),
        ("si un jour mon enfant convulse", "convulsion", Standing.SUPPOSED),
        ("la radio dit qu'il y a le choléra à Kribi", "rice_water", Standing.ELSEWHERE),
        ("les prix m'étouffent", "breathless", Standing.IDIOM),
        ("aucun des signes suivants : saignement, convulsions", "convulsion", NEGATED),
        ("chest pain, convulsions? None of those.", "chest_pain", NEGATED),
        ("ce n'est pas vrai qu'il convulse", "convulsion", NEGATED),
        ("fever no dey, I dey cough", "fever", NEGATED),
        ("head dey pain me, neck no stiff", "stiff_neck", NEGATED),
        ("neck no fit bend", "stiff_neck", PRESENT),
        ("je ne plaisante pas, ce n'est pas une blague, il convulse", "convulsion", PRESENT),
        ("my heart attack was in 2016 and this pain in my chest is new", "chest_pain", PRESENT),
        ("au cas où ma fille convulserait, où aller ?", "convulsion", Standing.SUPPOSED),
        ("pour un exposé : pourquoi convulse-t-on ?", "convulsion", Standing.ASKED),
        ("ce n'est pas pour un exposé, il convulse", "convulsion", PRESENT),
        ("Is vomiting dangerous?", "vomiting", Standing.ASKED),
        ("Is vomiting dangerous? My son is vomiting", "vomiting", PRESENT),
        ("how much is a scan after convulsions", "convulsion", Standing.ASKED),
        ("the cost of the scan is a problem, he convulses", "convulsion", PRESENT),
        ("can malaria make a child vomit? mine is doing it now", "vomiting", PRESENT),
        ("the goat of the neighbour was bitten by a snake", "snake_bite", Standing.ELSEWHERE),
        ("he had a convulsion but it is over now", "convulsion", PRESENT),
        ("the fever was over but it came back", "fever", PRESENT),
    ],
)
def test_a_sign_stands_as_it_is_told(message, sign, standing):
    found = standings(message, sign)
    assert standing in found or (standing is Standing.IDIOM and PRESENT not in found)
    if standing is not PRESENT:
        assert PRESENT not in found


def test_a_bite_long_ago_does_not_hide_what_it_does_today():
    message = "mordu par un chien il y a deux mois il a peur de l'eau"
    assert PRESENT in standings(message, "rabies_sign")
    assert PRESENT not in standings(message, "animal_bite")


def test_a_sign_does_not_reach_over_a_but():
    assert not standings("I feel like vomiting every morning but water stays", "vomits_everything")
    assert standings("I vomit everything even water", "vomits_everything")
