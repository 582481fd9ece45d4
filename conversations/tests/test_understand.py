"""What comes with a message is heard and seen, counted by triage, and shown to the patient."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from ai import ladder
from ai.tests.contract_server import ContractServer
from carehelp.asgi import application
from carehelp.database.identity import Principal, acting_as, run_as
from carehelp.tests.people import SignUp
from carehelp.tests.serving import served
from carehelp.tests.test_bad_input import assert_problem
from carehelp.tests.test_first_answer import NEWBORN, _events
from conversations.models import Attachment, Case, Conversation, Message
from conversations.tests import desk
from conversations.tests.files import photo, voice
from conversations.tests.test_socket import say, signed_in, until

HEADACHE = "J'ai mal à la tête."
ALL = ("store_history", "ai_provider_abroad", "clinician_review")
SPEECH = "automatic-speech-recognition"


async def sent(client: httpx.AsyncClient, headers: dict[str, str], data: bytes) -> int:
    answer = await client.post("/api/attachments", content=data, headers=headers)
    assert answer.status_code == 201, answer.text
    pk: int = answer.json()["id"]
    return pk


async def chat(
    client: httpx.AsyncClient, headers: dict[str, str], *files: bytes, **body: Any
) -> dict[str, Any]:
    ids = [await sent(client, headers, file) for file in files]
    answer = await client.post("/api/chat", json={**body, "attachments": ids}, headers=headers)
    assert answer.status_code == 200, answer.text
    turn: dict[str, Any] = answer.json()
    return turn


async def as_person(client: httpx.AsyncClient, headers: dict[str, str], work: Any) -> Any:
    me = (await client.get("/api/users/me", headers=headers)).json()
    with acting_as(Principal.patient(me["id"])):
        return await run_as(work)


async def history(
    client: httpx.AsyncClient, headers: dict[str, str], turn: dict[str, Any]
) -> list[dict[str, Any]]:
    path = f"/api/conversations/{turn['conversation_id']}/messages"
    found: list[dict[str, Any]] = (await client.get(path, headers=headers)).json()["results"]
    return found


async def test_a_voice_message_is_answered_as_if_it_was_typed(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up(*ALL)
    turn = await chat(client, headers, voice())
    assert (turn["status"], turn["mode"], turn["transcript"]) == ("completed", "normal", HEADACHE)
    assert turn["attachments"][0].items() >= {"understood": True, "provider": "hf"}.items()
    assert turn["triage"]["level"] not in ("unknown", "none")
    asked = next(r for r in hub.requests if r["path"].endswith("/chat/completions"))
    assert asked["messages"][-1]["content"] == HEADACHE
    question, reply = await history(client, headers, turn)
    assert (question["content"], question["attachments"][0]["text"]) == ("", HEADACHE)
    assert reply["triage_level"] == turn["triage"]["level"]
    conversation = await client.get(
        f"/api/conversations/{turn['conversation_id']}", headers=headers
    )
    assert conversation.json()["title"] == HEADACHE


async def test_an_emergency_in_a_voice_message_is_answered_by_its_rule_and_opens_a_case(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.answers[SPEECH] = {"text": NEWBORN}
    headers = await sign_up(*ALL)
    turn = await chat(client, headers, voice(), message="Bonjour")
    assert (turn["emergency"], turn["mode"]) == (True, "rules_only")
    assert turn["response"].startswith(turn["triage"]["advice"])
    assert not hub.calls["/v1/chat/completions"]
    opened = await as_person(client, headers, lambda: list(Case.objects.values_list("message_id")))
    assert opened == [(turn["message_id"],)]
    later = await client.post(
        "/api/chat",
        json={"message": "Mon bébé dort", "conversation_id": turn["conversation_id"]},
        headers=headers,
    )
    assert later.json()["triage"]["conversation_level"] == "emergency"


async def test_a_clinician_reads_what_was_said_in_the_recording_that_opened_a_case(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.answers[SPEECH] = {"text": NEWBORN}
    headers = await sign_up(*ALL)
    await chat(client, headers, voice())
    await desk.in_database(desk.clinician, "a@carehelp.example")
    async with desk.browser() as browser:
        await desk.sign_in(browser, "a@carehelp.example")
        pk = await as_person(client, headers, lambda: Case.objects.get().pk)
        page = await browser.get(f"/admin/conversations/case/{pk}/")
    assert page.status_code == 200
    assert "3 semaines a de la fièvre" in page.text
    assert "desk-level-small desk-level-unknown" not in page.text


async def test_without_review_no_clinician_reads_it(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.answers[SPEECH] = {"text": NEWBORN}
    await chat(client, await sign_up("store_history", "ai_provider_abroad"), voice())

    def seen() -> int:
        reader = Principal.clinician("00000000-0000-0000-0000-000000000001")
        with desk.as_(reader, "desk"):
            return Attachment.objects.count()

    assert await desk.in_database(seen) == 0


async def test_typed_danger_waits_for_no_recording(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up(*ALL)
    turn = await chat(client, headers, voice(), message=NEWBORN)
    assert (turn["emergency"], turn["transcript"]) == (True, None)
    assert not hub.calls


async def test_typed_danger_is_answered_whatever_came_with_it(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    body = {"message": NEWBORN, "attachments": [424242]}
    answer = await client.post("/api/chat", json=body, headers=await sign_up(*ALL))
    assert (answer.status_code, answer.json()["emergency"]) == (200, True)


async def test_the_transcript_is_told_as_an_event_and_triage_again(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up(*ALL)
    pk = await sent(client, headers, voice())
    body = {"attachments": [pk], "stream": True}
    events = _events((await client.post("/api/chat", json=body, headers=headers)).text)
    names = [name for name, _ in events if name != "delta"]
    assert names in (
        ["accepted", "triage", "transcript", "triage", "sources", "done"],
        ["accepted", "transcript", "triage", "sources", "done"],
    )
    told = dict(events)["transcript"]
    assert (told["transcript"], told["attachments"][0]["id"]) == (HEADACHE, pk)
    reply_id = told["reply_id"]
    again = await client.get(f"/api/messages/{reply_id}/events", headers=headers)
    assert dict(_events(again.text))["transcript"] == told


async def test_a_picture_may_raise(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.words = ["Une personne inconsciente ", "qui saigne beaucoup ", "de la tête."]
    headers = await sign_up(*ALL)
    turn = await chat(client, headers, photo(), message="Que faire ?")
    assert (turn["emergency"], turn["mode"]) == (True, "rules_only")
    assert turn["transcript"] is None


async def test_a_picture_never_lowers(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.words = ["Une peau saine, ", "rien à signaler, ", "tout va bien."]
    headers = await sign_up(*ALL)
    words = "J'ai de la fièvre depuis deux jours et je tousse"
    alone = (await client.post("/api/chat", json={"message": words}, headers=headers)).json()
    turn = await chat(client, headers, photo(), message=words)
    assert turn["triage"]["level"] == alone["triage"]["level"] != "none"
    asked = [r for r in hub.requests if r.get("stream")][-1]["messages"][-1]["content"]
    assert asked == f"{words}\n[photo: {''.join(hub.words)}]"


async def test_a_picture_alone_is_never_harmless(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.words = ["Un objet ", "sur une table."]
    turn = await chat(client, await sign_up(*ALL), photo())
    assert turn["triage"]["level"] == "unknown"
    assert turn["attachments"][0]["text"] == "Un objet sur une table."


async def test_a_picture_of_nothing_in_particular_changes_nothing(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.words = ["Un objet ", "sur une table."]
    turn = await chat(client, await sign_up(*ALL), photo(), message="Bonjour")
    assert turn["triage"]["level"] == turn["triage"]["conversation_level"] == "none"


async def test_a_spoken_greeting_leaves_no_level_behind(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.answers[SPEECH] = {"text": "Bonjour"}
    headers = await sign_up(*ALL)
    turn = await chat(client, headers, voice())
    assert turn["triage"]["level"] == "none"
    kept = await as_person(client, headers, lambda: Conversation.objects.get().context)
    known = json.loads(kept)["triage"]["subjects"]
    assert {subject["level"] for subject in known.values()} == {"none"}


@pytest.mark.parametrize(
    ("consents", "reason"),
    [(("store_history",), "no_consent"), (("store_history", "ai_provider_abroad"), "quota")],
)
async def test_what_nobody_understands_is_unknown_with_the_danger_signs(
    client: httpx.AsyncClient,
    sign_up: SignUp,
    hub: ContractServer,
    settings: Any,
    consents: tuple[str, ...],
    reason: str,
) -> None:
    settings.HF_ASR_MODEL = "whisper-fault-402"
    turn = await chat(client, await sign_up(*consents), voice())
    assert (turn["status"], turn["mode"], turn["mode_reason"]) == ("completed", "offline", reason)
    assert (turn["triage"]["level"], turn["transcript"]) == ("unknown", None)
    assert turn["attachments"][0]["reason"] == reason
    assert turn["triage"]["advice"] in turn["response"]
    assert "enregistrement" in turn["response"]


async def test_without_any_provider_the_typed_words_are_answered_and_the_rest_is_named(
    client: httpx.AsyncClient, sign_up: SignUp, guidance: None
) -> None:
    headers = await sign_up("store_history")
    turn = await chat(client, headers, voice(), message="Quels sont les signes du paludisme ?")
    assert (turn["status"], turn["mode_reason"]) == ("completed", "no_provider")
    assert turn["response"].startswith("Nous n'avons pas pu comprendre votre enregistrement")
    assert "[1]" in turn["response"]
    assert turn["triage"]["level"] == "unknown"


async def test_a_stated_minors_voice_stays_here(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    body = {"message": "Bonjour", "subject": {"relation": "child", "age_years": 9}}
    turn = await chat(client, await sign_up(*ALL), voice(), **body)
    assert turn["attachments"][0]["reason"] == "minor"
    assert not hub.calls


async def test_a_child_that_is_only_named_in_the_recording_keeps_the_answer_here(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.answers[SPEECH] = {"text": "mon fils de 9 ans tousse un peu"}
    turn = await chat(client, await sign_up(*ALL), voice(), message="J'ai de la fièvre")
    assert (turn["mode"], turn["mode_reason"]) == ("offline", "minor")
    assert not hub.calls["/v1/chat/completions"]


async def test_a_correction_takes_the_place_of_what_was_misheard(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up(*ALL)
    misheard = await chat(client, headers, voice())
    body = {"message": "J'ai mal aux dents.", "corrects": misheard["message_id"]}
    answer = await client.post("/api/chat", json=body, headers=headers)
    turn = answer.json()
    assert turn["conversation_id"] == misheard["conversation_id"]
    told = [r for r in hub.requests if r["path"].endswith("/chat/completions")][-1]["messages"]
    assert [m["content"] for m in told[1:]] == ["J'ai mal aux dents."]
    shown = await history(client, headers, turn)
    assert shown[2]["corrects"] == misheard["message_id"]


async def test_a_correction_stops_the_answer_to_what_was_misheard(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up(*ALL)
    hub.words, hub.pause = ["mot "] * 400, 0.05
    pk = await sent(client, headers, voice())
    first = asyncio.create_task(
        client.post("/api/chat", json={"attachments": [pk]}, headers=headers)
    )
    await asyncio.wait_for(hub.streaming.wait(), 30)
    hub.words, hub.pause = ["court."], 0.0
    question = await as_person(
        client, headers, lambda: Message.objects.get(role=Message.Role.USER).pk
    )
    body = {"message": "J'ai mal aux dents.", "corrects": question}
    assert (await client.post("/api/chat", json=body, headers=headers)).status_code == 200
    assert (await first).json()["status"] == "stopped"


@pytest.mark.parametrize("which", ["unknown", "typed", "another's"])
async def test_only_what_was_heard_or_seen_can_be_corrected(
    client: httpx.AsyncClient, sign_up: SignUp, which: str
) -> None:
    hers, his = await sign_up("store_history"), await sign_up("store_history")
    typed = (await client.post("/api/chat", json={"message": "Bonjour"}, headers=hers)).json()
    voiced = await chat(client, hers, voice())
    corrects = {"unknown": 424242, "typed": typed["message_id"], "another's": voiced["message_id"]}
    body = {"message": "Non", "corrects": corrects[which]}
    answer = await client.post(
        "/api/chat", json=body, headers=his if which == "another's" else hers
    )
    expected = (409, "conflict") if which == "typed" else (404, "not_found")
    assert_problem(answer, *expected)


async def test_the_same_message_with_its_recording_is_the_same_turn(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up(*ALL)
    pk, other = await sent(client, headers, voice()), await sent(client, headers, photo())
    body = {"attachments": [pk], "client_message_id": "v1"}
    first = (await client.post("/api/chat", json=body, headers=headers)).json()
    again = (await client.post("/api/chat", json=body, headers=headers)).json()
    assert again == first | {"duplicate": True}
    changed = await client.post("/api/chat", json=body | {"attachments": [other]}, headers=headers)
    assert_problem(changed, 422, "invalid")
    taken = await client.post("/api/chat", json={"attachments": [pk]}, headers=headers)
    assert assert_problem(taken, 422, "invalid")["errors"][0]["type"] == "taken"


async def test_an_outbox_may_hold_recordings(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up(*ALL)
    queued = [{"client_message_id": "q1", "attachments": [await sent(client, headers, voice())]}]
    answer = await client.post("/api/sync", json={"queued": queued}, headers=headers)
    result = answer.json()["results"][0]
    assert (result["status"], result["turn"]["transcript"]) == ("completed", HEADACHE)


async def test_a_socket_takes_recordings_too(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up(*ALL)
    pk = await sent(client, headers, voice())
    with served(application) as base:
        async with signed_in(base, headers) as socket:
            await say(socket, type="send", attachments=[pk], client_message_id="s1")
            frames = await until(socket, "done")
    told = {frame["type"]: frame for frame in frames}
    assert told["transcript"]["transcript"] == told["done"]["transcript"] == HEADACHE
    assert told["triage"]["level"] == told["done"]["triage"]["level"]


async def test_an_incomplete_upload_is_not_sent(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up(*ALL)
    begun = await client.post("/api/attachments", json={"bytes": 100}, headers=headers)
    body = {"message": "Bonjour", "attachments": [begun.json()["id"]]}
    answer = await client.post("/api/chat", json=body, headers=headers)
    assert assert_problem(answer, 422, "invalid")["errors"][0]["type"] == "incomplete"


@pytest.mark.parametrize("attachments", [[], None, "1", [0], ["x"], [1, 2, 3, 4, 5], [{"id": 1}]])
async def test_a_message_or_an_attachment_is_required(
    client: httpx.AsyncClient, sign_up: SignUp, attachments: Any
) -> None:
    body = {"attachments": attachments}
    assert_problem(
        await client.post("/api/chat", json=body, headers=await sign_up()), 422, "invalid"
    )


async def test_a_question_asked_again_does_not_ask_for_its_words_again(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer, settings: Any
) -> None:
    settings.HF_TEXT_MODEL = "llama-fault-cut-after"
    headers = await sign_up(*ALL)
    turn = await chat(client, headers, voice())
    assert turn["status"] == "interrupted"
    settings.HF_TEXT_MODEL = "llama"
    ladder.forget()
    again = await client.post(f"/api/messages/{turn['reply_id']}/retry", headers=headers)
    assert (again.json()["status"], again.json()["transcript"]) == ("completed", HEADACHE)
    heard = [path for path in hub.calls if "whisper" in path and "hf-inference" in path]
    assert [hub.calls[path] for path in heard] == [1]
