"""Questions for one fact, and the sentence of our own guidance that tells it. No database."""

from pathlib import Path

import pytest

from rag.guidance import read_guidance
from rag.kinds import kind_asked
from rag.search import GUIDANCE, Passage
from rag.sentences import SURE, answering

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "guidance"


def passages(topic: str, language: str) -> list[Passage]:
    parsed = read_guidance(FOLDER / f"{topic}.{language}.md")
    return [
        Passage(
            id=place,
            topic=topic,
            section=section.id,
            title=parsed.title,
            heading=section.heading,
            text=section.text,
            snippet="",
            language=language,
            url="",
            sources=(),
            kind=GUIDANCE,
            signed=False,
            score=0.9,
        )
        for place, section in enumerate(parsed.sections)
    ]


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("combien de temps dure la grippe", "how_long"),
        ("how many days is measles contagious", "how_long"),
        ("combien de fois par jour", "how_often"),
        ("how many visits should I do", "how_many"),
        ("à quel âge peut-il manger", "age"),
        ("il peut aller à l'école quand", "age"),
        ("c'est gratuit ?", "cost"),
        ("pourquoi j'ai soif", "why"),
        ("where can I get PEP", "where"),
        ("which fruit is good", "which"),
        ("puis-je allaiter", "whether"),
        ("typhoid fit pass for plate", "whether"),
        ("la rage se soigne ?", "whether"),
    ],
)
def test_what_kind_of_fact_is_asked(question, kind):
    found = kind_asked(question)
    assert found is not None
    assert found.name == kind


@pytest.mark.parametrize(
    "question",
    [
        "j'ai une dent qui me fait mal",
        "my child has fever",
        "baby no fit suck",
        "quels sont les signes du palu ?",
        "comment éviter le palu",
        "how can I prevent malaria",
        "quand faut-il aller à l'hôpital ?",
        "wetin I go do for malaria",
    ],
)
def test_who_tells_what_is_wrong_or_asks_for_a_section_asks_for_no_fact(question):
    assert kind_asked(question) is None


@pytest.mark.parametrize(
    ("topic", "language", "question", "told"),
    [
        ("tuberculosis", "en", "how long is TB treatment", "about six months"),
        ("scabies", "fr", "combien de jours la gale est contagieuse", "un jour après"),
        ("hepatitis-b", "en", "can I share plates with somebody who has hepatitis B", "by plates"),
        ("pregnancy-antenatal-care", "fr", "combien de cpn faut-il faire", "huit consultations"),
        ("hiv", "fr", "le VIH passe par la salive ?", "ne passe pas par la salive"),
        ("hiv", "pcm", "HIV medicine na free?", "ARV na free"),
        ("diabetes", "fr", "un diabétique peut manger du plantain", "peut manger plantain"),
        ("newborn-care", "en", "when does the umbilical cord fall off", "five to fifteen days"),
    ],
)
def test_the_sentence_that_tells_it_comes_first(topic, language, question, told):
    kind = kind_asked(question)
    assert kind is not None
    best = answering(question, kind, passages(topic, language))
    assert best
    assert told in best[0].text


def test_a_fact_that_nobody_wrote_down_is_not_made_up():
    question = "how much does a helicopter cost"
    kind = kind_asked(question)
    assert kind is not None
    assert not [t for t in answering(question, kind, passages("asthma", "en")) if t.score >= SURE]


def test_a_sentence_that_shares_only_the_topic_with_the_question_does_not_answer_it():
    """ "Chlorinated water is drunk after 30 minutes" has a number, and not the one asked for."""
    question = "combien de javel dans un bidon d'eau"
    kind = kind_asked(question)
    assert kind is not None
    assert answering(question, kind, passages("water-and-hygiene", "fr")) == []


def test_a_number_is_wanted_where_a_number_is_asked():
    question = "how long does asthma take with aspirin"
    kind = kind_asked(question)
    assert kind is not None
    assert all(
        kind.told.search(told.text.lower())
        for told in answering(question, kind, passages("asthma", "en"))
    )
