"""Ollama, on the operator's own machine."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Literal

import orjson
from django.conf import settings

from ai import wire
from ai.base import (
    BadAnswer,
    ChatMessage,
    Media,
    Provider,
    ProviderError,
    ServerFault,
    TooSlow,
    Unreachable,
    at_home,
    listed,
)
from ai.instructions import description_request, translation_request

_MODELS = {"describe": "OLLAMA_VISION_MODEL", "embed": "OLLAMA_EMBEDDING_MODEL"}


class Ollama(Provider):
    name = "ollama"
    concurrency = 32

    def __init__(self, model: str = "") -> None:
        super().__init__(model)
        self._client = wire.OncePerLoop(self._make_client)

    @classmethod
    def models(cls, verb: str) -> Sequence[str]:
        return listed(getattr(settings, _MODELS.get(verb, "OLLAMA_MODEL")))

    @classmethod
    def context_tokens(cls, model: str) -> int:
        return settings.OLLAMA_CONTEXT_TOKENS

    @classmethod
    def goes_abroad(cls, verb: str, model: str) -> bool:
        return not at_home(settings.OLLAMA_BASE_URL)

    def chat_stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        return wire.stream(
            lambda: self._question(messages),
            Lines(self.name),
            who=self.name,
            accept="application/",
            missing=self._pull(),
        )

    async def _question(self, messages: Sequence[ChatMessage]) -> wire.Question:
        url = f"{settings.OLLAMA_BASE_URL.rstrip('/')}/api/chat"
        return wire.Question(url, {"stream": True, **self._request(messages)})

    async def describe(self, image: Media, *, question: str, language: str) -> str:
        return await self._complete(description_request(image, question, language))

    async def translate(self, text: str, *, source: str | None, target: str) -> str:
        return await self._complete(translation_request(text, source, target))

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"]
    ) -> list[list[float]]:
        # Nomic's models were trained with these words before each text.
        task = {"query": "search_query: ", "passage": "search_document: "}[kind]
        prefix = task if "nomic" in self.model else ""
        answer = await self._ask(
            lambda client: client.embed(
                model=self.model,
                input=[prefix + text for text in texts],
                keep_alive=settings.OLLAMA_KEEP_ALIVE,
            )
        )
        if len(answer.embeddings) != len(texts):
            raise BadAnswer(f"{self.name} sent {len(answer.embeddings)} vectors")
        return [list(vector) for vector in answer.embeddings]

    async def warm_up(self) -> None:
        """Load the model: an empty prompt does, and keeps it for `OLLAMA_KEEP_ALIVE`."""
        await self._ask(
            lambda client: client.generate(model=self.model, keep_alive=settings.OLLAMA_KEEP_ALIVE)
        )

    async def close(self) -> None:
        if client := self._client.pop():
            await client.close()

    def _pull(self) -> str:
        return f"Ollama does not have {self.model}: run: ollama pull {self.model}"

    def _make_client(self) -> Any:
        import httpx
        import ollama

        limits = httpx.Timeout(None, connect=settings.AI_CONNECT_SECONDS)
        return ollama.AsyncClient(host=settings.OLLAMA_BASE_URL, timeout=limits)

    def _request(self, messages: Sequence[ChatMessage]) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [_message(message) for message in messages],
            "keep_alive": settings.OLLAMA_KEEP_ALIVE,
            "think": False,
            "options": {
                "temperature": 0.3,
                "num_predict": settings.AI_ANSWER_TOKENS,
                # Its own default is 4,096, beyond which it cuts the prompt without a word.
                "num_ctx": settings.OLLAMA_CONTEXT_TOKENS,
            },
        }

    async def _complete(self, messages: Sequence[ChatMessage]) -> str:
        answer = await self._ask(lambda client: client.chat(**self._request(messages)))
        if not (answer.message.content or "").strip():
            raise BadAnswer(f"{self.name} sent an empty answer")
        return answer.message.content.strip()

    async def _ask(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        client = await self._client.get()
        try:
            return await ask(client)
        except Exception as error:
            raise classified(error, who=self.name, missing=self._pull()) from error


class Lines:
    """Reads Ollama's stream of JSON lines: a `wire.Reader`."""

    def __init__(self, who: str) -> None:
        self._who = who
        self.over = False
        self.fault: ProviderError | None = None

    def text(self, lines: Iterable[bytes]) -> str:
        said = []
        for line in filter(bytes.strip, lines):
            try:
                said.append(self._read(line))
            except ProviderError as error:
                self.fault = error
                break
        return "".join(said)

    def _read(self, line: bytes) -> str:
        try:
            part = orjson.loads(line)
            if "error" in part:
                raise ServerFault(f"{self._who} failed while answering")
            self.over = self.over or bool(part.get("done"))
            return part["message"]["content"] or ""
        except (orjson.JSONDecodeError, AttributeError, TypeError, KeyError):
            raise BadAnswer(f"{self._who} sent a malformed line") from None


def _message(message: ChatMessage) -> dict[str, Any]:
    images = [base64.b64encode(image.data).decode() for image in message.images]
    return {"role": message.role, "content": message.content, "images": images}


def classified(error: Exception, *, who: str, missing: str) -> ProviderError:
    """The client's exceptions as ours."""
    import httpx
    import ollama

    match error:
        case ollama.ResponseError() if error.status_code > 0:
            return wire.error_for(error.status_code, {}, b"", who=who, missing=missing)
        case ConnectionError() | httpx.ConnectError() | httpx.ConnectTimeout():
            return Unreachable(f"{who} cannot be reached: is it running? (ollama serve)")
        case httpx.TimeoutException():
            return TooSlow(f"{who} took too long")
        case httpx.HTTPError() | ollama.ResponseError():
            return ServerFault(f"{who} stopped in the middle")
    return BadAnswer(f"{who} sent something unreadable")
