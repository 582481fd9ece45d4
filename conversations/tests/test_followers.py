"""Who may go on reading a reply, how many at once and for how long, while a model holds its breath."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from accounts import tokens
from ai import ladder
from ai.tests.contract_server import ContractServer, Dialect, serving
from carehelp.tests.waiting import until as wait
from conversations.live.follow import FOLLOWERS_PER_USER, _followers
from conversations.tests.test_socket import (
    NEWBORN,
    QUESTION,
    close_code,
    say,
    sign_up,
    signed_in,
    until,
)
from conversations.tests.test_socket import base as base

FOLLOWERS = 500


class Holding(ContractServer):
    """Says the first of its words, and the others once it is told `go_on`."""

    def __init__(self) -> None:
        super().__init__()
        self.words = [f"mot{number} " for number in range(40)]
        self.go_on = asyncio.Event()

    async def _trouble(self, fault: str, number: int, dialect: Dialect) -> AsyncIterator[bytes]:
        if number == 1:
            await self.go_on.wait()
        async for line in super()._trouble(fault, number, dialect):
            yield line


@pytest.fixture
async def holding(settings: Any) -> AsyncIterator[Holding]:
    model = Holding()
    async with serving(model):
        settings.AI_CHAT, settings.AI_BETWEEN_WORDS_SECONDS = "lmstudio", 170.0
        settings.LMSTUDIO_BASE_URL = f"{model.url}/v1"
        ladder.forget()
        yield model
        model.go_on.set()
    ladder.forget()


@dataclass
class Stream:
    """Server-sent events on a connection of their own, read no further than asked."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""

    @classmethod
    async def of(cls, base: str, headers: dict[str, str], path: str, body: Any = None) -> Stream:
        """Once the answer's head is there."""
        sent = b"" if body is None else json.dumps(body).encode()
        lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += ["Connection: close", "Content-Type: application/json"]
        head = "\r\n".join([*lines, f"Content-Length: {len(sent)}", "", ""])
        opened = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
        stream = cls(*opened)
        stream.writer.write(head.encode() + sent)
        await stream._head()
        return stream

    async def _head(self) -> None:
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(status.split()[1])
        pairs = (line.partition(": ") for line in lines if line)
        self.headers = {name.lower(): value for name, _, value in pairs}

    async def heard(self, event: str) -> dict[str, Any]:
        """Reads until this event is whole."""
        async with asyncio.timeout(60):
            while f"event: {event}\n" not in self.text or not self.text.endswith("\n\n"):
                self.text += await self._chunk()
        return next(data for name, data in self.events() if name == event)

    async def to_the_end(self) -> str:
        async with asyncio.timeout(60):
            while chunk := await self._chunk():
                self.text += chunk
        self.writer.close()
        return self.text

    async def _chunk(self) -> str:
        if "content-length" in self.headers:
            size = int(self.headers.pop("content-length"))
        elif "transfer-encoding" in self.headers:
            size = int(await self.reader.readline(), 16)
        else:
            return ""
        chunk = await self.reader.readexactly(size)
        if "transfer-encoding" in self.headers:
            await self.reader.readline()
        return chunk.decode()

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        blocks = [block.splitlines() for block in self.text.split("\n\n") if "event: " in block]
        return [(lines[0][7:], json.loads(lines[-1][6:])) for lines in blocks]

    def said(self) -> str:
        return "".join(data["text"] for name, data in self.events() if name == "delta")


async def test_five_hundred_followers_of_one_reply_are_too_many_for_one_person(
    base: str, holding: Holding
) -> None:
    headers, another = await sign_up(base), await sign_up(base)
    async with signed_in(base, headers) as socket, signed_in(base, another) as stranger:
        await say(socket, type="send", message=QUESTION, client_message_id="1")
        path = f"/api/messages/{(await until(socket, 'delta'))[0]['reply_id']}/events"
        many = await asyncio.gather(*[Stream.of(base, headers, path) for _ in range(FOLLOWERS)])
        served = [one for one in many if one.status == 200]
        refused = [one for one in many if one.status == 429]
        # The socket that asked is one of them.
        assert len(served) == FOLLOWERS_PER_USER - 1
        assert len(refused) == FOLLOWERS - len(served)
        for one in refused:
            assert int(one.headers["retry-after"]) > 0
            assert json.loads(await one.to_the_end())["code"] == "too_many_requests"

        async with signed_in(base, headers) as tablet:
            reply_id = int(path.split("/")[3])
            await say(tablet, type="resume", reply_id=reply_id, offset=0)
            error = (await until(tablet, "error"))[-1]
            assert (error["code"], error["retryable"]) == ("too_many_requests", True)
            # What they ask is answered all the same, danger above all.
            await say(tablet, type="send", message=NEWBORN, client_message_id="2")
            assert (await until(tablet, "done"))[-1]["emergency"] is True

        await say(stranger, type="send", message=QUESTION, client_message_id="1")
        theirs = (await until(stranger, "delta"))[0]["reply_id"]
        second = await Stream.of(base, another, f"/api/messages/{theirs}/events")
        assert second.status == 200

        holding.go_on.set()
        await asyncio.gather(*[one.to_the_end() for one in [*served, second]])
        done = (await until(socket, "done"))[-1]
        await until(stranger, "done")
    assert done["status"] == "completed"
    for one in [*served, second]:
        assert "".join(holding.words) in one.said()
        assert one.events()[-1][1]["end"] == len(one.said()) == done["end"]
    await wait(lambda: not _followers)
    again = await Stream.of(base, headers, path)
    assert again.status == 200
    await again.to_the_end()
    assert again.said() == served[0].said()


async def test_followers_that_left_give_their_places_back(base: str, holding: Holding) -> None:
    headers = await sign_up(base)
    body = {"message": QUESTION, "stream": True}
    asked = await Stream.of(base, headers, "/api/chat", body)
    path = f"/api/messages/{(await asked.heard('accepted'))['reply_id']}/events"
    for _ in range(2):
        many = await asyncio.gather(*[Stream.of(base, headers, path) for _ in range(80)])
        assert sum(one.status == 200 for one in many) == FOLLOWERS_PER_USER - 1
        for one in many:
            one.writer.close()
        await wait(lambda: sum(_followers.values()) == 1)
    holding.go_on.set()
    await asked.to_the_end()
    assert "".join(holding.words) in asked.said()


async def test_a_token_that_expires_ends_the_stream_and_not_the_answer(
    base: str, holding: Holding, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.authentication.RECHECK_SECONDS", 0.2)
    monkeypatch.setattr("conversations.doors.sse.HEARTBEAT_SECONDS", 0.2)
    settings.ACCESS_TOKEN_EXPIRE_MINUTES = 1 / 60
    # A second's token is good until its leeway goes, however slow the machine is.
    monkeypatch.setattr(tokens, "LEEWAY_SECONDS", 3600)
    async with httpx.AsyncClient(base_url=base, timeout=60) as http:
        made = (await http.post("/api/users/guest", json={"consents": ["store_history"]})).json()
        headers = {"Authorization": f"Bearer {made['access_token']}"}
        body = {"message": QUESTION, "stream": True}
        asked = await Stream.of(base, headers, "/api/chat", body)
        reply_id = (await asked.heard("delta"))["reply_id"]
        path = f"/api/messages/{reply_id}/events"
        followed = await Stream.of(base, headers, path)
        await followed.heard("delta")
        before = len(asked.said())

        monkeypatch.setattr(tokens, "LEEWAY_SECONDS", 0)
        for stream in (asked, followed):
            await stream.to_the_end()
            name, problem = stream.events()[-1]
            assert (name, problem["status"], problem["code"]) == ("error", 401, "not_signed_in")
            assert problem["retryable"] is False
        assert (await Stream.of(base, headers, path)).status == 401

        holding.go_on.set()
        settings.ACCESS_TOKEN_EXPIRE_MINUTES = 60
        token = {"refresh_token": made["refresh_token"]}
        fresh = (await http.post("/api/users/refresh", json=token)).json()["access_token"]
        rest = await Stream.of(
            base, {"Authorization": f"Bearer {fresh}"}, f"{path}?offset={before}"
        )
        await rest.to_the_end()
    done = rest.events()[-1][1]
    assert done["status"] == "completed"
    assert "".join(holding.words) in asked.said() + rest.said()
    assert len(asked.said() + rest.said()) == done["end"]


async def test_a_database_that_is_gone_ends_no_stream(
    base: str, holding: Holding, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it end the looking: who is signed out then is heard of once it is back."""
    monkeypatch.setattr("accounts.authentication.RECHECK_SECONDS", 0.2)
    monkeypatch.setattr("accounts.authentication.REMEMBER_SECONDS", 0.0)
    monkeypatch.setattr("conversations.doors.sse.HEARTBEAT_SECONDS", 0.2)
    headers = await sign_up(base)
    async with signed_in(base, headers) as socket:
        body = {"message": QUESTION, "stream": True}
        asked = await Stream.of(base, headers, "/api/chat", body)
        await asked.heard("delta")
        waiting = settings.DATABASE_MAX_WAITING
        settings.DATABASE_MAX_WAITING = 0
        for _ in range(5):
            asked.text += await asked._chunk()
        assert asked.text.count(": still here") >= 5
        settings.DATABASE_MAX_WAITING = waiting
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as http:
            assert (await http.post("/api/users/logout-all")).is_success
        await asked.to_the_end()
        assert asked.events()[-1][0] == "error"
        assert await close_code(socket) == 4401
    holding.go_on.set()
