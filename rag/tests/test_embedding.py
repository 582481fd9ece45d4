"""Who makes the vectors, and what happens when it is somebody else."""

import asyncio

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction

from ai.tests.contract_server import ContractServer, serving
from carehelp.database.identity import run_as, through
from rag import embedding, statement, vectors
from rag.ingest import ingest
from rag.models import EmbeddingModel
from rag.search import search
from rag.tests.test_ingest import GUIDANCE

LOCAL = "local/multilingual-e5-small"
OTHER = "lmstudio/text-embedding-small"


@pytest.fixture
async def other(settings):
    """LM Studio's dialect on this machine, with vectors of three dimensions."""
    async with serving(ContractServer()) as running:
        settings.LMSTUDIO_BASE_URL = f"{running.url}/v1"
        settings.LMSTUDIO_EMBEDDING_MODEL = "text-embedding-small"
        yield running


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cough.en.md").write_text(GUIDANCE)
    return tmp_path


async def take_in(folder, **options):
    def work():
        with through("owner"):
            return ingest([folder], **options)

    vectors.forget()
    result = await asyncio.to_thread(work)
    vectors.forget()
    return result


async def known() -> tuple[dict[str, bool], dict[str, int]]:
    """Models and whether each is active; models and how many vectors each has."""

    def read():
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT model, count(*) FROM rag_vector GROUP BY model")
            counted = dict(cursor.fetchall())
        return dict(EmbeddingModel.objects.values_list("name", "active")), counted

    with through("owner"):
        return await run_as(read)


async def test_another_model_is_filled_beside_the_first_and_switched_at_the_end(
    database, folder, other, settings
):
    await take_in(folder)
    assert await known() == ({LOCAL: True}, {LOCAL: 2})

    settings.EMBEDDINGS = "lmstudio"
    settings.LMSTUDIO_BASE_URL = "http://127.0.0.1:9/v1"
    result = await take_in(folder)
    assert "vectors" in result.problems[0]
    assert await known() == ({LOCAL: True}, {LOCAL: 2})

    settings.LMSTUDIO_BASE_URL = f"{other.url}/v1"
    await take_in(folder)
    assert await known() == ({LOCAL: False, OTHER: True}, {LOCAL: 2, OTHER: 2})
    assert (await search("a cough that lasts", language="en", budget_ms=20_000))[0].topic == "cough"

    settings.EMBEDDINGS = "local"
    await take_in(folder)
    models, counted = await known()
    assert models == {LOCAL: True, OTHER: False}
    assert counted[LOCAL] == 2


def test_where_there_are_very_many_vectors_the_index_looks_further(as_owner, folder, monkeypatch):
    def ef_search() -> str:
        with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
            cursor.execute(statement.tuning(vectors.active()))
            cursor.execute("SHOW hnsw.ef_search")
            return cursor.fetchone()[0]

    with as_owner:
        ingest([folder])
        with connections["owner"].cursor() as cursor:
            cursor.execute("ANALYZE rag_vector")
        vectors.forget()
        assert ef_search() == "200"
        monkeypatch.setattr("rag.statement.MANY", 1)
        assert ef_search() == "600"


async def test_half_a_set_of_vectors_is_not_searched(database, folder, other, settings):
    await take_in(folder)
    settings.EMBEDDINGS = "lmstudio"
    await take_in(folder, embed=False)
    assert (await known())[0] == {LOCAL: True}
    assert (await search("a cough that lasts", language="en", budget_ms=20_000))[0].topic == "cough"


async def test_a_models_own_least_cosine_is_kept_with_it(database, folder, other, settings):
    settings.EMBEDDINGS = "lmstudio"
    await take_in(folder)
    active = await run_as(vectors.active)
    assert active.name == OTHER
    # The contract server's vectors differ by the length of the text alone: all are nearly alike.
    assert active.least_cosine == 0.95


@pytest.mark.parametrize(
    ("embeddings", "verb", "chosen"),
    [
        ("local", "ollama", "local"),
        ("", "lmstudio,local", "lmstudio"),
        ("", "hf,ollama", "ollama"),
        ("", "hf", "local"),
        ("", "offline", "local"),
    ],
)
def test_who_is_chosen(settings, embeddings, verb, chosen):
    settings.EMBEDDINGS, settings.AI_EMBED = embeddings, verb
    assert embedding.provider_name() == chosen


def test_a_provider_abroad_is_refused(settings):
    settings.EMBEDDINGS = "hf"
    with pytest.raises(ImproperlyConfigured, match="leave the country"):
        embedding.enabled()
