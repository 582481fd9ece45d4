"""Memory of a WebSocket that is signed in and says nothing, of the whole product.

`python -m benchmarks.idle [--sockets 5000] [--json OUT]`. The sockets are held for longer than the
server's recheck of who is signed in, so what that costs is in the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
from pathlib import Path

import uvloop

from benchmarks import phones, servers
from benchmarks.phones import Phone
from benchmarks.servers import Server

AT_ONCE = 50
HELD_SECONDS = 40.0
PEOPLE = 50


async def hold(
    server: Server, count: int, tokens: list[str], seconds: float = HELD_SECONDS
) -> dict[str, float]:
    """KiB a socket after all are in, and again after they were held for a while."""
    before = server.memory_bytes()
    gate, held = asyncio.Semaphore(AT_ONCE), []

    async def one(number: int) -> None:
        async with gate:
            protocols = f"carehelp.v1, carehelp.bearer.{tokens[number % len(tokens)]}"
            phone = Phone(phones.CAREHELP, "", protocols)
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: phone, "127.0.0.1", server.port)
            await asyncio.wait_for(asyncio.shield(phone.greeted), 60)
            held.append(phone)

    await asyncio.gather(*[one(number) for number in range(count)])
    arrived = server.memory_bytes()
    await asyncio.sleep(seconds)
    after = server.memory_bytes()
    lost = sum(phone.over.done() for phone in held)
    for phone in held:
        phone.transport.close()
    return {
        "sockets": count,
        "lost": lost,
        "kib_on_arrival": round((arrived - before) / 1024 / count, 1),
        "kib_held": round((after - before) / 1024 / count, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sockets", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    room = options.sockets * 2 + 500
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(room, hard), hard))
    with servers.carehelp({"EMBEDDINGS": "none"}) as server:
        tokens = [servers.guest(server) for _ in range(PEOPLE)]
        # Whatever is loaded at the first sockets is not a socket's.
        uvloop.run(hold(server, 200, tokens, 1.0))
        figures = uvloop.run(hold(server, options.sockets, tokens))
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
