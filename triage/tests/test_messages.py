"""How well triage does on messages that no rule was written for: the gates of `make test`.

The targets stand in docs/triage.md. Where one is not reached, the gate is what is reached less a
margin for chance: it may be raised, never lowered to pass.
"""

from collections import Counter
from functools import cache

import pytest

from triage import evaluation, rulebook
from triage.engine import assess
from triage.language import detect
from triage.levels import Level
from triage.tests.variants import BESIDE, DENIED, variants

MESSAGES = rulebook.FIXTURES / "triage_messages"
CAUGHT = {"fr": 0.88, "en": 0.90, "pcm": 0.905, "cfr": 0.895}


@cache
def judged(name):
    cases = list(evaluation.read_cases(MESSAGES / f"{name}.jsonl"))
    return [evaluation.judge_once(case, rulebook.current()) for case in cases]


def figures(name, **keys):
    chosen = [
        one
        for one in judged(name)
        if all(str(one.case.keys[key]).startswith(value) for key, value in keys.items())
    ]
    return evaluation.figures(chosen)


@pytest.mark.parametrize("language", CAUGHT)
def test_emergencies_are_caught(language):
    assert figures("test", language=language)["emergencies_caught"]["rate"] >= CAUGHT[language]


def test_hardly_an_emergency_is_called_self_care():
    assert figures("test")["emergencies_called_self_care"]["rate"] <= 0.009


def test_few_are_called_less_urgent_than_they_are():
    assert figures("test")["under_triage"]["rate"] <= 0.08


def test_few_low_risk_messages_are_called_emergencies():
    assert figures("test")["low_risk_called_emergency"]["rate"] <= 0.108


def test_few_hard_negatives_are_called_emergencies():
    assert figures("test", kind="hard_negative")["low_risk_called_emergency"]["rate"] <= 0.158


def test_dialogues_end_where_their_worst_subject_stands():
    found = figures("dialogues_test")
    assert found["emergencies_caught"]["rate"] >= 0.83
    assert found["under_triage"]["rate"] <= 0.15


def test_vignettes_of_clinicians_are_read():
    found = figures("semigran45")
    assert found["emergencies_caught"]["hits"] >= 14
    assert found["right"]["rate"] >= 0.52


@cache
def lowered():
    """How often each way of writing lowers a level, and of how many messages."""
    counts, rules = Counter(), rulebook.current()
    for one in judged("test")[::5]:
        text = one.case.turns[0]
        before = Level(one.level).rank
        if before < Level.URGENT.rank:
            continue
        for way, variant in variants(text, one.case.language).items():
            counts[way, "of"] += 1
            counts[way, "lower"] += assess(variant, rules)[0].level.rank < before
    return counts


def test_no_way_of_writing_hides_a_danger():
    counts = lowered()
    of = sum(n for (_, what), n in counts.items() if what == "of")
    lower = sum(n for (_, what), n in counts.items() if what == "lower")
    assert of > 500
    assert lower / of <= 0.02, counts


@cache
def framed(frames):
    """Of the rules' own examples in frames: by frame, how often the rule still holds, and of how many."""
    counts, rules = Counter(), rulebook.current()
    for one in rules.compiled:
        if one.learned:
            continue
        language = "en" if detect(one.rule.examples["match"][0].split()) == "en" else "fr"
        for frame in dict(frames)[language]:
            example = one.rule.examples["match"][0].rstrip(" .!?")
            matches = assess(frame.format(example), rules)[0].matches
            counts[frame, "of"] += 1
            counts[frame, "holds"] += one.rule.id in {match.id for match in matches}
    return counts


def share(counts):
    holds = sum(n for (_, what), n in counts.items() if what == "holds")
    return holds / sum(n for (_, what), n in counts.items() if what == "of")


def test_no_rule_holds_in_frames_that_complain_of_nothing():
    counts = framed(tuple(DENIED.items()))
    assert share(counts) <= 0.16, counts


def test_every_rule_holds_beside_a_denial_of_something_else():
    counts = framed(tuple(BESIDE.items()))
    assert share(counts) >= 0.98, counts
