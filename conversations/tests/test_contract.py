"""The documents that clients build on, and the code, say the same."""

from __future__ import annotations

import base64
import re
from typing import Any

import httpx
import pytest
import yaml
from django.urls import get_resolver
from jsonschema import Draft202012Validator

from accounts.serializers import (
    ConsentSerializer,
    GuestSerializer,
    LoginSerializer,
    ProfileSerializer,
    RefreshSerializer,
    RegisterSerializer,
)
from ai.tests.contract_server import ContractServer
from carehelp import __version__
from carehelp.asgi import application
from carehelp.tests.browser import WATCH, Watched, chromium
from carehelp.tests.people import SignUp
from carehelp.tests.serving import served
from carehelp.tests.test_first_answer import NEWBORN, _events
from conversations import events
from conversations.doors import contract, frames
from conversations.doors.serializers import (
    ChatSerializer,
    HearSerializer,
    LookSerializer,
    SendSerializer,
    SubjectSerializer,
    TitleSerializer,
    TranslateSerializer,
    TriageSerializer,
)
from conversations.doors.socket import ChatSocket
from conversations.doors.sync import QueuedSerializer
from conversations.tests.files import photo, voice

ALL = ("store_history", "ai_provider_abroad", "clinician_review")


def holds(value: Any, shape: dict[str, Any], shapes: dict[str, Any]) -> None:
    """`value` has the shape, whose references lead to `shapes`; and says nothing beyond it."""
    Draft202012Validator({**shape, "components": {"schemas": shapes}}).validate(value)
    assert_nothing_more(value, shape, shapes)


def assert_nothing_more(value: Any, shape: dict[str, Any], shapes: dict[str, Any]) -> None:
    if isinstance(value, list):
        for one in value:
            assert_nothing_more(one, resolved(shape, shapes).get("items", {}), shapes)
    if isinstance(value, dict):
        known = properties(shape, shapes)
        assert not known or set(value) <= set(known), set(value) - set(known)
        for name, one in value.items():
            assert_nothing_more(one, known.get(name, {}), shapes)


def resolved(shape: dict[str, Any], shapes: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in shape:
        return resolved(shapes[shape["$ref"].rpartition("/")[2]], shapes)
    found = [one for one in shape.get("anyOf", ()) if one.get("type") != "null"]
    return resolved(found[0], shapes) if found else shape


def properties(shape: dict[str, Any], shapes: dict[str, Any]) -> dict[str, Any]:
    whole = resolved(shape, shapes)
    found = dict(whole.get("properties", {}))
    for part in whole.get("allOf", ()):
        found |= properties(part, shapes)
    return found


@pytest.fixture
async def schema(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/schema")
    assert answer.status_code == 200
    found: dict[str, Any] = yaml.safe_load(answer.text)
    return found


@pytest.fixture
async def frames_told(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/asyncapi.yaml")
    assert answer.headers["Content-Type"].startswith("application/yaml")
    found: dict[str, Any] = yaml.safe_load(answer.text)
    return found


def routes() -> set[str]:
    """Every path of ours under /api, and the gateway."""
    found = {"/gateway"}
    for place, urls in (("/api/", "conversations.doors.urls"), ("/api/users/", "accounts.urls")):
        for route in get_resolver(urls).url_patterns:
            found.add(place + re.sub(r"<\w+:(\w+)>", r"{\1}", str(route.pattern)))
    return found


def test_every_door_is_described() -> None:
    assert set(contract.described()) == routes()


async def test_the_schema_tells_limits_and_who_may_ask(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    upload = schema["paths"]["/api/attachments"]["post"]
    form = upload["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert form["file"]["maxLength"] == 16 * 1024**2
    assert "300 seconds" in upload["description"]
    put = schema["paths"]["/api/attachments/{attachment_id}"]["put"]
    assert {p["name"] for p in put["parameters"]} == {"attachment_id", "offset"}
    assert schema["paths"]["/api/languages"]["get"]["security"] == []
    assert schema["security"] == [{"bearer": []}]


REQUESTS = {
    ("/api/users/register", "post"): RegisterSerializer,
    ("/api/users/guest", "post"): GuestSerializer,
    ("/api/users/login", "post"): LoginSerializer,
    ("/api/users/refresh", "post"): RefreshSerializer,
    ("/api/users/me", "patch"): ProfileSerializer,
    ("/api/users/me/consents", "post"): ConsentSerializer,
    ("/api/chat", "post"): ChatSerializer,
    ("/api/triage", "post"): TriageSerializer,
    ("/api/transcribe", "post"): HearSerializer,
    ("/api/analyze-image", "post"): LookSerializer,
    ("/api/translate", "post"): TranslateSerializer,
    ("/api/conversations/{conversation_id}", "patch"): TitleSerializer,
}


@pytest.mark.parametrize(("path", "method"), REQUESTS)
def test_a_body_is_described_as_it_is_read(path: str, method: str) -> None:
    form = REQUESTS[path, method]()
    body = contract.described()[path][method]["body"]
    shape = {"$ref": f"#/components/schemas/{body}"} if isinstance(body, str) else body
    told = properties(shape, contract.shapes())
    assert set(told) == set(form.fields)
    for name, field in form.fields.items():
        assert told[name].get("maxLength") == getattr(field, "max_length", None) or name in (
            "language",
            "source_language",
            "attachments",
            "consents",
        )


def test_the_nested_forms_are_described_as_they_are_read() -> None:
    shapes = contract.shapes()
    assert set(shapes["Subject"]["properties"]) == set(SubjectSerializer().fields)
    queued = contract.described()["/api/sync"]["post"]["body"]["properties"]["queued"]["items"]
    assert set(properties(queued, shapes)) == set(QueuedSerializer().fields)


async def test_answers_are_as_described(
    client: httpx.AsyncClient, sign_up: SignUp, hub: ContractServer, schema: dict[str, Any]
) -> None:
    headers = await sign_up(*ALL)
    uploaded = await client.post("/api/attachments", content=voice(), headers=headers)
    sound, image = (base64.b64encode(file).decode() for file in (voice(), photo()))
    chat = {"message": NEWBORN, "client_message_id": "c1"}
    voiced = {"attachments": [uploaded.json()["id"]]}
    text = {"text": "Bonjour", "target_language": "en"}
    asked: list[tuple[str, str, str, Any]] = [
        ("post", "/api/chat", "/api/chat", chat),
        ("post", "/api/chat", "/api/chat", voiced),
        ("post", "/api/triage", "/api/triage", {"message": NEWBORN}),
        ("post", "/api/transcribe", "/api/transcribe", {"audio_base64": sound}),
        ("post", "/api/analyze-image", "/api/analyze-image", {"image_base64": image}),
        ("post", "/api/translate", "/api/translate", text),
        ("post", "/api/attachments", "/api/attachments", {"bytes": 9}),
        ("get", "/api/attachments/{attachment_id}", "/api/attachments/1", None),
        ("get", "/api/languages", "/api/languages", None),
        ("get", "/api/emergency-contacts", "/api/emergency-contacts?region=Littoral", None),
        ("post", "/api/ws-ticket", "/api/ws-ticket", None),
        ("get", "/api/conversations", "/api/conversations", None),
        ("get", "/api/conversations/{conversation_id}", "/api/conversations/1", None),
        (
            "get",
            "/api/conversations/{conversation_id}/messages",
            "/api/conversations/2/messages",
            None,
        ),
        ("get", "/api/messages/{reply_id}", "/api/messages/2", None),
        ("post", "/api/sync", "/api/sync", {"queued": []}),
        ("post", "/api/users/guest", "/api/users/guest", {"preferred_language": "en"}),
        ("get", "/api/users/me", "/api/users/me", None),
        ("get", "/api/users/me/consents", "/api/users/me/consents", None),
    ]
    for method, path, address, body in asked:
        answer = await client.request(method, address, json=body, headers=headers)
        told = schema["paths"][path][method]["responses"]
        shape = told[str(answer.status_code)]["content"]["application/json"]["schema"]
        holds(answer.json(), shape, schema["components"]["schemas"])


async def test_problems_are_as_described(
    client: httpx.AsyncClient, sign_up: SignUp, schema: dict[str, Any]
) -> None:
    for answer in (
        await client.post("/api/chat", json={"message": NEWBORN}),
        await client.post("/api/chat", json={}, headers=await sign_up()),
        await client.post("/api/translate", json={}, headers=await sign_up()),
    ):
        shapes = schema["components"]["schemas"]
        Draft202012Validator(
            {"$ref": "#/components/schemas/Problem", "components": {"schemas": shapes}}
        ).validate(answer.json())


def test_the_socket_document_names_the_frames_that_the_code_knows() -> None:
    document = contract.socket()
    messages = set(document["components"]["messages"])
    told = {
        name: {m["$ref"].rpartition("/")[2] for m in operation["messages"]}
        for name, operation in document["operations"].items()
    }
    said = {each.type for each in events.Event.__args__}
    assert told["hear"] == {"auth", *ChatSocket.HANDLERS}
    assert told["tell"] == {*said, "ready", "error", "pong"}
    assert messages == set(document["channels"]["chat"]["messages"]) == told["hear"] | told["tell"]
    assert document["info"]["version"] == __version__
    send = document["components"]["messages"]["send"]["payload"]
    fields = set(SendSerializer().fields)
    assert set(properties(send, contract.shapes())) - {"type"} == fields


async def test_events_are_as_described(
    client: httpx.AsyncClient,
    sign_up: SignUp,
    hub: ContractServer,
    guidance: None,
    frames_told: dict[str, Any],
) -> None:
    headers = await sign_up(*ALL)
    told: list[tuple[str, dict[str, Any]]] = []
    for saving in ("off", "on"):
        uploaded = await client.post("/api/attachments", content=voice(), headers=headers)
        body = {
            "message": "Quels sont les signes du paludisme ?",
            "attachments": [uploaded.json()["id"]],
            "stream": True,
        }
        answer = await client.post("/api/chat", json=body, headers=headers | {"Save-Data": saving})
        told += _events(answer.text)
    told.append(("clinician_message", frames.frame_of(events.ClinicianSaid(1, 2, "Bonjour", ""))))
    assert {name for name, _ in told} == {each.type for each in events.Event.__args__}
    for name, data in told:
        shape = frames_told["components"]["messages"][name]["payload"]
        holds({**data, "type": name}, shape, frames_told["components"]["schemas"])


def test_the_docs_page_works_in_a_browser_and_asks_nobody_else(database: None) -> None:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with served(application) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page()
        page.add_init_script(WATCH)
        page.on("request", lambda request: asked.append(request.url))
        watched = Watched(page)
        page.goto(f"{base}/api/docs")
        page.get_by_text("/api/attachments", exact=True).first.wait_for(timeout=60_000)
        watched.assert_quiet(network=False)
        browser.close()
    local = (base, "data:", "blob:")
    assert [url for url in asked if not url.startswith(local)] == []
