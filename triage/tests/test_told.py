"""A question, a memory or a "what if" does not silence the danger told beside it."""

from pathlib import Path

import pytest
import yaml

from triage import rulebook
from triage.engine import assess
from triage.levels import Level

MESSAGES = yaml.safe_load(Path(__file__).with_name("told.yaml").read_text(encoding="utf-8"))
DANGERS = [(frame, told) for frame, all_told in MESSAGES["dangers"].items() for told in all_told]


def level(message):
    """By the rules: the learned signal hears some dangers that a frame silences."""
    return assess(message, rulebook.shipped())[0].level


@pytest.mark.parametrize(("frame", "message"), DANGERS)
def test_a_danger_somebody_has_is_never_silenced(frame, message):
    assert level(message) is Level.EMERGENCY, frame


@pytest.mark.parametrize("message", MESSAGES["heard"])
def test_what_the_rules_silence_the_signal_may_hear(message):
    assert assess(message, rulebook.current())[0].level is Level.EMERGENCY


@pytest.mark.parametrize("message", MESSAGES["calm"])
def test_what_nobody_has_now_is_no_emergency(message):
    assert level(message) is not Level.EMERGENCY
