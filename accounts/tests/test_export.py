import json
from uuid import UUID

from django.apps import apps

from accounts import export
from carehelp.database.identity import Principal, acting_as, run_as

Conversation = apps.get_model("conversations", "Conversation")


async def exported(api, token):
    headers = {"Authorization": f"Bearer {token}"}
    answer = await api.client.get("/api/users/me/export", headers=headers)
    assert answer.status_code == 200
    return json.loads(b"".join([piece async for piece in answer.streaming_content]))


async def told(session, *titles):
    user_id = UUID(session["user"]["id"])

    def tell():
        for title in titles:
            Conversation.objects.create(user_id=user_id, title=title)

    with acting_as(Principal.patient(user_id)):
        await run_as(tell)


async def test_an_export_holds_what_is_ones_own_in_plain_words(api):
    awa = await api.register("awa@example.cm", full_name="Awa", consents=["store_history"])
    bih = await api.register("bih@example.cm")
    await told(awa, "Fièvre depuis « hier »")
    await told(bih, "Toux")
    held = await exported(api, awa["access_token"])
    assert [user["email"] for user in held["users"]] == ["awa@example.cm"]
    assert [each["purpose"] for each in held["consents"]] == ["store_history"]
    assert [each["title"] for each in held["conversations"]] == ["Fièvre depuis « hier »"]
    assert held["messages"] == []
    assert "credentials" not in held


async def test_a_long_export_comes_in_batches_each_row_once(api, monkeypatch):
    monkeypatch.setattr(export, "BATCH", 3)
    awa = await api.guest()
    titles = [f"Question {number}" for number in range(9)]
    await told(awa, *titles)
    held = await exported(api, awa["access_token"])
    assert [each["title"] for each in held["conversations"]] == titles


async def test_an_export_needs_a_token(api):
    assert (await api("GET", "me/export"))[0] == 401
