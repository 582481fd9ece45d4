"""Recordings and pictures, whole and in pieces, through the door and at rest."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from django.core.management import call_command
from django.db import ProgrammingError, connections

from ai.tests.test_media import resident
from carehelp.database.embedded import SUPERUSER, Server
from carehelp.database.identity import Principal, acting_as, run_as
from carehelp.tests.people import SignUp
from carehelp.tests.test_bad_input import assert_problem
from conversations.attachments import PIECE_BYTES
from conversations.models import Attachment, AttachmentPiece
from conversations.retention import erase_expired
from conversations.tests.files import bomb, photo, silence, two_hours, voice

UPLOADS = "/api/attachments"


async def upload(
    client: httpx.AsyncClient, headers: dict[str, str], data: bytes, **more: str
) -> httpx.Response:
    return await client.post(UPLOADS, content=data, headers=headers | more)


async def begin(client: httpx.AsyncClient, headers: dict[str, str], size: int) -> int:
    answer = await client.post(UPLOADS, json={"bytes": size}, headers=headers)
    assert answer.status_code == 201, answer.text
    found: int = answer.json()["id"]
    return found


async def put(
    client: httpx.AsyncClient, headers: dict[str, str], pk: int, offset: int, data: bytes
) -> httpx.Response:
    return await client.put(f"{UPLOADS}/{pk}?offset={offset}", content=data, headers=headers)


def pieces_of(data: bytes, size: int = 1500) -> list[tuple[int, bytes]]:
    return [(start, data[start : start + size]) for start in range(0, len(data), size)]


async def as_person(client: httpx.AsyncClient, headers: dict[str, str], work: Any) -> Any:
    me = (await client.get("/api/users/me", headers=headers)).json()
    with acting_as(Principal.patient(me["id"])):
        return await run_as(work)


async def test_a_file_may_come_as_a_form_as_base64_or_as_it_is(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    told = {"kind": "audio", "mime_type": "audio/ogg", "bytes": len(voice()), "complete": True}
    encoded = base64.b64encode(voice()).decode()
    for answer in (
        await upload(client, headers, voice()),
        await upload(client, headers, voice(), **{"Content-Type": "image/png"}),
        await client.post(UPLOADS, files={"file": ("x.png", voice())}, headers=headers),
        await client.post(UPLOADS, json={"audio_base64": encoded}, headers=headers),
    ):
        assert answer.status_code == 201, answer.text
        assert answer.json().items() >= told.items()
    assert answer.json()["duration_s"] == pytest.approx(1.0, abs=0.1)
    seen = (await upload(client, headers, photo())).json()
    assert (seen["kind"], seen["mime_type"]) == ("image", "image/jpeg")


async def test_a_file_may_come_in_chunks_of_unknown_length(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    body = json.dumps({"audio_base64": base64.b64encode(voice()).decode()}).encode()
    for kind, content in (("audio/ogg", voice()), ("application/json", body)):
        answer = await client.post(
            UPLOADS, content=in_chunks(content), headers=headers | {"Content-Type": kind}
        )
        assert (answer.status_code, answer.json()["kind"]) == (201, "audio")


async def in_chunks(content: bytes) -> AsyncIterator[bytes]:
    for _, piece in pieces_of(content):
        yield piece


async def test_pieces_in_order_become_the_file(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up()
    pk = await begin(client, headers, len(voice()))
    answers = [await put(client, headers, pk, *piece) for piece in pieces_of(voice())]
    assert len(answers) > 3
    assert [a.json()["complete"] for a in answers] == [False] * (len(answers) - 1) + [True]
    whole = (await upload(client, headers, voice())).json()
    kept = await as_person(client, headers, contents)
    assert kept[pk] == kept[whole["id"]]


def contents() -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for piece in AttachmentPiece.objects.order_by("attachment", "start"):
        found[piece.attachment_id] = found.get(piece.attachment_id, b"") + piece.content
    return found


async def test_a_piece_sent_twice_changes_nothing(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    pk = await begin(client, headers, len(voice()))
    for piece in pieces_of(voice()):
        first = (await put(client, headers, pk, *piece)).json()
        again = await put(client, headers, pk, *piece)
        assert (again.status_code, again.json()) == (200, first)
    assert first["complete"]


async def test_a_piece_sent_by_two_requests_at_once_is_kept_once(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    pk = await begin(client, headers, len(voice()))
    for piece in pieces_of(voice()):
        both = await asyncio.gather(*(put(client, headers, pk, *piece) for _ in range(2)))
        assert {answer.status_code for answer in both} == {200}
    assert (await client.get(f"{UPLOADS}/{pk}", headers=headers)).json()["complete"]


async def test_a_piece_out_of_order_is_told_what_is_expected(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    pk = await begin(client, headers, len(voice()))
    (start, first), (second_start, second), *_ = pieces_of(voice())
    early = await put(client, headers, pk, second_start, second)
    assert assert_problem(early, 409, "offset_mismatch")["offset"] == 0
    await put(client, headers, pk, start, first)
    other = await put(client, headers, pk, start, first[::-1])
    assert assert_problem(other, 409, "offset_mismatch")["offset"] == len(first)
    stands = (await client.get(f"{UPLOADS}/{pk}", headers=headers)).json()
    assert (stands["offset"], stands["complete"]) == (len(first), False)
    assert (await put(client, headers, pk, second_start, second)).status_code == 200


async def test_crumbs_are_refused(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    """Each piece is a row: a file of single bytes would be millions."""
    headers = await sign_up()
    pk = await begin(client, headers, len(voice()))
    crumb = await put(client, headers, pk, 0, voice()[:1])
    assert assert_problem(crumb, 422, "invalid")["at_least"] == 1024


async def test_more_than_was_announced_is_refused(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    pk = await begin(client, headers, 100)
    assert_problem(await put(client, headers, pk, 0, voice()[:200]), 413, "too_large")
    stands = await client.get(f"{UPLOADS}/{pk}", headers=headers)
    assert stands.json()["offset"] == 0


async def test_the_first_piece_tells_that_the_rest_is_not_wanted(
    client: httpx.AsyncClient, sign_up: SignUp, settings: Any
) -> None:
    headers = await sign_up()
    pk = await begin(client, headers, 5000)
    text = await put(client, headers, pk, 0, b"bonjour, je suis un texte. " * 50)
    assert "image/png" in assert_problem(text, 415, "unsupported_media_type")["accepted"]
    pk = await begin(client, headers, settings.IMAGE_MAX_BYTES + 1)
    assert_problem(await put(client, headers, pk, 0, photo()[:1100]), 413, "too_large")


async def test_a_file_that_turns_out_bad_is_not_kept(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    pk = await begin(client, headers, len(silence()))
    *most, last = pieces_of(silence())
    for piece in most:
        assert (await put(client, headers, pk, *piece)).status_code == 200
    problem = assert_problem(await put(client, headers, pk, *last), 422, "unreadable_media")
    assert problem["reason"] == "silent"
    assert_problem(await client.get(f"{UPLOADS}/{pk}", headers=headers), 404, "not_found")


BAD_FILES = {
    "empty": (b"", 422, "empty"),
    "silent": (silence(), 422, "silent"),
    "two hours": (two_hours(best=True), 413, "too_long"),
    "bomb": (bomb(), 413, "too_many_pixels"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, None),
    "text": (b"je ne suis pas une image", 415, None),
    "half": (photo()[:300], 422, "unreadable"),
}


@pytest.mark.parametrize("name", BAD_FILES)
async def test_a_bad_file_is_a_clear_problem_and_takes_no_memory(
    client: httpx.AsyncClient, sign_up: SignUp, name: str
) -> None:
    data, status, reason = BAD_FILES[name]
    code = {413: "too_large", 415: "unsupported_media_type", 422: "unreadable_media"}[status]
    encoded = base64.b64encode(data).decode()
    headers = await sign_up()
    await upload(client, headers, photo())

    async def try_every_way() -> None:
        for answer in (
            await upload(client, headers, data),
            await client.post(UPLOADS, files={"file": ("a.png", data)}, headers=headers),
            await client.post(UPLOADS, json={"audio_base64": encoded}, headers=headers),
        ):
            assert assert_problem(answer, status, code).get("reason") == reason

    # The first time also fills the client's buffers, which are this process's, too.
    await try_every_way()
    before = resident()
    await try_every_way()
    assert resident() - before < 50 * 1024**2
    assert await as_person(client, headers, Attachment.objects.count) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid"),
        ({"bytes": 0}, 422, "invalid"),
        ({"bytes": "many"}, 422, "invalid"),
        ({"bytes": 10**9}, 413, "too_large"),
        ({"audio_base64": 5}, 422, "invalid"),
        ({"audio_base64": "%%% not base64 %%%"}, 400, "malformed"),
        ({"image_base64": "data:image/png;base64,ééé"}, 400, "malformed"),
        ([1], 422, "invalid"),
    ],
)
async def test_json_that_holds_no_file_is_a_clear_problem(
    client: httpx.AsyncClient, sign_up: SignUp, body: Any, status: int, code: str
) -> None:
    assert_problem(await client.post(UPLOADS, json=body, headers=await sign_up()), status, code)


async def test_a_piece_without_an_offset_or_a_form_without_a_file_is_invalid(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    pk = await begin(client, headers, 100)
    missing = await client.put(f"{UPLOADS}/{pk}", content=b"x", headers=headers)
    assert assert_problem(missing, 422, "invalid")["errors"][0]["loc"] == ["query", "offset"]
    form = await client.post(UPLOADS, files={"other": ("a.png", photo())}, headers=headers)
    assert assert_problem(form, 422, "invalid")["errors"][0]["loc"] == ["body", "file"]
    big = await put(client, headers, pk, 0, b"x" * (PIECE_BYTES + 1))
    assert_problem(big, 413, "too_large")


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("POST", "/api/attachments", 23 * 1024**2),
        ("PUT", "/api/attachments/1", 2 * 1024**2),
        ("POST", "/api/transcribe", 23 * 1024**2),
        ("POST", "/api/analyze-image", 12 * 1024**2),
        ("POST", "/gateway", 23 * 1024**2),
        ("POST", "/api/translate", 256 * 1024 + 1),
    ],
)
async def test_a_body_over_its_doors_limit_is_refused_unread(
    method: str, path: str, most: int
) -> None:
    from carehelp.asgi import application

    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", str(most).encode())]
    await application(
        {"type": "http", "path": path, "method": method, "headers": headers}, receive, send
    )
    assert sent[0]["status"] == 413


async def test_the_same_key_is_the_same_attachment(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    key = {"Idempotency-Key": "phone-7"}
    first = await upload(client, headers, voice(), **key)
    again = await upload(client, headers, voice(), **key)
    assert first.json() == again.json()
    assert_problem(await upload(client, headers, photo(), **key), 422, "invalid")
    both = [upload(client, headers, photo(), **{"Idempotency-Key": "two"}) for _ in range(2)]
    one, two = await asyncio.gather(*both)
    assert one.json() == two.json()


async def test_too_many_uploads_without_a_message_are_429(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    for _ in range(16):
        await begin(client, headers, 10)
    answer = await client.post(UPLOADS, json={"bytes": 10}, headers=headers)
    assert_problem(answer, 429, "too_many_requests")
    assert int(answer.headers["Retry-After"]) > 0


async def test_somebody_elses_attachment_is_not_there(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    hers, his = await sign_up(), await sign_up()
    pk = (await upload(client, hers, voice())).json()["id"]
    assert_problem(await client.get(f"{UPLOADS}/{pk}", headers=his), 404, "not_found")
    assert_problem(await put(client, his, pk, 0, b"x"), 404, "not_found")
    body = {"message": "Bonjour", "attachments": [pk]}
    assert_problem(await client.post("/api/chat", json=body, headers=his), 404, "not_found")
    assert (await client.post(UPLOADS, content=voice())).status_code == 401


async def test_bytes_stand_sealed_and_bound_to_their_row(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    pk = await begin(client, headers, len(voice()))
    first, *_ = pieces_of(voice())
    await put(client, headers, pk, *first)

    def raw() -> tuple[bytes, bytes]:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT content FROM attachment_pieces")
            return bytes(cursor.fetchone()[0]), bytes(AttachmentPiece.objects.get().content)

    stored, opened = await as_person(client, headers, raw)
    assert opened == first[1]
    assert b"OggS" not in stored
    assert len(stored) == len(opened) + 30


async def test_a_patient_cannot_give_an_upload_to_anothers_message(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    hers, his = await sign_up("store_history"), await sign_up()
    turn = (await client.post("/api/chat", json={"message": "Bonjour"}, headers=hers)).json()
    await upload(client, his, voice())

    def steal() -> None:
        Attachment.objects.update(message_id=turn["message_id"])

    with pytest.raises(ProgrammingError, match="row-level security"):
        await as_person(client, his, steal)


async def test_what_no_message_took_goes_after_an_hour(
    client: httpx.AsyncClient, sign_up: SignUp, postgres: Server
) -> None:
    headers = await sign_up("store_history")
    ids = [(await upload(client, headers, file)).json()["id"] for file in (voice(), photo())]
    fresh = await begin(client, headers, 10)
    body = {"message": "Bonjour", "attachments": ids[:1]}
    assert (await client.post("/api/chat", json=body, headers=headers)).status_code == 200
    an_hour_passes(postgres, ids)
    with acting_as(Principal.worker()):
        assert await run_as(erase_expired) == 1
    kept = await as_person(client, headers, lambda: set(Attachment.objects.values_list("pk")))
    assert kept == {(ids[0],), (fresh,)}
    owners = await as_person(client, headers, contents)
    assert set(owners) == {ids[0]}


def an_hour_passes(server: Server, ids: list[int]) -> None:
    """Past every policy."""
    name = connections.databases["default"]["NAME"]
    with psycopg.connect(server.url(SUPERUSER, name)) as admin:
        admin.execute(
            "UPDATE app.attachments SET created_at = now() - interval '61 minutes' "
            "WHERE id = ANY(%s)",
            [ids],
        )


async def test_an_erased_conversation_and_account_take_their_files_along(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up("store_history")
    pk = (await upload(client, headers, photo())).json()["id"]
    body = {"message": "Bonjour", "attachments": [pk]}
    turn = (await client.post("/api/chat", json=body, headers=headers)).json()
    await client.delete(f"/api/conversations/{turn['conversation_id']}", headers=headers)
    assert await as_person(client, headers, Attachment.objects.count) == 0
    assert await as_person(client, headers, AttachmentPiece.objects.count) == 0


async def test_an_export_holds_the_files(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("store_history")
    await upload(client, headers, photo())
    held = (await client.get("/api/users/me/export", headers=headers)).json()
    assert [one["kind"] for one in held["attachments"]] == ["image"]
    piece = base64.b64decode(held["attachment_pieces"][0]["content"])
    assert piece.startswith(b"\xff\xd8\xff")
    assert UUID(held["users"][0]["id"])


async def test_keys_rotate_under_files_too(
    client: httpx.AsyncClient, sign_up: SignUp, settings: Any
) -> None:
    headers = await sign_up("store_history")
    await upload(client, headers, photo())
    before = await as_person(client, headers, contents)
    old = list(settings.FIELD_ENCRYPTION_KEYS)
    new = f"9:{base64.b64encode(b'k' * 32).decode()}"
    settings.FIELD_ENCRYPTION_KEYS = [new, *old]
    await asyncio.to_thread(call_command, "reencrypt", verbosity=0)
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert await as_person(client, headers, contents) == before
