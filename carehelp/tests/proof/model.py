"""A model in OpenAI's dialect whose answer follows from the question, so that anyone can check it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from aiohttp import web

from ai.tests.contract_server import SSE, ContractServer

WORDS = (
    *("le", "la", "les", "une", "des", "dans", "avec", "pour", "sous", "chaque", "qui", "est"),
    *("il", "faut", "être", "où", "déjà", "cœur", "santé", "fièvre", "nuit", "eau", "propre"),
    *("moustiquaire", "éviter", "enfant", "maïs", "dormir", "Noël", "garçon", "âge"),
)
SHORTEST, LONGEST = 20, 70
PAUSE = (0.02, 0.12)


def answer_to(question: str) -> list[str]:
    """20 to 70 words, French enough to pass for an answer: always the same to a question."""
    choose = random.Random(question)
    return [f"{choose.choice(WORDS)} " for _ in range(choose.randint(SHORTEST, LONGEST))]


class Model(ContractServer):
    """Answers `answer_to` the last message, slowly enough to be interrupted."""

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        self.requests.clear()
        response = web.StreamResponse(headers={"Content-Type": SSE.content_type})
        await response.prepare(request)
        try:
            async for line in self._said(body["messages"][-1]["content"]):
                await response.write(line)
        except ConnectionResetError:
            self.left += 1
        return response

    async def _said(self, question: str) -> AsyncIterator[bytes]:
        for line in SSE.before:
            yield line
        for word in answer_to(question):
            await asyncio.sleep(random.uniform(*PAUSE))
            yield SSE.word(word)
        yield SSE.end


def questions(count: int) -> Iterator[str]:
    """As many different questions, none of them a symptom (as "Dka" alone would be) or a number."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    for number in range(count):
        name = "".join(letters[number // 26**place % 26] for place in range(3))
        yield f"Comment éviter le paludisme à Bu{name}um ?"


@asynccontextmanager
async def serving(model: Model) -> AsyncIterator[Model]:
    """Serve it on a free port; sets its `url`."""
    runner = web.AppRunner(model.application(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield model
    finally:
        await runner.cleanup()
