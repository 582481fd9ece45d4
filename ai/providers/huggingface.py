"""Hugging Face: its router for chat and pictures, its task endpoints for everything else.

Chat is OpenAI's dialect at the router, or at `HF_BASE_URL` (a dedicated endpoint, a TGI). A task's
model may also be the URL of a dedicated endpoint.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal

from django.conf import settings

from ai import wire
from ai.base import (
    BadAnswer,
    ChatMessage,
    Media,
    ModelMissing,
    Provider,
    ProviderError,
    ServerFault,
    TooSlow,
    Transcript,
    Unreachable,
    Unsupported,
    at_home,
    listed,
)
from ai.instructions import description_request, translation_request
from ai.language import NLLB_CODES, detect
from ai.providers.openai_style import as_openai, stream_chat, whole_text

log = logging.getLogger(__name__)

_NOBODY = "Nobody serves {model} on Hugging Face: choose another, see the model's page"


class HuggingFace(Provider):
    name = "hf"
    abroad = True

    def __init__(self, model: str = "") -> None:
        super().__init__(model)
        self._client = wire.OncePerLoop(self._make_client)

    @classmethod
    def models(cls, verb: str) -> Sequence[str]:
        return [model for setting in _MODELS[verb] for model in listed(getattr(settings, setting))]

    @classmethod
    def lacks(cls, verb: str, model: str) -> str:
        if settings.HF_API_TOKEN or _own_endpoint(verb, model):
            return ""
        return "HF_API_TOKEN is not set"

    @classmethod
    def goes_abroad(cls, verb: str, model: str) -> bool:
        endpoint = _own_endpoint(verb, model)
        return not (endpoint and at_home(endpoint))

    def chat_stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        return stream_chat(lambda: self._question(messages), who=self.name, missing=self._missing())

    async def _question(self, messages: Sequence[ChatMessage]) -> wire.Question:
        body = {
            "model": self.model,
            "messages": as_openai(messages),
            "stream": True,
            "max_tokens": settings.AI_ANSWER_TOKENS,
            "temperature": 0.3,
        }
        token = settings.HF_API_TOKEN
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return wire.Question(_chat_url(), body, headers)

    async def transcribe(self, audio: Media, *, language: str | None) -> Transcript:
        if _english_only(self.model) and language != "en":
            log.warning("%s understands English only: not asked for %s", self.model, language)
            raise Unsupported(f"{self.model} understands English only")
        said = await self._task(
            "automatic-speech-recognition",
            lambda client: client.tasks.automatic_speech_recognition(
                client.file(audio), model=self.model
            ),
        )
        return Transcript(said.text.strip(), language or "", 0.0)

    async def describe(self, image: Media, *, question: str, language: str) -> str:
        if self.model not in listed(settings.HF_VISION_CAPTION_MODEL):
            return await self._complete(description_request(image, question, language))
        said = await self._task(
            "image-to-text",
            lambda client: client.tasks.image_to_text(client.file(image), model=self.model),
        )
        return said.generated_text.strip()

    async def translate(self, text: str, *, source: str | None, target: str) -> str:
        if not _is_nllb(self.model):
            return await self._complete(translation_request(text, source, target))
        source = source or detect(text).language
        if source not in NLLB_CODES or target not in NLLB_CODES:
            raise Unsupported(f"{self.model} does not know {source} or {target}")
        said = await self._task(
            "translation",
            lambda client: client.tasks.translation(
                text,
                model=self.model,
                src_lang=NLLB_CODES[source],
                tgt_lang=NLLB_CODES[target],
            ),
        )
        return said.translation_text.strip()

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"]
    ) -> list[list[float]]:
        # E5 models were trained with these words before each text.
        prefix = f"{kind}: " if "e5" in self.model.lower() else ""
        asked = [prefix + text for text in texts]
        found = await self._task(
            "feature-extraction",
            lambda client: client.tasks.feature_extraction(asked, model=self.model),
        )
        if found.ndim != 2 or len(found) != len(texts):
            raise BadAnswer(f"{self.name} sent vectors of shape {found.shape}")
        return found.tolist()

    async def warm_up(self) -> None:
        await self._client.get()

    async def close(self) -> None:
        if client := self._client.pop():
            await client.close()

    def _missing(self) -> str:
        return _NOBODY.format(model=self.model)

    def _make_client(self) -> Client:
        return Client(settings.HF_API_TOKEN or None)

    async def _complete(self, messages: Sequence[ChatMessage]) -> str:
        answer = await self._ask(
            lambda client: client.chat(self.model, as_openai(messages), settings.AI_ANSWER_TOKENS)
        )
        return whole_text(answer, who=self.name)

    async def _task(self, task: str, ask: Callable[[Client], Awaitable[Any]]) -> Any:
        """One of the hub's tasks, after the blocking look-ups it will need."""
        client = await self._client.get()
        await asyncio.to_thread(client.look_up, task, self.model)
        return await self._ask(ask)

    async def _ask(self, ask: Callable[[Client], Awaitable[Any]]) -> Any:
        client = await self._client.get()
        try:
            return await ask(client)
        except ProviderError:
            raise
        except Exception as error:
            raise classified(error, who=self.name, missing=self._missing()) from error


class Client:
    """Hugging Face's client, made in a thread: importing it and its TLS contexts take time."""

    def __init__(self, token: str | None) -> None:
        import httpx2
        from huggingface_hub import AsyncInferenceClient, get_async_session
        from huggingface_hub.inference._common import MimeBytes
        from huggingface_hub.utils import build_hf_headers

        # The first headers of a process fetch a list from the hub, blocking, for up to 3 s.
        build_hf_headers()
        limits: Any = httpx2.Timeout(None, connect=settings.AI_CONNECT_SECONDS)
        self._bytes_with_type = MimeBytes
        self._session = get_async_session()
        self.tasks: Any = AsyncInferenceClient(token=token, timeout=limits)
        endpoint = {"base_url": settings.HF_BASE_URL} if settings.HF_BASE_URL else {}
        self._chat = AsyncInferenceClient(token=token, timeout=limits, **endpoint)
        for client in (self.tasks, self._chat):
            # It would otherwise build its session, for tens of milliseconds, on the event loop.
            client._async_client = self._session

    def look_up(self, task: str, model: str) -> None:
        """What the client looks up at the hub, blocking, before a task; it caches the answers."""
        from huggingface_hub.inference._providers import get_provider_helper

        if task == "feature-extraction":
            # Which the client would import on the event loop, for a third of a second.
            importlib.import_module("numpy")
        try:
            helper: Any = get_provider_helper("auto", task=task, model=model)
            helper._prepare_mapping_info(model)
        except StopIteration:
            raise ModelMissing(_NOBODY.format(model=model)) from None
        except Exception as error:
            raise classified(error, who="hf", missing=_NOBODY.format(model=model)) from error

    def file(self, media: Media) -> bytes:
        """Bytes whose type the client will send as `Content-Type`."""
        return self._bytes_with_type(media.data, media.mime_type)

    async def chat(self, model: str, messages: list[dict[str, Any]], tokens: int) -> Any:
        return await self._chat.chat_completion(
            messages, model=model, max_tokens=tokens, temperature=0.3
        )

    async def close(self) -> None:
        await self._session.aclose()


def classified(error: Exception, *, who: str, missing: str) -> ProviderError:
    """The client's exceptions as ours."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError

    match error:
        case HfHubHTTPError():
            return _for_response(error.response, who=who, missing=missing)
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return Unreachable(f"{who} cannot be reached")
        case InferenceTimeoutError() if isinstance(error.__cause__, httpx2.ConnectTimeout):
            return Unreachable(f"{who} cannot be reached")
        case InferenceTimeoutError():
            return TooSlow(f"{who} took too long")
        case httpx2.HTTPError():
            return ServerFault(f"{who} stopped in the middle")
        case RuntimeError() if "StopIteration" in str(error):
            return ModelMissing(missing)
        case json.JSONDecodeError() | KeyError() | TypeError() | IndexError() | AttributeError():
            return BadAnswer(f"{who} sent something unreadable")
        case ValueError():
            return ModelMissing(missing)
    return ServerFault(f"{who}: {type(error).__name__}")


def _for_response(response: Any, *, who: str, missing: str) -> ProviderError:
    body = response.content if response.is_stream_consumed else b""
    return wire.error_for(response.status_code, response.headers, body, who=who, missing=missing)


_MODELS = {
    "chat_stream": ("HF_TEXT_MODEL",),
    "transcribe": ("HF_ASR_MODEL",),
    "describe": ("HF_VISION_MODEL", "HF_VISION_CAPTION_MODEL"),
    "translate": ("HF_TRANSLATION_MODEL", "HF_TEXT_MODEL"),
    "embed": ("HF_EMBEDDING_MODEL",),
}


def _own_endpoint(verb: str, model: str) -> str:
    """The dedicated endpoint that will be asked, "" where it is the public router."""
    if model.startswith(("http://", "https://")):
        return model
    captions = verb == "describe" and model in listed(settings.HF_VISION_CAPTION_MODEL)
    by_chat = verb in ("chat_stream", "describe", "translate") and not _is_nllb(model)
    return settings.HF_BASE_URL if by_chat and not captions else ""


def _chat_url() -> str:
    base = (settings.HF_BASE_URL or settings.HF_ROUTER_URL).rstrip("/")
    if base.endswith("/chat/completions"):
        return base
    return f"{base}/chat/completions" if base.endswith("/v1") else f"{base}/v1/chat/completions"


def _is_nllb(model: str) -> bool:
    return model in listed(settings.HF_TRANSLATION_MODEL) and "nllb" in model.lower()


def _english_only(model: str) -> bool:
    return "distil-whisper" in model.lower() or model.endswith(".en")
