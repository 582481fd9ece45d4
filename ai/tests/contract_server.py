"""A server that speaks the providers' dialects from their public documentation, with faults.

The fault is chosen by the request itself, as the end of the model's name: `llama-fault-402` answers
402, `llama-fault-cut-after` is cut in the middle. So parallel requests never share a fault. Sources:
OpenAI API reference (chat completions, streaming, models, embeddings), Hugging Face "Inference
Providers" (chat completion, automatic speech recognition, image-text-to-text, translation, feature
extraction) and Hub API, Ollama docs/api.md, as read in November 2026.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

WORDS = ["Buvez ", "de l'eau ", "propre, ", "et ", "reposez", "-vous."]
ANSWER = "".join(WORDS)
FAULT = "-fault-"
STATUSES = {"400", "401", "402", "403", "404", "413", "422", "429", "500", "503", "504"}


class ContractServer:
    """Its counters are the proof: `calls` by path, `open` streams, `left` by their client."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []
        self.open = self.left = self.finished = 0
        self.most_open = 0
        self.streaming = asyncio.Event()
        self.served = ["text-embedding-small", "qwen2.5-7b-instruct"]
        self.pulled = ["llama3.1:8b", "llava:7b", "nomic-embed-text"]
        self.pause = 0.0
        self.words = WORDS
        self.answers = dict(TASK_ANSWERS)
        self.url = ""

    def application(self) -> web.Application:
        app = web.Application(client_max_size=32 * 1024**2)
        add = app.router.add_route
        add("GET", "/v1/models", self.models)
        add("POST", "/v1/chat/completions", self.chat)
        add("POST", "/v1/embeddings", self.embeddings)
        add("POST", "/v1/audio/transcriptions", self.transcriptions)
        add("GET", "/api/agent-harnesses", self.harnesses)
        add("GET", "/api/models/{model:.+}", self.hub_model)
        add("POST", "/hf-inference/models/{model:.+}/pipeline/feature-extraction", self.features)
        add("POST", "/hf-inference/models/{model:.+}", self.task)
        add("POST", "/api/chat", self.ollama_chat)
        add("POST", "/api/embed", self.ollama_embed)
        add("POST", "/api/generate", self.ollama_generate)
        add("GET", "/api/tags", self.ollama_tags)
        add("GET", "/api/ps", self.ollama_ps)
        return app

    async def _body(self, request: web.Request) -> dict[str, Any]:
        self.calls[request.path] += 1
        body = await request.json()
        self.requests.append({"path": request.path, "headers": request.headers.copy(), **body})
        return body

    async def models(self, request: web.Request) -> web.Response:
        self.calls[request.path] += 1
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "x"} for name in self.served
        ]
        return web.json_response({"object": "list", "data": data})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        fault = fault_of(body["model"])
        if refusal := refused(fault):
            return refusal
        if not body.get("stream"):
            return web.json_response(whole(body["model"], self.said(fault)))
        return await self._stream(request, fault, SSE)

    def said(self, fault: str) -> str:
        return "" if fault == "empty" else "".join(self.words)

    async def embeddings(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if refusal := refused(fault_of(body["model"])):
            return refusal
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = [
            {"object": "embedding", "index": i, "embedding": vector(text)}
            for i, text in enumerate(texts)
        ]
        answer = {"object": "list", "model": body["model"], "data": data[::-1]}
        return web.json_response({**answer, "usage": {"prompt_tokens": 1, "total_tokens": 1}})

    async def transcriptions(self, request: web.Request) -> web.Response:
        self.calls[request.path] += 1
        form = await request.post()
        if refusal := refused(fault_of(str(form["model"]))):
            return refusal
        return web.json_response(self.answers["automatic-speech-recognition"])

    async def _stream(
        self, request: web.Request, fault: str, dialect: Dialect
    ) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = "text/html" if fault == "wrong-type" else dialect.content_type
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        self.streaming.set()
        try:
            await response.prepare(request)
            async for line in self._lines(fault, dialect):
                await response.write(line)
        except (ConnectionResetError, asyncio.CancelledError):
            self.left += 1
            raise
        except Cut:
            request.transport.abort()
        else:
            self.finished += 1
        finally:
            self.open -= 1
        return response

    async def _lines(self, fault: str, dialect: Dialect) -> AsyncIterator[bytes]:
        if fault == "cut-before":
            raise Cut
        if fault == "stall-before":
            await asyncio.sleep(30)
        for line in dialect.before:
            yield line
        words = [] if fault == "empty" else self.words
        for number, word in enumerate(words):
            async for line in self._trouble(fault, number, dialect):
                yield line
            await asyncio.sleep(0.05 if fault == "drip" else self.pause)
            yield dialect.word(word)
        if fault != "no-end":
            yield dialect.end

    async def _trouble(self, fault: str, number: int, dialect: Dialect) -> AsyncIterator[bytes]:
        if number == 0 and fault == "malformed-first":
            yield dialect.malformed
        if number != 3:
            return
        if fault == "cut-after":
            # What was written must be on its way before the abort drops it.
            await asyncio.sleep(0.05)
            raise Cut
        if fault == "stall-after":
            await asyncio.sleep(30)
        if fault == "malformed":
            yield dialect.malformed
        if fault == "error-after":
            yield dialect.error

    async def harnesses(self, request: web.Request) -> web.Response:
        """A list the hub's client fetches for its User-Agent; slowly here, to catch who waits."""
        await asyncio.sleep(0.2)
        return web.json_response({"standardEnvVars": [], "harnesses": {}})

    async def hub_model(self, request: web.Request) -> web.Response:
        self.calls[request.path] += 1
        model = request.match_info["model"]
        fault = fault_of(model)
        if fault == "slow-hub":
            await asyncio.sleep(0.3)
        if fault == "404":
            return web.json_response({"error": "Repository not found"}, status=404)
        mapping: dict[str, Any] = {
            "hf-inference": {"status": "live", "providerId": model, "task": task_of(model)}
        }
        if fault == "nobody":
            mapping = {}
        info = {"_id": "1", "id": model, "modelId": model, "pipeline_tag": task_of(model)}
        return web.json_response(
            {**info, "tags": [task_of(model)], "inferenceProviderMapping": mapping}
        )

    async def task(self, request: web.Request) -> web.Response:
        model = request.match_info["model"]
        self.calls[request.path] += 1
        data = await request.read()
        self.requests.append(
            {"path": request.path, "headers": request.headers.copy(), "data": data}
        )
        if refusal := refused(fault_of(model)):
            return refusal
        if fault_of(model) == "stall-before":
            await asyncio.sleep(30)
        if fault_of(model) == "malformed":
            return web.Response(text="<html>", content_type="application/json")
        return web.json_response(self.answers[task_of(model)])

    async def features(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if refusal := refused(fault_of(request.match_info["model"])):
            return refusal
        return web.json_response([vector(text) for text in body["inputs"]])

    async def ollama_chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        fault = fault_of(body["model"])
        if refusal := self._ollama_refusal(body["model"], fault):
            return refusal
        if body.get("stream", True):
            return await self._stream(request, fault, NDJSON)
        message = {"role": "assistant", "content": self.said(fault)}
        return web.json_response({"model": body["model"], "message": message, "done": True})

    def _ollama_refusal(self, model: str, fault: str) -> web.Response | None:
        if model.partition(FAULT)[0] not in self.pulled:
            error = f"model '{model}' not found"
            return web.json_response({"error": error}, status=404)
        return refused(fault)

    async def ollama_embed(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if refusal := self._ollama_refusal(body["model"], fault_of(body["model"])):
            return refusal
        return web.json_response({"embeddings": [vector(text) for text in body["input"]]})

    async def ollama_generate(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if refusal := self._ollama_refusal(body["model"], fault_of(body["model"])):
            return refusal
        return web.json_response({"model": body["model"], "response": "", "done": True})

    async def ollama_tags(self, request: web.Request) -> web.Response:
        self.calls[request.path] += 1
        return web.json_response(
            {"models": [{"model": name, "name": name} for name in self.pulled]}
        )

    async def ollama_ps(self, request: web.Request) -> web.Response:
        self.calls[request.path] += 1
        return web.json_response({"models": []})


class Cut(Exception):
    """Drop the connection without a word."""


class Dialect:
    content_type: str
    before: tuple[bytes, ...] = ()
    end: bytes
    malformed: bytes
    error: bytes
    word: Callable[[str], bytes]


class SSE(Dialect):
    content_type = "text/event-stream"
    before = (
        b": keep-alive\n\n",
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        b'[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    )
    end = (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        b'[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )
    malformed = b'data: {"choices": [{"delta": {"content": "aba\n\n'
    error = b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'

    @staticmethod
    def word(text: str) -> bytes:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"


class NDJSON(Dialect):
    content_type = "application/x-ndjson"
    end = (
        b'{"model":"m","message":{"role":"assistant","content":""},'
        b'"done":true,"done_reason":"stop"}\n'
    )
    malformed = b'{"model":"m","message":{"role":"assi\n'
    error = b'{"error":"an error was encountered while running the model"}\n'

    @staticmethod
    def word(text: str) -> bytes:
        message = {"role": "assistant", "content": text}
        return json.dumps({"model": "m", "message": message, "done": False}).encode() + b"\n"


TASK_ANSWERS: dict[str, Any] = {
    "automatic-speech-recognition": {"text": " J'ai mal à la tête."},
    "image-to-text": [{"generated_text": "a red spot on an arm"}],
    "translation": [{"translation_text": "My head hurts."}],
}


def task_of(model: str) -> str:
    known = {
        "whisper": "automatic-speech-recognition",
        "blip": "image-to-text",
        "nllb": "translation",
        "e5": "feature-extraction",
    }
    return next((task for part, task in known.items() if part in model), "text-generation")


def fault_of(model: str) -> str:
    return model.partition(FAULT)[2]


def refused(fault: str) -> web.Response | None:
    if fault not in STATUSES:
        return None
    headers = {"Retry-After": "7"} if fault == "429" else {}
    error = {"error": {"message": f"refused with {fault}", "code": fault}}
    return web.json_response(error, status=int(fault), headers=headers)


def whole(model: str, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": model}
    return {**head, "choices": [choice], "usage": usage}


def vector(text: str) -> list[float]:
    return [float(len(text)), 1.0, 0.5]


@asynccontextmanager
async def serving(server: ContractServer) -> AsyncIterator[ContractServer]:
    runner = web.AppRunner(
        server.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
