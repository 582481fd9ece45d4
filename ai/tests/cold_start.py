"""Run in a process of its own: every verb of every provider, cold, with an ear on the event loop.

Prints what the loop's own thread imported of the providers' clients, and to what it connected with
a blocking socket. Imports and look-ups belong in other threads.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import threading
from concurrent.futures import Future
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carehelp.settings")
CLIENTS = {"openai", "huggingface_hub", "httpx", "httpx2", "ollama", "aiohttp", "numpy", "pydantic"}
heard: list[str] = []
listening = False


def listen(event: str, details: tuple) -> None:
    if not listening or threading.current_thread() is not threading.main_thread():
        return
    if event == "import" and details[0].partition(".")[0] in CLIENTS:
        heard.append(f"import {details[0]}")
    if event == "socket.connect" and details[0].gettimeout() != 0:
        heard.append(f"connect {details[1]}")


def listen_for_certificates() -> None:
    """Reading the certificates takes tens of milliseconds, and no audit event tells of it."""
    read = ssl.SSLContext.load_verify_locations

    def noted(*args: Any, **options: Any) -> None:
        if listening and threading.current_thread() is threading.main_thread():
            heard.append("certificates")
        read(*args, **options)

    ssl.SSLContext.load_verify_locations = noted


def serve(started: Future[str]) -> None:
    """The contract server, on another thread's loop."""
    from ai.tests.contract_server import ContractServer, serving

    async def forever() -> None:
        async with serving(ContractServer()) as server:
            started.set_result(server.url)
            await asyncio.Event().wait()

    asyncio.run(forever())


def configure(url: str) -> None:
    from django.conf import settings

    settings.HF_API_TOKEN, settings.HF_ROUTER_URL = "hf_test", url
    settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY = f"{url}/v1", "sk-test"
    settings.OLLAMA_BASE_URL, settings.LMSTUDIO_BASE_URL = url, f"{url}/v1"
    os.environ["HF_ENDPOINT"] = url


async def every_verb(name: str) -> None:
    from ai import rungs
    from ai.base import VERBS
    from ai.probing import probe

    for verb in VERBS:
        for rung in rungs.of_provider(verb, name):
            await probe(rung)


async def every_provider() -> None:
    global listening
    listening = True
    for name in ("hf", "openai", "ollama", "lmstudio"):
        await every_verb(name)
    listening = False


def main() -> None:
    import django

    django.setup()
    started: Future[str] = Future()
    threading.Thread(target=serve, args=(started,), daemon=True).start()
    configure(started.result(timeout=20))
    sys.addaudithook(listen)
    listen_for_certificates()
    asyncio.run(every_provider())
    print("\n".join(heard), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
