"""The baseline: FastAPI and the `openai` SDK, a token a frame. Stores nothing, triages nothing.

`uvicorn benchmarks.proxies.fastapi_sdk:app`, with UPSTREAM and MODEL in the environment.
"""

from __future__ import annotations

import os

import orjson
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from openai import AsyncOpenAI

app = FastAPI()
client = AsyncOpenAI(base_url=os.environ["UPSTREAM"], api_key="none")


@app.websocket("/ws")
async def chat(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            asked = orjson.loads(await socket.receive_text())
            stream = await client.chat.completions.create(
                model=os.environ["MODEL"],
                messages=[{"role": "user", "content": asked["content"]}],
                stream=True,
            )
            async for chunk in stream:
                if text := chunk.choices[0].delta.content:
                    said = orjson.dumps({"type": "token", "content": text})
                    await socket.send_text(said.decode())
            await socket.send_text('{"type":"done"}')
    except WebSocketDisconnect:
        pass
