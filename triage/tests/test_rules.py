"""A rule that is not right is refused, by name and line, and the rules in force stay."""

import pytest

from triage import lines, rulebook, rules
from triage.engine import check_examples
from triage.lines import BadRule

GOOD = """\
- id: paper-cut
  title: {fr: Coupure, en: Paper cut}
  level: self_care
  when: {says: {fr: ["coupure de papier"], en: ["paper cut"]}}
  advice: {fr: Lavez., en: Wash., pcm: Wash.}
  examples: {match: ["a paper cut"], no_match: ["a paper boat"]}
  source: {title: Ours}
  status: active
"""
LEXICON = rulebook.current().lexicon


def built(source):
    return rules.RuleSet(rules.read_rules(lines.parse(source, "cuts.yaml"), "cuts.yaml"), LEXICON)


def test_a_whole_rule_is_taken():
    found = built(GOOD)
    check_examples(found)
    assert list(found.rules) == ["paper-cut"]


@pytest.mark.parametrize(
    ("old", "new", "why", "line"),
    [
        ("when: {says:", "when: {sings:", "unknown condition", 4),
        ("when: {says: {fr: [\"coupure de papier\"], en: [\"paper cut\"]}}", "when: {sign: nonsuch}", "unknown sign", 4),
        ("when: {says: {fr: [\"coupure de papier\"], en: [\"paper cut\"]}}", "when: {fact: {mood: {is: 1}}}", "unknown fact", 4),
        ("{fr: [\"coupure de papier\"], en", "{en", "no fr", 4),
        ("paper cut\"]}}", "paper (cut\"]}}", "re2 refuses", 4),
        ("paper cut\"]}}", "(?!paper)cut\"]}}", "re2 refuses", 4),
        ("paper cut\"]}}", ".*\"]}}", "matches everything", 4),
        ("paper cut\"]}}", "(paper)?\"]}}", "matches everything", 4),
        ("paper cut\"]}}", "{nogroup} cut\"]}}", "unknown word group", 4),
        ("{fr: Lavez., en: Wash., pcm: Wash.}", "{fr: Lavez., en: Wash.}", "advice has no pcm", 5),
        ("title: {fr: Coupure, en", "title: {en", "title has no fr", 2),
        ("level: self_care", "level: scary", "unknown level", 3),
        ("level: self_care", "level: emergency", "no follow_up", 3),
        ("status: active", "status: maybe", "unknown status", 8),
        ("status: active", "mood: good", "unknown mood", 8),
        ("no_match: [\"a paper boat\"]", "no_match: []", "examples need", 6),
    ],
)  # fmt: skip
def test_a_broken_rule_is_refused_by_name_and_line(old, new, why, line):
    assert old in GOOD
    with pytest.raises(BadRule) as refused:
        built(GOOD.replace(old, new))
    assert why in refused.value.why
    assert (refused.value.rule, refused.value.file) == ("paper-cut", "cuts.yaml")
    assert refused.value.line == line


@pytest.mark.parametrize(
    ("old", "new"), [('["a paper cut"]', '["a knife"]'), ('["a paper boat"]', '["paper cut"]')]
)
def test_a_broken_example_is_refused(old, new):
    with pytest.raises(BadRule, match="broken example") as refused:
        check_examples(built(GOOD.replace(old, new)))
    assert (refused.value.rule, refused.value.line) == ("paper-cut", 6)


def test_what_is_not_yaml_is_refused_with_its_line():
    with pytest.raises(BadRule, match="not YAML") as refused:
        lines.parse("- id: a\n  title: }", "cuts.yaml")
    assert refused.value.line == 2


def test_a_rule_stands_once():
    with pytest.raises(BadRule, match="stands twice"):
        built(GOOD + GOOD)


def test_the_rules_in_force_stay():
    before = rulebook.current()
    with pytest.raises(BadRule):
        rulebook.put_in_force(rulebook.checked(built(GOOD.replace("a paper cut", "a knife"))))
    assert rulebook.current() is before
