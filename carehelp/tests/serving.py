"""The whole of Carehelp behind a real socket, in a thread of the test process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from carehelp.server import configuration


@contextmanager
def served(application: Any, send_buffer: int | None = None) -> Iterator[str]:
    """Serve an ASGI application on a free port of this machine; yields its base URL.

    `send_buffer` is what the kernel takes for a client that does not read.
    """
    listening = socket.socket()
    if send_buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(configuration(app=application, lifespan="auto"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    _wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def _wait_until(condition: Any, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the server did not start")
        time.sleep(0.01)
