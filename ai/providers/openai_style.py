"""LM Studio, OpenAI, and any other server that speaks OpenAI's dialect."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal

import orjson
from django.conf import settings

from ai import wire
from ai.base import (
    BadAnswer,
    ChatMessage,
    Media,
    ModelMissing,
    Provider,
    ProviderError,
    TooSlow,
    Transcript,
    Unreachable,
    at_home,
    listed,
)
from ai.instructions import description_request, translation_request


def as_openai(messages: Iterable[ChatMessage]) -> list[dict[str, Any]]:
    return [{"role": m.role, "content": _content(m)} for m in messages]


def _content(message: ChatMessage) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.content
    images = [{"type": "image_url", "image_url": {"url": data_url(i)}} for i in message.images]
    return [{"type": "text", "text": message.content}, *images]


def data_url(media: Media) -> str:
    return f"data:{media.mime_type};base64,{base64.b64encode(media.data).decode()}"


class Chunks:
    """Reads the dialect's stream: a `wire.Reader`."""

    def __init__(self, who: str) -> None:
        self._who = who
        self.over = False
        self.fault: ProviderError | None = None

    def text(self, lines: Iterable[bytes]) -> str:
        said = []
        for line in lines:
            try:
                said.append(self._read(line.strip()))
            except ProviderError as error:
                self.fault = error
                break
        return "".join(said)

    def _read(self, line: bytes) -> str:
        if not line.startswith(b"data:"):
            return self._skip(line)
        data = line[5:].strip()
        if data == b"[DONE]":
            self.over = True
            return ""
        try:
            chunk = orjson.loads(data)
            return self._delta(chunk)
        except (orjson.JSONDecodeError, AttributeError, TypeError, KeyError, IndexError):
            raise BadAnswer(f"{self._who} sent a malformed line") from None

    def _delta(self, chunk: dict[str, Any]) -> str:
        if "error" in chunk:
            raise self._error(chunk["error"])
        choices = chunk.get("choices")
        if not choices:
            return ""
        self.over = self.over or bool(choices[0].get("finish_reason"))
        return (choices[0].get("delta") or {}).get("content") or ""

    def _skip(self, line: bytes) -> str:
        """Blank lines, comments that keep the line warm, and the fields we need not."""
        if line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
            raise BadAnswer(f"{self._who} sent a malformed line")
        return ""

    def _error(self, error: Any) -> ProviderError:
        code = error.get("code") or error.get("status") if isinstance(error, dict) else 500
        status = code if isinstance(code, int) else 500
        return wire.error_for(status, {}, orjson.dumps(error), who=self._who)


def stream_chat(
    asked: Callable[[], Awaitable[wire.Question]], *, who: str, missing: str = ""
) -> AsyncIterator[str]:
    """Text in pieces from `…/chat/completions` with `stream: true`."""
    return wire.stream(asked, Chunks(who), who=who, accept="text/event-stream", missing=missing)


def classified(error: Exception, *, who: str, missing: str = "") -> ProviderError:
    """The SDK's exceptions as ours."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return TooSlow(f"{who} took too long")
    if isinstance(error, openai.APIConnectionError):
        return Unreachable(f"{who} cannot be reached")
    if isinstance(error, openai.APIStatusError):
        answer = error.response
        return wire.error_for(
            answer.status_code, answer.headers, answer.content, who=who, missing=missing
        )
    return BadAnswer(f"{who} sent something unreadable")


class OpenAIStyle(Provider):
    """Subclass with a name, an address, a key and models; the dialect is here."""

    answer_tokens: ClassVar[str] = "max_tokens"
    options: ClassVar[dict[str, Any]] = {"temperature": 0.3}
    missing: ClassVar[str] = ""

    def __init__(self, model: str = "") -> None:
        super().__init__(model)
        self._client = wire.OncePerLoop(self._make_client)

    @classmethod
    def address(cls) -> str:
        """The base URL, with its `/v1`."""
        raise NotImplementedError

    @classmethod
    def key(cls) -> str:
        return ""

    @classmethod
    def goes_abroad(cls, verb: str, model: str) -> bool:
        return not at_home(cls.address())

    def _make_client(self) -> Any:
        import openai

        limits = openai.Timeout(None, connect=settings.AI_CONNECT_SECONDS)
        client = openai.AsyncOpenAI(
            base_url=self.address(), api_key=self.key() or "none", max_retries=0, timeout=limits
        )
        # Each is imported when first touched: better here, in a thread, than on the event loop.
        _ = client.models, client.chat.completions, client.embeddings, client.audio.transcriptions
        return client

    async def _sdk(self, ask: Any) -> Any:
        """`await ask(client)`, with the SDK's exceptions as ours."""
        client = await self._client.get()
        import openai

        try:
            return await ask(client)
        except (openai.OpenAIError, orjson.JSONDecodeError, ValueError) as error:
            raise classified(error, who=self.name, missing=self.missing) from error

    async def resolve(self) -> str:
        """The model to ask for."""
        return self.model

    def _body(self, messages: Sequence[ChatMessage]) -> dict[str, Any]:
        tokens = {self.answer_tokens: settings.AI_ANSWER_TOKENS}
        return {"messages": as_openai(messages), **tokens, **self.options}

    def chat_stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        return stream_chat(lambda: self._question(messages), who=self.name, missing=self.missing)

    async def _question(self, messages: Sequence[ChatMessage]) -> wire.Question:
        body = {"model": await self.resolve(), "stream": True, **self._body(messages)}
        headers = {"authorization": f"Bearer {self.key()}"} if self.key() else {}
        return wire.Question(f"{self.address().rstrip('/')}/chat/completions", body, headers)

    async def _complete(self, messages: Sequence[ChatMessage]) -> str:
        """A whole answer, for the verbs that do not stream."""
        body = {"model": await self.resolve(), **self._body(messages)}
        answer = await self._sdk(lambda client: client.chat.completions.create(**body))
        return whole_text(answer, who=self.name)

    async def describe(self, image: Media, *, question: str, language: str) -> str:
        return await self._complete(description_request(image, question, language))

    async def translate(self, text: str, *, source: str | None, target: str) -> str:
        return await self._complete(translation_request(text, source, target))

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"]
    ) -> list[list[float]]:
        model = await self.resolve()
        answer = await self._sdk(
            lambda client: client.embeddings.create(
                model=model, input=list(texts), encoding_format="float"
            )
        )
        return vectors(answer, len(texts), who=self.name)

    async def warm_up(self) -> None:
        await self._client.get()

    async def close(self) -> None:
        if client := self._client.pop():
            await client.close()


def whole_text(answer: Any, *, who: str) -> str:
    """The text of a whole completion; `BadAnswer` where it holds none."""
    try:
        text = answer.choices[0].message.content
    except (AttributeError, IndexError, TypeError):
        raise BadAnswer(f"{who} sent something unreadable") from None
    if not (text or "").strip():
        raise BadAnswer(f"{who} sent an empty answer")
    return text.strip()


def vectors(answer: Any, count: int, *, who: str) -> list[list[float]]:
    try:
        found = [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]
    except (AttributeError, TypeError):
        raise BadAnswer(f"{who} sent something unreadable") from None
    if len(found) != count:
        raise BadAnswer(f"{who} sent {len(found)} vectors for {count} texts")
    return found


class LMStudio(OpenAIStyle):
    """A model on the operator's own machine. `local-model` stands for whichever is loaded."""

    name = "lmstudio"
    missing = "LM Studio serves no model: load one in its window, or run: lms load <model>"

    @classmethod
    def address(cls) -> str:
        return settings.LMSTUDIO_BASE_URL

    @classmethod
    def models(cls, verb: str) -> Sequence[str]:
        if verb == "embed":
            return listed(settings.LMSTUDIO_EMBEDDING_MODEL)
        return listed(settings.LMSTUDIO_MODEL)

    async def resolve(self) -> str:
        if not self._resolved:
            page = await self._sdk(lambda client: client.models.list())
            self.model = self._chosen([model.id for model in page.data])
            self._resolved = True
        return self.model

    _resolved = False

    def _chosen(self, served: list[str]) -> str:
        """The model asked for where it is served, else the first that can chat."""
        if self.model in served:
            return self.model
        chat = [name for name in served if "embed" not in name.lower()]
        if not chat:
            raise ModelMissing(self.missing)
        return chat[0]

    async def warm_up(self) -> None:
        await self.resolve()


class OpenAI(OpenAIStyle):
    """OpenAI itself: one more rung where a key is set, never required."""

    name = "openai"
    abroad = True
    answer_tokens = "max_completion_tokens"
    options: ClassVar[dict[str, Any]] = {}

    @classmethod
    def address(cls) -> str:
        return settings.OPENAI_BASE_URL

    @classmethod
    def key(cls) -> str:
        return settings.OPENAI_API_KEY

    @classmethod
    def lacks(cls, verb: str, model: str) -> str:
        return "" if settings.OPENAI_API_KEY else "OPENAI_API_KEY is not set"

    @classmethod
    def models(cls, verb: str) -> Sequence[str]:
        by_verb = {
            "transcribe": settings.OPENAI_ASR_MODEL,
            "embed": settings.OPENAI_EMBEDDING_MODEL,
        }
        return listed(by_verb.get(verb, settings.OPENAI_MODEL))

    async def transcribe(self, audio: Media, *, language: str | None) -> Transcript:
        hint = {"language": language} if language in ("fr", "en") else {}
        file = (f"speech.{audio.mime_type.rpartition('/')[2]}", audio.data, audio.mime_type)
        answer = await self._sdk(
            lambda client: client.audio.transcriptions.create(
                model=self.model, file=file, response_format="json", **hint
            )
        )
        return Transcript(answer.text.strip(), language or "", 0.0)
