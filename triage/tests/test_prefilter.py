"""The prefilter only spares work: whatever it rules out could not have matched."""

from hypothesis import given, settings
from hypothesis import strategies as st

from triage import rulebook, text
from triage.prefilter import Prefilter, demands

RULES = rulebook.current()
READER = RULES.reader
EXAMPLES = [example for r in RULES.rules.values() for example in r.examples["match"]]


def passes(pattern, words, groups=None):
    return list(Prefilter([pattern], groups or {}, [words], {}).candidates(words.split())) == [0]


def test_a_text_must_have_a_word_of_each_part():
    assert passes(r"\b(?:mal au (?:ventre|dos))\b", "il a mal au dos")
    assert not passes(r"\b(?:mal au (?:ventre|dos))\b", "il a mal au pied")
    assert not passes(r"\b(?:mal au (?:ventre|dos))\b", "le dos")


def test_beginnings_and_pieces_of_words_count_where_an_expression_leaves_them_open():
    assert passes(r"\b(?:vomi[a-z]*)\b", "vomissements")
    assert not passes(r"\b(?:vomi[a-z]*)\b", "je revomis")
    assert passes(r"\b(?:(?:in)?conscient)\b", "inconscient")


def test_a_word_group_stands_for_its_expressions():
    groups = {"\ue000": "ventre|bas du dos"}
    assert passes("\\b(?:mal au \ue000)\\b", "mal au bas du dos", groups)
    assert not passes("\\b(?:mal au \ue000)\\b", "mal au pied", groups)


def test_what_may_be_left_out_is_not_demanded():
    assert demands(r"\b(?:(?:very )?bad)\b", {}) == [frozenset({("is", "bad")})]


def missed(words):
    possible = set(READER._prefilter.candidates(words))
    joined = f" {' '.join(words)} ".encode("ascii", "replace")
    return [
        entry.name
        for index, entry in enumerate(READER.entries)
        if index not in possible and entry.find(joined, 0, len(joined))[0] >= 0
    ]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(EXAMPLES), min_size=1, max_size=2).map(" ".join))
def test_no_expression_that_matches_is_ruled_out(message):
    assert missed(text.tokens(message, READER.spelling)) == []
