"""The server processes of production: uvicorn, with an end that loses nothing.

On SIGTERM readiness turns and new turns are refused, but connections are still taken for a while, so
that a balancer can notice; then running answers get their time, and the rest is kept as interrupted.
A second signal ends the waiting.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

import uvicorn

logger = logging.getLogger(__name__)

APPLICATION = "carehelp.asgi:application"
FRAME_BYTES = 256 * 1024
KEEP_ALIVE_SECONDS = 75
"""Longer than proxies and clients keep an idle connection, so that none is closed under a request."""
LAST_SECONDS = 5
"""For what is no turn, such as a reader that follows another process's answer."""
YOUNG_SECONDS = 5.0
"""A worker that dies younger is not replaced at once: it would die again."""


FLAGS: dict[str, Any] = {
    "app": APPLICATION,
    "lifespan": "on",
    "log_level": "warning",
    "access_log": False,
    "log_config": None,
    "timeout_graceful_shutdown": LAST_SECONDS,
    "timeout_keep_alive": KEEP_ALIVE_SECONDS,
    "ws_max_size": FRAME_BYTES,
    "ws_per_message_deflate": False,
    "ws_ping_interval": 20.0,
}


def configuration(**more: Any) -> uvicorn.Config:
    """As in production, everywhere: the tests' servers have the same limits."""
    return uvicorn.Config(**(FLAGS | more))


class Server(uvicorn.Server):
    """One process. `delay` seconds for balancers to notice, `patience` for running answers."""

    def __init__(self, config: uvicorn.Config, delay: float, patience: float) -> None:
        super().__init__(config)
        self.delay, self.patience = delay, patience

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C comes from a person, not from a balancer; twice means at once."""
        if sig == signal.SIGINT:
            self.delay = 0.0
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        from conversations.live.runner import runner

        runner().draining = True
        await self._while_patient(asyncio.sleep(self.delay))
        self._stop_listening(sockets)
        await self._while_patient(runner().drain(self.patience))
        await runner().drain(0)
        await super().shutdown(sockets)

    async def _while_patient(self, work: Coroutine[Any, Any, None]) -> None:
        """Until it is done, or a second signal says that nobody waits any more."""
        task = asyncio.create_task(work)
        while not task.done() and not self.force_exit:
            await asyncio.wait([task], timeout=0.1)
        task.cancel()

    def _stop_listening(self, sockets: list[socket.socket] | None) -> None:
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()


class Workers:
    """So many processes on one socket: one that dies is replaced, and a signal reaches them all."""

    def __init__(self, listening: socket.socket, count: int, delay: float, patience: float) -> None:
        self.task = (listening, delay, patience)
        self.count = count
        self.running: dict[BaseProcess, float] = {}
        self.leaving = False

    def run(self) -> None:
        before = {
            sign: signal.signal(sign, self._leave) for sign in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            while len(self.running) < self.count and not self.leaving:
                self._start()
            while self.running:
                wait([process.sentinel for process in self.running])
                self._bury()
        finally:
            for sign, handler in before.items():
                signal.signal(sign, handler)

    def _start(self) -> None:
        process = multiprocessing.get_context("spawn").Process(target=_work, args=self.task)
        process.start()
        self.running[process] = time.monotonic()
        if self.leaving:
            process.terminate()

    def _bury(self) -> None:
        for process in [process for process in self.running if process.exitcode is not None]:
            lived = time.monotonic() - self.running.pop(process)
            if self.leaving:
                continue
            logger.error("worker %s ended with %s", process.pid, process.exitcode)
            if lived < YOUNG_SECONDS:
                time.sleep(1)
            if not self.leaving:
                self._start()

    def _leave(self, sign: int, frame: FrameType | None) -> None:
        self.leaving = True
        # Ours too: while it is open, the kernel takes connections that no worker will answer.
        self.task[0].close()
        for process in list(self.running):
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, sign)


def _work(listening: socket.socket, delay: float, patience: float) -> None:
    """A worker, in a group of its own: Ctrl-C reaches the parent, which passes it on, once."""
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt):
        Server(configuration(), delay, patience).run([listening])


def _end_with_parent() -> None:
    """Even a parent that was killed leaves nobody behind on its port."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def serve(listening: socket.socket, workers: int, delay: float, patience: float) -> None:
    """Answer until Ctrl-C or SIGTERM."""
    if workers > 1:
        Workers(listening, workers, delay, patience).run()
    else:
        Server(configuration(), delay, patience).run([listening])
