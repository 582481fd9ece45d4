"""How alike questions are by their words. Pure."""

import pytest

from rag.likeness import likeness

KNOWN = [
    ("How long is malaria treatment taken?", "coartem how many days"),
    ("Is malaria treatment free?", "malaria medicine price"),
    ("Combien de temps dure la grippe ?",),
]


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("how long malaria treatment", 0),
        ("days for coartem", 0),
        ("malaria treatments are free", 1),
        ("la GRIPPE dure combien", 2),
    ],
)
def test_the_most_alike_of_all_wordings_counts(question, best):
    scores = likeness(question, KNOWN)
    assert scores.index(max(scores)) == best


def test_the_same_question_is_wholly_alike_and_another_not_at_all():
    scores = likeness("Is malaria treatment free?", KNOWN)
    assert scores[1] == pytest.approx(1)
    assert scores[2] == 0


def test_nothing_is_like_nothing():
    assert likeness("", KNOWN) == [0, 0, 0]
    assert likeness("malaria", []) == []
    assert likeness("malaria", [(), ("",)]) == [0, 0]


def test_a_rare_word_in_common_weighs_more_than_a_frequent_one():
    known = [("malaria price",), ("malaria days",), ("malaria food",)]
    assert likeness("price of bread", known)[0] > likeness("malaria of bread", known)[0]
