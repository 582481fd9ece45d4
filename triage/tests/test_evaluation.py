"""Measuring triage: the figures are right, and what cannot be measured is refused by name."""

import json

import pytest
from django.core.management import CommandError, call_command

from triage import evaluation
from triage.evaluation import BadLine, Case, Judged, figures, read_cases, wilson

FIT = "my son is convulsing and he does not wake up"
FINE = "Bonne nuit docteur et que Dieu vous bénisse."


def case(gold, *acceptable, file="a.jsonl", **keys):
    return Case(file, "1", ("",), gold, frozenset((gold, *acceptable)), "fr", keys)


def judged(gold, level, *acceptable, us=10.0, **keys):
    return Judged(case(gold, *acceptable, **keys), level, (), us)


@pytest.fixture
def write(tmp_path):
    def write(*lines, name="a.jsonl"):
        path = tmp_path / name
        path.write_text(
            "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        )
        return path

    return write


def test_none_counts_as_self_care_and_unknown_as_routine():
    assert judged("self_care", "none").right
    assert judged("none", "self_care", "self_care").right
    assert judged("routine", "unknown").right
    assert not judged("urgent", "unknown").right
    table = figures([judged("none", "unknown"), judged("unknown", "none")])["confusion"]
    assert table["self_care"]["routine"] == 1
    assert table["routine"]["self_care"] == 1


def test_under_triage_is_below_everything_acceptable():
    assert judged("emergency", "routine", "urgent").too_low
    assert not judged("emergency", "urgent", "urgent").too_low
    assert not judged("routine", "emergency").too_low


def test_rates_are_of_what_they_say():
    found = figures(
        [
            judged("emergency", "emergency"),
            judged("emergency", "none"),
            judged("emergency", "urgent"),
            judged("urgent", "emergency"),
            judged("routine", "emergency"),
            judged("none", "self_care"),
            judged("self_care", "unknown"),
        ]
    )
    assert (found["emergencies_caught"]["hits"], found["emergencies_caught"]["of"]) == (1, 3)
    assert found["emergencies_called_self_care"]["hits"] == 1
    low = found["low_risk_called_emergency"]
    assert (low["hits"], low["of"]) == (1, 3)
    # Two of four messages that are no emergency were called one.
    assert found["precision_at_2_percent"] == round(0.02 / 3 / (0.02 / 3 + 0.98 / 2), 3)


def test_an_emergency_that_would_do_as_well_is_no_false_alarm():
    found = figures([judged("emergency", "emergency"), judged("urgent", "emergency", "emergency")])
    assert found["precision_at_2_percent"] is None


def test_wilson_intervals_are_those_of_the_textbook():
    assert wilson(8, 10) == (0.4902, 0.9433)
    assert wilson(0, 10) == (0.0, 0.2775)
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_figures_of_nothing_are_null_and_not_an_error():
    found = figures([])
    assert found["emergencies_caught"]["rate"] is None
    assert found["us"] == {"median": None, "p99": None}


def test_the_slowest_of_a_hundred_shows_in_p99():
    found = figures([judged("routine", "routine", us=us) for us in range(1, 102)])
    assert found["us"] == {"median": 51, "p99": 100}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "is no JSON object"),
        ({"gold": "emergency"}, "neither text nor turns"),
        ({"text": 5, "gold": "emergency"}, "neither text nor turns"),
        ({"turns": [], "gold": "emergency"}, "with at least one"),
        ({"turns": ["a", None], "gold": "emergency"}, "neither text nor turns"),
        ({"text": "a"}, "gold is one of"),
        ({"text": "a", "gold": "red"}, "not 'red'"),
        ({"text": "a", "gold": ["urgent"]}, "gold is one of"),
        ({"text": "a", "gold": "urgent", "gold_acceptable": ["orange"]}, "gold_acceptable"),
    ],
)
def test_a_bad_line_is_named_with_its_file(write, line, why):
    path = write({"text": "a", "gold": "urgent"}, line)
    with pytest.raises(BadLine, match="a.jsonl:2: ") as refused:
        list(read_cases(path))
    assert why in str(refused.value)


def test_what_other_files_leave_out_is_not_missed(write):
    path = write({"text": "a", "gold": "urgent"}, "", {"turns": [{"text": "b"}], "gold": "none"})
    first, second = read_cases(path)
    assert (first.id, first.language, first.acceptable) == ("1", "", {"urgent"})
    assert (second.id, second.turns) == ("3", ("b",))


def test_one_level_may_be_acceptable_without_a_list(write):
    (only,) = read_cases(write({"text": "a", "gold": "urgent", "gold_acceptable": "emergency"}))
    assert only.acceptable == {"urgent", "emergency"}


def test_groups_are_by_file_by_language_and_by_any_key():
    cases = [judged("routine", "routine", style="sms", language="fr"), judged("routine", "routine")]
    found = evaluation.groups(cases, ["style"])
    assert [len(found[name]) for name in ("a.jsonl", "a.jsonl style=sms")] == [2, 1]
    assert len(found["a.jsonl language=null"]) == 1


def test_the_command_writes_messages_and_summary(write, tmp_path, capsys):
    path = write(
        {"id": "x1", "text": FIT, "gold": "emergency", "language": "en"},
        {"id": "x2", "turns": [FINE, FINE], "gold": "none", "language": "fr"},
        {"id": "x3", "text": FINE, "gold": "emergency", "language": "fr"},
    )
    out = tmp_path / "out.json"
    call_command("evaluate_triage", path, "--json", out)
    written = json.loads(out.read_text())
    assert set(written) == {"messages", "summary"}
    keys = {"file", "id", "gold", "level", "language", "rules", "us"}
    assert all(set(message) == keys for message in written["messages"])
    first, second, third = written["messages"]
    assert (first["file"], first["id"], first["level"]) == ("a.jsonl", "x1", "emergency")
    assert first["rules"]
    assert second["us"] > 0
    assert written["summary"]["a.jsonl"]["emergencies_caught"]["hits"] == 1
    told = capsys.readouterr().out
    assert f"a.jsonl x3: emergency as {third['level']} (no rule)" in told
    assert "a.jsonl x1" not in told


def test_two_files_with_one_name_are_told_apart(write, tmp_path):
    line = {"text": FINE, "gold": "none"}
    (tmp_path / "b").mkdir()
    paths = [write(line), write(line, name="b/a.jsonl")]
    call_command("evaluate_triage", *paths, "--quiet", "--json", tmp_path / "out.json")
    files = [m["file"] for m in json.loads((tmp_path / "out.json").read_text())["messages"]]
    assert files == [str(path) for path in paths]


@pytest.mark.parametrize(("least", "passes"), [("0.5", True), ("50", True), ("0.6", False)])
def test_fail_under_is_a_share_of_emergencies_caught(write, least, passes):
    path = write({"text": FIT, "gold": "emergency"}, {"text": FINE, "gold": "emergency"})
    if passes:
        call_command("evaluate_triage", path, "--quiet", "--fail-under", least)
    else:
        with pytest.raises(CommandError, match=r"below 0.6: a.jsonl 0.5"):
            call_command("evaluate_triage", path, "--quiet", "--fail-under", least)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"nowhere.jsonl: cannot be read"):
        call_command("evaluate_triage", tmp_path / "nowhere.jsonl")
