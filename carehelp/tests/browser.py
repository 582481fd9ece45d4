"""A real Chromium in front of the real application, and a real, slow model behind it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from ai.tests.contract_server import ContractServer, serving

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
WATCH = """
window.broken = [];
addEventListener("securitypolicyviolation", (e) => broken.push(`CSP: ${e.violatedDirective}`));
addEventListener("unhandledrejection", (e) => broken.push(`rejected: ${e.reason}`));
"""
# What Chromium itself writes about a network that a test cut off, or a request that was refused.
OF_THE_NETWORK = ("net::ERR_", "Failed to load resource: the server responded with a status of")


def chromium() -> str:
    """The browser's path; without one the test is skipped, which in CI is a failure."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = f"no Chromium on this machine (looked for {', '.join(NAMES)})"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def slow_model(words: list[str], pause: float) -> Iterator[ContractServer]:
    """An OpenAI-style server in a thread: `words`, one every `pause` seconds."""
    server = ContractServer()
    server.words, server.pause = words, pause
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = serving(server)
    asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Watched:
    """A page's complaints; `assert_quiet` fails on any that are not about a network cut on purpose."""

    def __init__(self, page: Any) -> None:
        self.page, self.complaints = page, []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def assert_quiet(self, *, network: bool) -> None:
        told = self.complaints + self.page.evaluate("window.broken || []")
        ours = [one for one in told if not (network and any(n in one for n in OF_THE_NETWORK))]
        assert ours == []


class Network:
    """A path to the server that can be cut, as a phone's is: `cut()` drops what is open, too."""

    def __init__(self, port: int) -> None:
        self.up, self.open, self.target = True, [], port
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.up = False
        for one in self.open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.open.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._join(self.listening.accept()[0])

    def _join(self, near: socket.socket) -> None:
        if not self.up:
            near.close()
            return
        far = socket.create_connection(("127.0.0.1", self.target))
        self.open += [near, far]
        for pair in ((near, far), (far, near)):
            threading.Thread(target=_pour, args=pair, daemon=True).start()


def _pour(source: socket.socket, into: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            into.sendall(data)
        into.shutdown(socket.SHUT_RDWR)
