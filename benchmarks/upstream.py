"""A model that costs next to nothing: 50 tokens a second in OpenAI's dialect, without computing any.

`python -m benchmarks.upstream PORT`. A token is a word of a French text, so that whoever reads the
stream reads what patients would. `(qabc)` in the question names the stream; `GET /first` tells when
the first token of each was sent, in nanoseconds of the machine's monotonic clock. `GET /length/N`
chooses how many tokens answers have, those that are under way too.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any

TEXT = (
    "Pour éviter le paludisme, dormez chaque nuit sous une moustiquaire imprégnée, couvrez vos bras "
    "et vos jambes le soir, et videz les récipients où l'eau reste. Les moustiques piquent surtout "
    "entre le coucher et le lever du soleil. En cas de fièvre, faites un test au centre de santé le "
    "jour même, sans attendre et sans prendre un reste de traitement. "
)
WORDS = [f" {word}" for word in TEXT.split()]
"""As models' tokenizers cut: the space comes with the word that follows it."""

RATE = 50
MODEL = "words"

_CHOSEN_LENGTH = re.compile(rb"GET /length/(\d+)")
_NAME = re.compile(rb"\((q[a-z]+)\)")
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNK = (
    '{"id":"chatcmpl-9f3a7c21b0d84e","object":"chat.completion.chunk","created":1730000000,'
    '"model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":%s,"logprobs":null,'
    '"finish_reason":%s}]}'
)

first_sent: dict[str, int] = {}
length = 400


def _piece(body: str) -> bytes:
    line = f"data: {body}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(line), line)


SAID = [_piece(_CHUNK % (json.dumps({"content": word}), "null")) for word in WORDS]
END = _piece(_CHUNK % ("{}", '"stop"')) + _piece("[DONE]") + b"0\r\n\r\n"


class Answering(asyncio.Protocol):
    """One connection; questions one after another, each answered word by word."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.received = transport, b""
        self.tick: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.tick is not None:
            self.tick.cancel()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, rest = self.received.partition(b"\r\n\r\n")
        size = int(told[1]) if (told := _LENGTH.search(head)) else 0
        if found and len(rest) >= size:
            self.received = rest[size:]
            self._answer(head, rest[:size])

    def _answer(self, head: bytes, body: bytes) -> None:
        if b"/chat/completions" in head:
            return self._begin(body)
        if chosen := _CHOSEN_LENGTH.match(head):
            global length
            length = int(chosen[1])
        listed = {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
        said = json.dumps(first_sent if b"/first" in head else listed).encode()
        kind = b"content-type: application/json\r\ncontent-length: %d" % len(said)
        self.transport.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (kind, said))
        return None

    def _begin(self, body: bytes) -> None:
        if names := _NAME.findall(body):
            first_sent[names[-1].decode()] = time.monotonic_ns()
        self.said = 0
        self.began = asyncio.get_running_loop().time()
        self.transport.write(_HEAD)
        self._say()

    def _say(self) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(SAID[self.said % len(SAID)])
        self.said += 1
        if self.said >= length:
            self.transport.write(END)
            return
        due = self.began + self.said / RATE
        self.tick = asyncio.get_running_loop().call_at(due, self._say)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(
        Answering, "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
