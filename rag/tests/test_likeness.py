"""How alike questions are by their words. Pure."""

import pytest

from rag.likeness import likeness, meant

KNOWN = [
    ("How long is malaria treatment taken?", "coartem how many days"),
    ("Is malaria treatment free?", "malaria medicine price"),
    ("Combien de temps dure la grippe ?",),
]


def words(question, others=KNOWN):
    return [cues["alike"] for cues in likeness(question, others)]


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("how long malaria treatment", 0),
        ("days for coartem", 0),
        ("malaria treatments are free", 1),
        ("how much be malaria tablets", 1),
        ("la GRIPPE dure combien", 2),
    ],
)
def test_the_most_alike_of_all_wordings_counts(question, best):
    scores = words(question)
    assert scores.index(max(scores)) == best


def test_the_same_question_is_wholly_alike_and_another_not_at_all():
    scores = likeness("Is malaria treatment free?", KNOWN)
    assert scores[1] == {"alike": pytest.approx(1), "spelt": pytest.approx(1)}
    assert scores[2]["alike"] == 0


def test_nothing_is_like_nothing():
    assert words("") == [0, 0, 0]
    assert likeness("malaria", []) == []
    assert words("malaria", [(), ("",)]) == [0, 0]


def test_a_rare_word_in_common_weighs_more_than_a_frequent_one():
    known = [("malaria bread",), ("malaria days",), ("malaria food",)]
    assert words("bread of kings", known)[0] > words("malaria of kings", known)[0]


def test_misspelt_words_are_alike_by_their_letters():
    right, wrong = likeness("filarioze traitment", [("filariose traitement",), ("angine ulcère",)])
    assert right["spelt"] > 0.6 > wrong["spelt"]


def test_every_cue_speaks_for_a_question():
    for cues in ({"alike": 0.5, "spelt": 0.5}, {"alike": 0.5, "spelt": 0.5, "closeness": 0.5}):
        for name in cues:
            assert meant(cues | {name: 0.9}) > meant(cues) > meant(cues | {name: 0.1})
