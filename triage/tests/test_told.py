"""A question, a memory or a "what if" does not silence the danger told beside it."""

from pathlib import Path

import pytest
import yaml

from triage import rulebook
from triage.engine import assess
from triage.levels import Level

MESSAGES = yaml.safe_load(Path(__file__).with_name("told.yaml").read_text(encoding="utf-8"))
DANGERS = [(frame, told) for frame, all_told in MESSAGES["dangers"].items() for told in all_told]


def level(message, rules=None):
    return assess(message, rules or rulebook.current())[0].level


@pytest.mark.parametrize(("frame", "message"), DANGERS)
def test_a_danger_somebody_has_is_never_silenced(frame, message):
    assert level(message) is Level.EMERGENCY, frame


@pytest.mark.parametrize("message", MESSAGES["calm"])
def test_what_nobody_has_now_is_no_emergency_by_the_rules(message):
    """The learned signal, which may raise anything, calls two of these emergencies."""
    assert level(message, rulebook.shipped()) is not Level.EMERGENCY
