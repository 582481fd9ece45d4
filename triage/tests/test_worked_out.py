"""What expressions demand, kept in a file: faster for the next process, and never another answer."""

from pathlib import Path

import pytest

from triage import expressions, worked_out
from triage.prefilter import Prefilter, work_out

GROUPS = {"\ue000": "mal|douleur"}
PATTERNS = [r"\b(?:\ue000 au ventre)\b", r"\b(?:vomi[a-z]*)\b", r"\b(?:\d+ jours)\b"]
SAID = ["mal", "au", "ventre", "et", "vomit", "depuis", "3", "jours"]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worked_out, "_memories", {})
    monkeypatch.setattr(worked_out, "_stored", {})


def in_another_process() -> None:
    worked_out._memories.clear()
    worked_out._stored.clear()


def candidates() -> list[int]:
    memory = worked_out.memory(GROUPS)
    return list(Prefilter(PATTERNS, GROUPS, [" ".join(SAID)], memory).candidates(SAID))


def test_the_next_process_finds_the_same_without_working_it_out(tmp_path: Path) -> None:
    file, before = tmp_path / "state" / "triage.json", candidates()
    worked_out.keep(file, GROUPS)
    worked = dict(worked_out.memory(GROUPS))
    in_another_process()
    worked_out.restore(file)
    assert worked_out.memory(GROUPS) == worked
    assert candidates() == before == [0, 1, 2]


def test_other_word_groups_start_afresh(tmp_path: Path) -> None:
    candidates()
    worked_out.keep(tmp_path / "triage.json", GROUPS)
    in_another_process()
    worked_out.restore(tmp_path / "triage.json")
    assert worked_out.memory({"\ue000": "mal"}) == {}


@pytest.mark.parametrize("said", ["", "{", "[]", '{"digest": 1}', '{"demands": [[1]]}'])
def test_a_file_that_is_not_ours_is_passed_over(tmp_path: Path, said: str) -> None:
    file = tmp_path / "triage.json"
    file.write_text(said)
    worked_out.restore(file)
    assert candidates() == [0, 1, 2]
    worked_out.keep(file, GROUPS)
    in_another_process()
    worked_out.restore(file)
    assert len(worked_out.memory(GROUPS)) == len(PATTERNS)


def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    candidates()
    worked_out.keep(tmp_path / "file" / "triage.json", GROUPS)
    assert candidates() == [0, 1, 2]


def test_only_what_was_compiled_before_is_taken_on_trust() -> None:
    memory = worked_out.memory(GROUPS)
    work_out(PATTERNS[:1], GROUPS, memory)
    assert PATTERNS[0] in memory
    with pytest.raises(expressions.BadExpression):
        expressions.Finder(b"(", "(", proven="(" in memory)


def test_a_proven_expression_finds_what_a_new_one_finds() -> None:
    text = b" mal au ventre "
    for compiled in (rb"\bventre\b", rb"\bdos\b"):
        new, proven = (expressions.Finder(compiled, "", proven=p) for p in (False, True))
        assert new(text, 0, len(text)) == proven(text, 0, len(text))
