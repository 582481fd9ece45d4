"""What answers say under a number is borne out by the source of that number."""

from dataclasses import replace

import pytest

from conversations.citations import Claim, claims, not_supported, not_verbatim
from conversations.compose import LONGEST, NOTHING, advice_of, compose
from conversations.tests.test_compose import ALL
from rag.search import Passage, beside, search
from rag.tests.test_patient_questions import questions
from triage import rulebook
from triage.engine import assess

MALARIA = "Le paludisme donne de la fièvre. Faites un test le jour même. Buvez 2 litres d'eau."
NET = "Dormez sous une moustiquaire imprégnée pour éviter le paludisme."


@pytest.mark.parametrize("split", ["dev", "test", "graded", "meant_held"])
async def test_every_composed_claim_is_its_sources_own_words(all_guidance, split, settings):
    settings.EMBEDDINGS = "none"
    cited = known = 0
    for question in questions(split):
        found = await search(question["text"], language=question["language"], budget_ms=10_000)
        found += await beside(found, question["language"])
        composed = compose(question["text"], found, language=question["language"])
        assert not_verbatim(composed) == [], question["text"]
        assert len(advised(question, found).split()) <= LONGEST, question["text"]
        numbers = {number for claim in claims(composed.text) for number in claim.numbers}
        assert numbers == set(range(1, len(composed.cited) + 1)), question["text"]
        assert len(composed.text.split()) <= LONGEST
        assert composed.cited or composed.text == NOTHING[question["language"]]
        if question.get("questions") != []:  # Some are about what we have nothing on.
            known += 1
            cited += bool(composed.cited)
    assert cited >= 0.8 * known > 0


def advised(question: dict, found: list[Passage]) -> str:
    """The answer with what triage says, as a patient gets it; nothing where nothing is cited."""
    text, language = question["text"], question["language"]
    assessment, _ = assess(text, rulebook.current(), language=language)
    advice = advice_of(assessment, assessment.advice(language))
    if assessment.emergency:
        assert advice.leads
        return ""
    composed = compose(text, found, language=language, advice=advice)
    return composed.text if composed.cited else ""


def test_a_changed_word_or_a_wrong_number_is_noticed():
    composed = compose("les signes du paludisme", ALL, language="fr")
    assert not_verbatim(composed) == []
    for old, new in (("fièvre", "toux"), ("[1]", "[2]"), ("[1]", "[1] [2]"), ("[1]", "[7]")):
        assert not_verbatim(replace(composed, text=composed.text.replace(old, new, 1)))


def test_a_claim_reaches_back_to_the_number_before_it():
    assert list(claims("Un. Deux [1] trois [2][3].\n\nSans source.")) == [
        Claim("Un. Deux", (1,)),
        Claim("trois", (2, 3)),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "Le paludisme donne de la fièvre [1].",
        "Le palu donne souvent de la fièvre : faites le test le même jour [1].",
        "Pour éviter le paludisme, dormez sous moustiquaire [2].",
        "Faites un test [1] et dormez sous une moustiquaire [2].",
        "Rien n'est cité ici.",
    ],
)
def test_what_a_source_bears_out_passes(answer):
    assert not_supported(answer, [MALARIA, NET]) == []


@pytest.mark.parametrize(
    "answer",
    [
        "La quinine guérit toutes les maladies du foie [1].",
        "Dormez sous une moustiquaire imprégnée [1].",
        "Buvez 5 litres d'eau [1].",
        "Le paludisme donne de la fièvre [3].",
        "Le paludisme donne de la fièvre. Prenez deux comprimés de chloroquine chaque matin [1].",
    ],
)
def test_what_no_source_bears_out_is_noticed(answer):
    assert len(not_supported(answer, [MALARIA, NET])) == 1
