"""Every shipped rule proves itself on its own examples."""

import pytest

from triage import rulebook
from triage.engine import assess

CASES = [
    pytest.param(one.rule.id, text, kind == "match", id=f"{one.rule.id}-{kind}-{i}")
    for one in rulebook.current().compiled
    for kind in ("match", "no_match")
    for i, text in enumerate(one.rule.examples[kind])
]


@pytest.mark.parametrize(("rule", "text", "expected"), CASES)
def test_rule_example_says_what_it_should(rule, text, expected):
    assessment, _ = assess(text, rulebook.current())
    assert (rule in {match.id for match in assessment.matches}) is expected
