"""One spelling out of many, and repairs that stay close."""

import pytest

from triage import rulebook, text

SPELL = rulebook.current().reader.spelling


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("Mon bébé NE respiiiire pas!", "mon bebe respire pas ."),
        ("sa saigne bcp", "ca saigne beaucoup"),
        ("39°5, 39,5 et 39.5", "39.5 , 39.5 et 39.5"),
        ("tension 16/10 ou 16 sur 10", "tension 16/10 ou 16/10"),
        ("mn bb vomi dpui 2j", "mon bebe vomi depuis 2 j"),
        ("jvomi tt le temps", "j vomi tout le temps"),
        ("f1evre", "fievre"),
        ("i can't breathe", "i cannot breathe"),
        ("resspire pa", "respire pas"),
    ],
)
def test_many_spellings_are_one(typed, read):
    assert text.normalise(typed, SPELL) == read


@pytest.mark.parametrize("word", ["soigne", "wait", "tiède", "montre", "oozing", "near"])
def test_ordinary_words_are_left_alone(word):
    assert text.normalise(word, SPELL) == text.fold(word)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("fievvre", "fievre"), ("segne", "saigne"), ("leau", "l eau"), ("jvomi", "j vomi")],
)
def test_typing_errors_are_repaired(typed, meant):
    assert text.normalise(typed, SPELL) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("g le palu c koi la cause", "j ai le palu c quoi la cause"),
        ("jfais quoi", "je fais quoi"),
        ("Mon bébé ne tète plus, n'est-ce pas ?", "Mon bébé ne tète plus, n'est-ce pas ?"),
        ("Can mothers breastfeed?", "Can mothers breastfeed?"),
    ],
)
def test_a_question_is_written_out_and_otherwise_left_as_typed(typed, meant):
    assert rulebook.written_out(typed) == meant
