"""The Socket.IO way: each token re-sends the whole text so far, as a widely used chat server does.

`uvicorn benchmarks.proxies.socketio_whole_text:app`, with UPSTREAM and MODEL in the environment. It
reads the upstream raw and stores nothing, which is in its favour.
"""

from __future__ import annotations

import json
import os
from typing import Any

import aiohttp
import socketio

server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
app = socketio.ASGIApp(server)
sessions: list[aiohttp.ClientSession] = []


def session() -> aiohttp.ClientSession:
    if not sessions:
        sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return sessions[0]


@server.on("chat")
async def chat(sid: str, asked: dict[str, Any]) -> None:
    server.start_background_task(answer, sid, asked["content"])


async def answer(sid: str, question: str) -> None:
    text = ""
    body = {
        "model": os.environ["MODEL"],
        "messages": [{"role": "user", "content": question}],
        "stream": True,
    }
    async with session().post(f"{os.environ['UPSTREAM']}/chat/completions", json=body) as upstream:
        async for line in upstream.content:
            if not line.startswith(b"data: {"):
                continue
            piece = json.loads(line[6:])["choices"][0]["delta"].get("content")
            if piece:
                text += piece
                await server.emit("chat-events", {"type": "token", "content": text}, to=sid)
    await server.emit("chat-events", {"type": "done"}, to=sid)
