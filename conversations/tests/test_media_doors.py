"""Models' verbs by themselves: transcribe, analyse a picture, translate, languages; the gateway."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import pytest

from accounts import limits
from ai.tests.contract_server import ContractServer
from ai.tests.test_media import resident
from carehelp.tests.people import SignUp
from carehelp.tests.test_bad_input import assert_problem
from carehelp.tests.test_first_answer import NEWBORN, _events
from conversations.doors import media
from conversations.tests.files import bomb, photo, silence, two_hours, voice

SPEECH = "automatic-speech-recognition"
HEADACHE = "J'ai mal à la tête."
VOICE = {"audio_base64": base64.b64encode(voice()).decode(), "mime_type": "audio/ogg"}
PHOTO = {"image_base64": base64.b64encode(photo()).decode(), "mime_type": "image/png"}
TEXT = {"text": "J'ai mal à la tête.", "target_language": "en"}
VERBS = {"transcribe": VOICE, "analyze-image": PHOTO, "translate": TEXT}


async def ask(
    client: httpx.AsyncClient, headers: dict[str, str], verb: str, **body: Any
) -> httpx.Response:
    return await client.post(f"/api/{verb}", json=body, headers=headers)


async def test_speech_becomes_text_and_is_triaged(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.answers[SPEECH] = {"text": NEWBORN}
    headers = await sign_up("ai_provider_abroad")
    form = await client.post(
        "/api/transcribe",
        files={"file": ("note", voice())},
        data={"language": "fr-CM"},
        headers=headers,
    )
    for answer in (form, await ask(client, headers, "transcribe", **VOICE, language="French")):
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert set(said) == {"text", "language", "duration_s", "provider", "model", "triage"}
        assert (said["text"], said["language"], said["provider"]) == (NEWBORN, "fr", "hf")
        assert said["duration_s"] == pytest.approx(1.0, abs=0.1)
        assert said["triage"]["level"] == "emergency"


async def test_a_picture_becomes_words_never_a_diagnosis(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    hub.words = ["Un objet ", "sur une table."]
    headers = await sign_up("ai_provider_abroad")
    form = await client.post(
        "/api/analyze-image",
        files={"file": ("x", photo())},
        data={"prompt": "C'est quoi ?"},
        headers=headers,
    )
    for answer in (form, await ask(client, headers, "analyze-image", **PHOTO)):
        assert answer.status_code == 200, answer.text
        said = answer.json()
        expected = {"description", "language", "provider", "model", "triage", "disclaimer"}
        assert set(said) == expected
        assert (said["description"], said["language"]) == ("Un objet sur une table.", "fr")
        assert "pas un diagnostic" in said["disclaimer"]
    assert said["triage"]["level"] == "unknown"


async def test_what_is_asked_about_a_picture_is_triaged_whatever_becomes_of_it(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up()
    answer = await ask(client, headers, "analyze-image", **PHOTO, prompt=NEWBORN)
    assert assert_problem(answer, 501, "not_offered")["triage"]["level"] == "emergency"
    bad = await ask(client, headers, "analyze-image", image_base64="QUJD", prompt=NEWBORN)
    problem = assert_problem(bad, 415, "unsupported_media_type")
    assert problem["triage"]["level"] == "emergency"


async def test_no_address_is_ever_fetched(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up("ai_provider_abroad")
    url = f"{hub.url}/photo.jpg"
    for body in ({"image_base64": url}, {"image_url": url}, {"file": url}):
        answer = await ask(client, headers, "analyze-image", **body)
        assert answer.status_code in (400, 422), answer.text
    form = await client.post("/api/analyze-image", data={"file": url}, headers=headers)
    assert form.status_code in (415, 422)
    assert not hub.calls


async def test_a_text_is_translated(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up("ai_provider_abroad")
    answer = await ask(client, headers, "translate", text=HEADACHE, target_language="anglais")
    assert answer.json() == {
        "translated_text": "My head hurts.",
        "source_language": "fr",
        "target_language": "en",
        "provider": "hf",
        "model": "facebook/nllb-200-distilled-600M",
    }


async def test_a_patients_own_name_stays_here(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer, settings: Any
) -> None:
    """Written in small letters, where only the account tells that it is one."""
    headers = await sign_up("ai_provider_abroad")
    await client.patch("/api/users/me", json={"full_name": "zilbertine"}, headers=headers)
    settings.AI_TRANSLATE, settings.HF_TRANSLATION_MODEL = "hf", "llama"
    text = "zilbertine dit que j'ai mal à la tête"
    await ask(client, headers, "translate", text=text, target_language="en")
    await ask(client, headers, "analyze-image", **PHOTO, prompt=text)
    asked = [str(request["messages"]) for request in hub.requests]
    assert len(asked) == 2
    assert not any("zilbertine" in messages for messages in asked)


@pytest.mark.parametrize("target", ["klingon", "ewo", ""])
async def test_a_language_that_nothing_writes_is_422_with_those_that_exist(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer, target: str
) -> None:
    headers = await sign_up("ai_provider_abroad")
    answer = await ask(client, headers, "translate", text=HEADACHE, target_language=target)
    problem = assert_problem(answer, 422, "invalid")
    assert problem["errors"][0]["loc"] == ["body", "target_language"]
    if target:
        assert {"fr", "en", "ff"} <= set(problem["supported"])
        assert "ewo" not in problem["supported"]


@pytest.mark.parametrize("verb", VERBS)
async def test_what_nobody_offers_is_501(
    client: httpx.AsyncClient, sign_up: SignUp, verb: str
) -> None:
    answer = await ask(client, await sign_up("ai_provider_abroad"), verb, **VERBS[verb])
    assert_problem(answer, 501, "not_offered")


@pytest.mark.parametrize("verb", VERBS)
async def test_nothing_goes_abroad_without_consent(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer, verb: str
) -> None:
    answer = await ask(client, await sign_up("store_history"), verb, **VERBS[verb])
    assert assert_problem(answer, 403, "consent_needed")["reason"] == "no_consent"
    assert not hub.calls


async def test_a_provider_at_home_needs_no_consent(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer, settings: Any
) -> None:
    settings.AI_DESCRIBE = settings.AI_TRANSLATE = "hf,ollama"
    settings.OLLAMA_BASE_URL = hub.url
    headers = await sign_up()
    for verb in ("analyze-image", "translate"):
        answer = await ask(client, headers, verb, **VERBS[verb])
        assert (answer.status_code, answer.json()["provider"]) == (200, "ollama")


async def test_a_text_about_a_stated_minor_is_not_sent_abroad(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    text = "Mon fils de 9 ans a mal à la tête"
    headers = await sign_up("ai_provider_abroad")
    answer = await ask(client, headers, "translate", text=text, target_language="en")
    assert assert_problem(answer, 403, "consent_needed")["reason"] == "minor"
    looked = await ask(client, headers, "analyze-image", **PHOTO, prompt=text)
    assert assert_problem(looked, 403, "consent_needed")["reason"] == "minor"
    assert not hub.calls


@pytest.mark.parametrize("verb", VERBS)
async def test_a_provider_that_is_down_is_503_with_a_time(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer, settings: Any, verb: str
) -> None:
    settings.HF_ASR_MODEL = "whisper-fault-503"
    settings.HF_VISION_MODEL, settings.HF_VISION_CAPTION_MODEL = "qwen-fault-503", "blip-fault-429"
    settings.HF_TRANSLATION_MODEL, settings.HF_TEXT_MODEL = "nllb-fault-500", "llama-fault-402"
    answer = await ask(client, await sign_up("ai_provider_abroad"), verb, **VERBS[verb])
    problem = assert_problem(answer, 503, "no_answer")
    assert problem["retryable"]
    assert int(answer.headers["Retry-After"]) >= 1


SILENCE, TWO_HOURS, BOMB = (
    base64.b64encode(file).decode() for file in (silence(), two_hours(), bomb())
)
BAD = [
    ("transcribe", {}, 422, "invalid"),
    ("transcribe", {"audio_base64": ""}, 422, "unreadable_media"),
    ("transcribe", {"audio_base64": "not base64!"}, 400, "malformed"),
    ("transcribe", {"audio_base64": "QUJD" * 6 * 1024**2}, 413, "too_large"),
    ("transcribe", {"audio_base64": 7}, 422, "invalid"),
    ("transcribe", {"audio_base64": SILENCE}, 422, "unreadable_media"),
    ("transcribe", {"audio_base64": TWO_HOURS}, 413, "too_large"),
    ("transcribe", PHOTO | {"audio_base64": PHOTO["image_base64"]}, 415, "unsupported_media_type"),
    ("transcribe", VOICE | {"language": "klingon"}, 422, "invalid"),
    ("analyze-image", {"image_base64": VOICE["audio_base64"]}, 415, "unsupported_media_type"),
    ("analyze-image", {"image_base64": BOMB}, 413, "too_large"),
    ("analyze-image", {"image_base64": "PHN2Zz48L3N2Zz4="}, 415, "unsupported_media_type"),
    ("analyze-image", PHOTO | {"prompt": "a" * 4001}, 422, "invalid"),
    ("translate", {"target_language": "en", "text": ""}, 422, "invalid"),
    ("translate", {"text": 5, "target_language": "en"}, 422, "invalid"),
    ("translate", TEXT | {"source_language": "klingon"}, 422, "invalid"),
    ("translate", TEXT | {"text": "a" * 4001}, 422, "invalid"),
]

REASONS = {"": "empty", SILENCE: "silent", TWO_HOURS: "too_long", BOMB: "too_many_pixels"}


@pytest.mark.parametrize(("verb", "body", "status", "code"), BAD)
async def test_a_bad_question_is_a_clear_problem_here_and_through_the_gateway(
    client: httpx.AsyncClient,
    sign_up: SignUp,
    hub: ContractServer,
    verb: str,
    body: dict[str, Any],
    status: int,
    code: str,
) -> None:
    headers = await sign_up("ai_provider_abroad")
    await ask(client, headers, "transcribe", audio_base64=SILENCE)
    before = resident()
    here = await ask(client, headers, verb, **body)
    assert_problem(here, status, code)
    # What the client itself sent is not the server's.
    here.request = httpx.Request("POST", here.url)
    assert resident() - before < 50 * 1024**2
    there = await client.post("/gateway", json={"action": verb, "payload": body}, headers=headers)
    assert (there.status_code, there.json()) == (status, here.json())
    assert here.json().get("reason") == REASONS.get(next(iter(body.values()), None))
    assert not hub.calls


@pytest.mark.parametrize("verb", VERBS)
async def test_the_verbs_need_somebody(client: httpx.AsyncClient, verb: str) -> None:
    assert_problem(await ask(client, {}, verb, **VERBS[verb]), 401, "not_signed_in")
    through = await client.post("/gateway", json={"action": verb, "payload": VERBS[verb]})
    assert_problem(through, 401, "not_signed_in")


async def test_models_are_not_asked_without_end(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr(media, "ASKED_OF_MODELS", limits.Limit("few", 2, limits.HOUR))
    headers = await sign_up("ai_provider_abroad")
    answers = [await ask(client, headers, "translate", **TEXT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) > 0


async def test_languages_claim_what_the_configured_models_do(
    client: httpx.AsyncClient, hub: ContractServer, settings: Any
) -> None:
    known = (await client.get("/api/languages")).json()
    assert known["fr"] == {
        "name": "français",
        "chat": "experimental",
        "triage": "verified",
        "transcribe": "verified",
        "translate": "verified",
    }
    assert known["ff"]["translate"] == "experimental"
    assert (known["ff"]["chat"], known["ewo"]["translate"]) == ("none", "none")
    english = await client.get("/api/languages", headers={"Accept-Language": "en"})
    assert english.json()["fr"]["name"] == "French"
    settings.HF_API_TOKEN = ""
    alone = (await client.get("/api/languages")).json()
    assert alone["fr"]["chat"] == alone["fr"]["triage"] == "verified"
    assert {one["transcribe"] for one in alone.values()} == {"none"}


async def test_the_gateway_answers_as_the_actions_own_door(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = await sign_up("ai_provider_abroad", "store_history")
    for verb, body in VERBS.items():
        here = await ask(client, headers, verb, **body)
        there = await client.post(
            "/gateway", json={"action": verb, "payload": body}, headers=headers
        )
        assert (there.status_code, there.json()) == (200, here.json())
    payload = {"message": "Bonjour", "client_message_id": "g1"}
    chat = await client.post("/api/chat", json=payload, headers=headers)
    again = await client.post(
        "/gateway", json={"action": "chat", "payload": payload}, headers=headers
    )
    assert again.json() == chat.json() | {"duplicate": True}
    assert again.headers["ETag"]


async def test_the_gateway_streams_what_its_action_streams(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    body = {"action": "chat", "payload": {"message": "Bonjour", "stream": True}}
    answer = await client.post("/gateway", json=body, headers=await sign_up())
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert _events(answer.text)[-1][0] == "done"


async def test_danger_is_answered_through_the_gateway_without_a_token(
    client: httpx.AsyncClient,
) -> None:
    body = {"action": "chat", "payload": {"message": NEWBORN}}
    problem = assert_problem(await client.post("/gateway", json=body), 401, "not_signed_in")
    assert problem["triage"]["level"] == "emergency"


@pytest.mark.parametrize(
    "body",
    [
        {"action": "prescribe", "payload": {}},
        {"action": ["chat"], "payload": {}},
        {"payload": {}},
        {"action": "chat"},
        {"action": "chat", "payload": "message"},
        [1],
    ],
)
async def test_an_unknown_action_lists_the_known_ones(
    client: httpx.AsyncClient, sign_up: SignUp, body: Any
) -> None:
    answer = await client.post("/gateway", json=body, headers=await sign_up())
    problem = assert_problem(answer, 422, "invalid")
    assert problem["actions"] == ["chat", "transcribe", "analyze-image", "translate"]
    malformed = await client.post(
        "/gateway", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert_problem(malformed, 400, "malformed")


async def test_a_large_file_is_read_beside_the_loop(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer
) -> None:
    headers = {**await sign_up("ai_provider_abroad"), "Content-Type": "application/json"}
    body = b'{"audio_base64": "%s"}' % base64.b64encode(two_hours(best=True))
    await client.post("/api/transcribe", content=body[:-1], headers=headers)
    loop, whole = time.thread_time(), time.process_time()
    answer = await client.post("/api/transcribe", content=body, headers=headers)
    loop, whole = time.thread_time() - loop, time.process_time() - whole
    assert assert_problem(answer, 413, "too_large")["reason"] == "too_long"
    assert loop < whole / 2
