"""Whatever is written: triage answers, the danger in it is heard, and nothing calms it."""

from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage import rulebook
from triage.engine import assess
from triage.levels import Level

RULES = rulebook.current()
WORDS = sorted(RULES.reader.spelling.targets)
ANYTHING = st.one_of(
    st.text(max_size=400),
    st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join),
    st.lists(st.sampled_from(["pas", "no", "?", ".", ",", "39°5", "si", "hier", "ne"]), max_size=60)
    .map(" ".join),
)  # fmt: skip
EMERGENCIES = [
    "Mon bébé ne respire plus.",
    "She is unconscious.",
    "Snake don bite ma pikin.",
    "Le pater a le visage tordu et il ne tok plus bien.",
    "je veux me tuer ce soir",
]
REASSURANCES = [
    "mais ça va",
    "sinon il va bien",
    "it's probably nothing",
    "he says he is fine now",
    "but e dey fine",
    "ne vous inquiétez pas",
    "il dort tranquillement",
    "no wahala",
    "c'est passé",
    "it is over now",
    "e don pass",
]


def level(text):
    return assess(text, RULES)[0].level


@settings(deadline=None, max_examples=150)
@given(ANYTHING)
def test_no_text_breaks_it(text):
    assessment, state = assess(text, RULES)
    assert assessment.level in Level
    assert state.to_json()["subjects"]


@settings(deadline=None, max_examples=100)
@given(ANYTHING, st.sampled_from(EMERGENCIES))
def test_danger_after_any_text_is_an_emergency(text, danger):
    assert level(f"{text[:400]} . {danger}") is Level.EMERGENCY


@pytest.mark.parametrize("danger", EMERGENCIES)
@pytest.mark.parametrize("calm", REASSURANCES)
def test_reassuring_words_lower_nothing(danger, calm):
    assert level(f"{danger} {calm}") is Level.EMERGENCY
    assert level(f"{calm}. {danger}") is Level.EMERGENCY


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join))
def test_what_was_reached_is_never_lowered_by_what_is_said_next(text):
    _, state = assess("Mon père ne respire plus", RULES)
    _, after = assess(text, RULES, state=state, declared={"key": "father"})
    assert after.level("father") is Level.EMERGENCY


@pytest.mark.parametrize(
    "text",
    ["a" * 4000, "saigne " * 600, "mal au " * 600, "pas plus no " * 400, "39.5 " * 900, "é̂" * 2000],
)
def test_long_hostile_text_is_answered(text):
    assert level(text) in Level


@pytest.mark.parametrize("text", ["jaimalauventreetjevomis" * 174, "é̀̂ç" * 1000])
def test_one_endless_word_stalls_nothing(text):
    """Milliseconds; where every piece of a word is looked up it takes seconds."""
    started = thread_time()
    level(text)
    assert thread_time() - started < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "mon bébé de 3 semaines a de la fièvre, c'est fini maintenant",
        "my baby of 10 days has fever, it has passed",
        "fièvre et raideur de la nuque, la fièvre est passée",
    ],
)
def test_a_fever_that_has_passed_is_still_a_danger_sign(text):
    assert level(text) is Level.EMERGENCY
