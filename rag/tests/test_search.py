"""Searching what the tests publish, on the real Postgres, as the patients' login."""

import asyncio

import pytest
from django.db import connections
from django.db.utils import OperationalError, ProgrammingError

from ai.base import Provider, ServerFault
from carehelp.database.identity import run_as, through
from rag import documents, vectors
from rag.guidance import Parsed, Section, SourceRef
from rag.ingest import ingest
from rag.search import RELEVANT, search, snippet

WHO = SourceRef("Malaria", "WHO", 2024, "https://example.org/malaria", read=True)
TEXTS = {
    ("malaria", "fr"): (
        "Le paludisme",
        ("palu", "corps chaud"),
        "La fièvre et les frissons sont les signes habituels du paludisme.",
        "Dormez sous une moustiquaire pour éviter le paludisme.",
    ),
    ("malaria", "en"): (
        "Malaria",
        ("palu", "hot body"),
        "Fever and chills are the usual signs of malaria.",
        "Sleep under a mosquito net to prevent malaria.",
    ),
    ("snakebite", "fr"): (
        "Morsure de serpent",
        ("serpent",),
        "Après une morsure de serpent, la peau gonfle.",
        "Portez des bottes au champ contre les morsures de serpent.",
    ),
    ("snakebite", "pcm"): (
        "Snake bite",
        ("snek",),
        "If snake bite person, skin go swell.",
        "Wear boot for farm make snake no bite you.",
    ),
    ("snakebite", "en"): (
        "Snakebite",
        ("snake",),
        "After a snakebite the skin swells.",
        "Wear boots on the farm against snakebite.",
    ),
}


def parsed(topic: str, language: str, **changes: object) -> Parsed:
    title, keywords, signs, prevention = TEXTS[topic, language]
    sections = (Section("signs", "Signs", signs), Section("prevention", "Prevention", prevention))
    fields = {"keywords": keywords, "sources": (WHO,), "sections": sections} | changes
    return Parsed(topic=topic, language=language, title=title, **fields)


@pytest.fixture
def library(as_owner):
    with as_owner:
        for topic, language in TEXTS:
            documents.store(parsed(topic, language))
        documents.refresh_terms()


async def owner_does(work: object, topic: str, *args: object) -> None:
    def do() -> None:
        work(documents.Document.objects.get(topic=topic, language="fr"), *args)

    with through("owner"):
        await run_as(do)


async def found(question: str, **options: object) -> list[str]:
    passages = await search(question, budget_ms=5000, **options)
    return [f"{p.topic}.{p.language} {p.section}" for p in passages]


async def test_a_question_finds_its_section_first(library):
    assert (await found("Quels sont les signes du paludisme ?"))[0] == "malaria.fr signs"
    assert (await found("comment eviter le paludisme"))[0] == "malaria.fr prevention"


async def test_accents_and_case_do_not_matter(library):
    assert await found("FIEVRE et FRISSONS") == await found("fièvre et frissons")


async def test_words_are_ored_so_that_a_long_question_still_finds(library):
    question = "bonjour docteur depuis hier soir au champ mon oncle Paul parle d'un serpent"
    assert (await found(question))[0].startswith("snakebite.fr")


async def test_a_question_finds_a_passage_in_the_readers_language(library):
    assert (await found("moustiquaire", language="en"))[0] == "malaria.en prevention"
    assert (await found("serpent", language="pcm"))[0].startswith("snakebite.pcm")


async def test_a_pidgin_reader_gets_english_where_no_pidgin_exists(library):
    assert (await found("corps chaud", language="pcm"))[0].startswith("malaria.en")


async def test_a_misspelt_word_is_corrected(library):
    assert (await found("moustikaire"))[0] == "malaria.fr prevention"


async def test_keywords_are_searched_and_not_shown(library):
    passages = await search("snek", language="pcm", budget_ms=5000)
    assert passages
    assert not any("snek" in p.text + p.title + p.heading for p in passages)


async def test_a_passage_says_what_it_rests_on(library):
    passage = (await search("paludisme", language="fr", budget_ms=5000))[0]
    assert passage.url == WHO.url
    assert passage.sources[0]["read"] is True
    assert (passage.signed, passage.kind) == (False, "guidance")
    assert 0 < passage.score <= 1


HOW_LONG = {
    "fr": Section(
        "questions",
        "Combien de temps dure le traitement du paludisme ?",
        "Le traitement dure trois jours dans la plupart des cas.",
        ("le coartem on prend combien de jours", "how long I go drink di medicine"),
    ),
    "en": Section(
        "questions",
        "How long is malaria treatment taken?",
        "Simple malaria is treated for three days in most cases.",
        ("coartem how many days",),
    ),
}


@pytest.fixture
def common(library):
    with through("owner"):
        for language, section in HOW_LONG.items():
            sections = (*parsed("malaria", language).sections, section)
            documents.store(parsed("malaria", language, sections=sections))
        documents.refresh_terms()


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("combien de temps dure le traitement du paludisme", "fr"),
        ("Le coartem, on prend ça combien de jours ?", "fr"),
        ("how many days coartem?", "en"),
    ],
)
async def test_the_common_question_that_is_asked_comes_first(common, question, language):
    passages = await search(question, language=language, budget_ms=5000)
    assert (passages[0].section, passages[0].heading) == ("questions", HOW_LONG[language].heading)
    assert passages[0].score >= RELEVANT
    assert [p.section for p in passages].count("questions") == 1
    assert not any("coartem" in p.text + p.heading for p in passages)


@pytest.mark.parametrize(
    "question",
    [
        "Quels sont les signes du paludisme ?",
        "Combien de temps dure une morsure de serpent ?",
        "combien coûte le traitement",
        "j'ai le corps chaud",
    ],
)
async def test_another_question_finds_whole_sections_alone(common, question):
    assert "questions" not in {p.section for p in await search(question, budget_ms=5000)}


async def test_who_reads_pidgin_finds_common_questions_in_english_and_never_in_french(common):
    assert (await found("coartem na for how many days", language="pcm"))[
        0
    ] == "malaria.en questions"
    assert "malaria.fr questions" not in await found(
        "how long I go drink di medicine", language="pcm"
    )


async def test_only_what_is_published_is_found(library):
    await owner_does(documents.withdraw, "snakebite")
    assert not any(f.startswith("snakebite.fr") for f in await found("serpent", language="fr"))


async def test_unsigned_guidance_is_hidden_where_so_configured(library, settings):
    settings.UNSIGNED_CONTENT = "hide"
    assert await found("paludisme serpent") == []
    await owner_does(documents.sign, "malaria", "Dr Essai")
    assert {f.split()[0] for f in await found("paludisme serpent")} == {"malaria.fr"}


@pytest.mark.parametrize(
    "question", ["", "   ", "\0", "'", "a | b & !c <-> :*", "%s %(x)s", "\ud800", "é" * 5000, "🤒"]
)
async def test_no_question_breaks_the_search(library, question):
    assert isinstance(await found(question), list)


async def test_at_most_limit_passages_come_back(library):
    assert len(await found("paludisme serpent fièvre moustiquaire bottes", limit=2)) == 2


async def test_a_database_that_is_down_finds_nothing_and_says_so(library, monkeypatch, caplog):
    def refuse(*args: object, **kwargs: object) -> None:
        raise OperationalError("down")

    monkeypatch.setattr("rag.search.find", refuse)
    assert await found("paludisme") == []
    assert "search is not possible" in caplog.text


async def test_a_database_that_takes_too_long_finds_nothing(library, monkeypatch, caplog):
    def sleep(*args: object, **kwargs: object) -> list:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.4)")
        return []

    monkeypatch.setattr("rag.search.find", sleep)
    monkeypatch.setattr("rag.search.LONGEST_MS", 30)
    assert await search("paludisme", budget_ms=30) == []
    assert "took too long" in caplog.text


async def test_the_patients_login_may_not_change_what_we_know(library):
    with pytest.raises(ProgrammingError, match="permission denied"):
        await run_as(lambda: documents.Document.objects.update(title="x"))


def test_a_snippet_ends_with_a_sentence_or_says_that_it_goes_on():
    assert snippet("Court.") == "Court."
    assert snippet("A" * 100 + ". " + "B" * 100 + ". " + "C" * 100).endswith("B.")
    assert snippet("mot " * 100).endswith("mot…")


RARE = "Le village parle du Buruli."


@pytest.fixture
def villages(as_owner):
    texts = [*(f"Le village {name} a de la fièvre." for name in "abcdefgh"), RARE]
    sections = tuple(Section("", "", text) for text in texts)
    with as_owner:
        documents.store(Parsed("village", "fr", "Villages", (), (WHO,), sections))
        documents.refresh_terms()


async def test_a_rare_word_weighs_more_than_a_common_one(villages):
    passages = await search("village fièvre Buruli", language="fr", budget_ms=5000)
    assert passages[0].text == RARE


async def test_where_candidates_are_capped_rare_words_choose_them(library, monkeypatch):
    monkeypatch.setattr("rag.statement.CANDIDATES", 1)
    assert await found("paludisme frissons", language="fr") == ["malaria.fr signs"]


async def test_a_late_vector_leaves_it_to_the_words(library, settings):
    settings.AI_PROVIDERS = settings.AI_PROVIDERS | {"slow": "rag.tests.test_search.Slow"}
    settings.EMBEDDINGS = "slow"
    passages = await search("moustiquaire", language="fr", budget_ms=3000)
    assert passages[0].section == "prevention"


async def test_a_broken_vector_leaves_it_to_the_words(library, settings, caplog):
    settings.AI_PROVIDERS = settings.AI_PROVIDERS | {"broken": "rag.tests.test_search.Broken"}
    settings.EMBEDDINGS = "broken"
    passages = await search("moustiquaire", language="fr", budget_ms=3000)
    assert passages[0].section == "prevention"
    assert "no vector for the question" in caplog.text


class Slow(Provider):
    name, abroad = "slow", False

    async def embed(self, texts: object, *, kind: str) -> list[list[float]]:
        await asyncio.Event().wait()
        raise AssertionError


class Broken(Provider):
    name, abroad = "broken", False

    async def embed(self, texts: object, *, kind: str) -> list[list[float]]:
        raise ServerFault("broken")


@pytest.fixture
def in_french_only(as_owner):
    vectors.forget()
    with as_owner:
        for topic in ("malaria", "snakebite"):
            documents.store(parsed(topic, "fr"))
        ingest([])
    vectors.forget()
    yield
    vectors.forget()


@pytest.mark.parametrize(
    ("question", "language"),
    [("a snake has bitten my leg", "en"), ("snake don bite ma foot for farm", "pcm")],
)
async def test_a_question_in_another_language_finds_a_french_passage(
    in_french_only, question, language
):
    passages = await search(question, language=language, budget_ms=20_000)
    assert (passages[0].topic, passages[0].language) == ("snakebite", "fr")
    assert passages[0].score > 0


async def test_what_was_just_published_counts_by_its_words_until_its_vectors_are_made(library):
    """Beside passages that have theirs: by their measure, words alone would never be enough."""
    vectors.forget()
    mumps = Parsed(
        "mumps", "en", "Mumps", (), (WHO,), (Section("signs", "Signs", "Swollen cheeks and jaw."),)
    )

    def publish() -> None:
        ingest([])
        documents.store(mumps)
        documents.refresh_terms()

    with through("owner"):
        await run_as(publish)
    passages = await search("my cheeks and jaw are swollen", language="en", budget_ms=20_000)
    assert passages[0].topic == "mumps"
    assert passages[0].score >= RELEVANT
    assert all(p.score < RELEVANT for p in passages[1:])
