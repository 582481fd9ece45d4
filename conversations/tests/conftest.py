"""A provider for turns, and files as phones send them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from ai import ladder, media
from ai.tests.conftest import llama as llama
from ai.tests.contract_server import ContractServer, serving
from ai.tests.hub import hugging_face


@pytest.fixture
async def hub(settings: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ContractServer]:
    """Hugging Face at the contract server, with its defaults."""
    ladder.forget()
    async with serving(ContractServer()) as server:
        with hugging_face(server, settings, monkeypatch):
            yield server
        await ladder.close()
    ladder.forget()


@pytest.fixture(scope="session", autouse=True)
def children_end() -> Iterator[None]:
    yield
    media.stop()
