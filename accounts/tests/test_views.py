import asyncio
import json

import pytest

from accounts.tests.conftest import PASSWORD, ask_as


async def test_registering_answers_with_the_user_and_tokens(api):
    status, body = await api(
        "POST",
        "register",
        {
            "email": "Awa@Example.CM",
            "password": PASSWORD,
            "full_name": "Awa Ngo",
            "preferred_language": "fr-CM",
            "consents": ["store_history"],
        },
    )
    assert status == 201
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 43200 * 60
    user = body["user"]
    assert user["email"] == "awa@example.cm"
    assert user["preferred_language"] == "fr"
    assert user["guest"] is False
    assert user["consents"] == {
        "store_history": True,
        "ai_provider_abroad": False,
        "clinician_review": False,
    }
    assert (await api("GET", "me", token=body["access_token"])) == (200, user)


async def test_an_address_is_registered_once_whatever_its_case(api):
    await api.register("awa@example.cm")
    status, problem = await api(
        "POST", "register", {"email": "AWA@example.cm", "password": PASSWORD}
    )
    assert (status, problem["code"]) == (409, "email_taken")


async def test_of_ten_who_register_one_address_at_once_one_has_it(api):
    body = {"email": "race@example.cm", "password": PASSWORD}
    answers = await asyncio.gather(*(api("POST", "register", body) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [201] + [409] * 9
    assert await asyncio.to_thread(ask_as, "carehelp_gate", "SELECT count(*) FROM credentials") == [
        (1,)
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", 12),
        ("email", "a\x00b@example.cm"),
        ("email", "a@" + "b" * 300 + ".cm"),
        ("password", "court"),
        ("password", "password123"),
        ("password", "1234567890123"),
        ("password", ["liste"]),
        ("password", "avec un nul \x00 dedans"),
        ("password", "x" * 300),
        ("full_name", "Awa\x00"),
        ("full_name", "Awa \ud800"),
        ("full_name", {"prénom": "Awa"}),
        ("full_name", "x" * 201),
        ("preferred_language", "12"),
        ("region", 7),
        ("save_data", "non"),
        ("consents", ["tout"]),
        ("consents", "store_history"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_changes_nothing(api, field, value):
    body = {"email": "awa@example.cm", "password": PASSWORD, field: value}
    status, problem = await api("POST", "register", body)
    assert status == 422
    assert problem["errors"][0]["loc"][:2] == ["body", field]
    assert (await api("POST", "login", {"email": "awa@example.cm", "password": PASSWORD}))[0] == 401


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"email": NaN}'])
async def test_what_is_not_json_is_malformed(api, body):
    answer = await api.client.generic(
        "POST", "/api/users/register", data=body, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("body", [[], "texte", None, 3])
async def test_json_that_is_no_object_is_invalid(api, body):
    status, _ = await api("POST", "guest", body)
    assert status in {201 if body is None else 422}


async def test_a_guest_keeps_the_account_when_registering(api):
    guest = await api.guest(consents=["clinician_review"])
    assert guest["user"]["email"] is None
    status, body = await api(
        "POST",
        "register",
        {
            "email": "awa@example.cm",
            "password": PASSWORD,
            "full_name": "Awa",
            "consents": ["store_history"],
        },
        token=guest["access_token"],
    )
    assert status == 201
    assert body["user"]["id"] == guest["user"]["id"]
    assert body["user"]["full_name"] == "Awa"
    assert body["user"]["consents"]["clinician_review"]
    assert body["user"]["consents"]["store_history"]
    status, again = await api("POST", "login", {"email": "awa@example.cm", "password": PASSWORD})
    assert (status, again["user"]["id"]) == (200, guest["user"]["id"])


async def test_registering_signs_the_guests_old_tokens_out(api):
    guest = await api.guest()
    body = {"email": "awa@example.cm", "password": PASSWORD}
    _, new = await api("POST", "register", body, token=guest["access_token"])
    assert (await api("GET", "me", token=guest["access_token"]))[0] == 401
    assert (await api("POST", "refresh", {"refresh_token": guest["refresh_token"]}))[0] == 401
    assert (await api("GET", "me", token=new["access_token"]))[0] == 200


async def test_a_guest_who_takes_a_taken_address_stays_a_guest(api):
    await api.register("awa@example.cm")
    guest = await api.guest()
    body = {"email": "awa@example.cm", "password": PASSWORD}
    assert (await api("POST", "register", body, token=guest["access_token"]))[0] == 409
    _, me = await api("GET", "me", token=guest["access_token"])
    assert me["guest"] is True


async def test_a_guest_with_a_dead_token_is_told_so_before_losing_conversations(api):
    body = {"email": "awa@example.cm", "password": PASSWORD}
    status, _ = await api("POST", "register", body, token="pas.un.jeton")
    assert status == 401


async def test_signing_in_takes_json_or_oauths_form(api):
    await api.register("awa@example.cm")
    body = {"email": " AWA@example.cm ", "password": PASSWORD}
    assert (await api("POST", "login", body))[0] == 200
    form = await api.client.post(
        "/api/users/login",
        f"username=awa%40example.cm&password={PASSWORD.replace(' ', '+')}",
        content_type="application/x-www-form-urlencoded",
    )
    assert form.status_code == 200
    assert form.json()["access_token"]


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(api):
    await api.register("awa@example.cm")
    wrong = await api("POST", "login", {"email": "awa@example.cm", "password": "autre chose"})
    unknown = await api("POST", "login", {"email": "nul@example.cm", "password": "autre chose"})
    assert wrong == unknown
    assert (wrong[0], wrong[1]["code"]) == (401, "wrong_credentials")


async def test_the_eleventh_guess_waits_and_other_addresses_do_not(api, settings):
    await api.register("awa@example.cm")
    guess = {"email": "awa@example.cm", "password": "au hasard"}
    for _ in range(10):
        assert (await api("POST", "login", guess))[0] == 401
    answer = await api.client.post(
        "/api/users/login", json.dumps(guess), content_type="application/json"
    )
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 900
    assert answer["RateLimit-Remaining"] == "0"
    right = {"email": "awa@example.cm", "password": PASSWORD}
    assert (await api("POST", "login", right))[0] == 429
    settings.NUM_PROXIES = 1
    elsewhere = {"X-Forwarded-For": "10.9.8.7"}
    assert (await api("POST", "login", right, **elsewhere))[0] == 200


async def test_parallel_guesses_are_counted_every_one(api):
    guess = {"email": "awa@example.cm", "password": "au hasard"}
    answers = await asyncio.gather(*(api("POST", "login", guess) for _ in range(25)))
    assert sorted(status for status, _ in answers) == [401] * 10 + [429] * 15


async def test_signing_in_forgets_the_wrong_guesses(api):
    await api.register("awa@example.cm")
    wrong = {"email": "awa@example.cm", "password": "au hasard"}
    for _ in range(3):
        for _ in range(8):
            await api("POST", "login", wrong)
        status, _ = await api("POST", "login", {**wrong, "password": PASSWORD})
        assert status == 200


async def test_me_needs_a_token_and_says_how(api):
    answer = await api.client.get("/api/users/me")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "not_signed_in"


async def test_a_profile_is_changed_in_part(api):
    token = (await api.register(full_name="Awa"))["access_token"]
    status, me = await api("PATCH", "me", {"phone": "+237 6", "save_data": True}, token=token)
    assert status == 200
    assert (me["phone"], me["save_data"], me["full_name"]) == ("+237 6", True, "Awa")
    assert (await api("PATCH", "me", {"email": "autre@example.cm"}, token=token))[1] == me


async def test_erasing_an_account_takes_everything_with_it(api):
    body = await api.register(consents=["store_history"])
    token = body["access_token"]
    assert (await api("DELETE", "me", token=token)) == (204, None)
    assert (await api("GET", "me", token=token))[0] == 401
    assert (await api("POST", "refresh", {"refresh_token": body["refresh_token"]}))[0] == 401
    for column in ("users.id", "credentials.user_id", "refresh_tokens.user_id"):
        query = f"SELECT {column} FROM {column.partition('.')[0]}"
        assert await asyncio.to_thread(ask_as, "carehelp_gate", query) == []
    assert await api.register()


async def test_consents_are_appended_and_the_newest_counts(api):
    token = (await api.guest(consents=["store_history"]))["access_token"]
    for granted in (False, True, False):
        body = {"purpose": "store_history", "granted": granted, "version": "2027-01"}
        status, answer = await api("POST", "me/consents", body, token=token)
        assert (status, answer["granted"]) == (201, granted)
    _, history = await api("GET", "me/consents", token=token)
    assert [each["granted"] for each in history["results"]] == [False, True, False, True]
    assert (await api("GET", "me", token=token))[1]["consents"]["store_history"] is False


@pytest.mark.parametrize(
    "body",
    [{"purpose": "rien", "granted": True}, {"purpose": "store_history"}, {"granted": "oui"}],
)
async def test_a_consent_that_is_unclear_is_none(api, body):
    token = (await api.guest())["access_token"]
    assert (await api("POST", "me/consents", body, token=token))[0] == 422
    assert (await api("GET", "me/consents", token=token))[1] == {"results": []}


async def test_an_unknown_method_is_refused(api):
    status, problem = await api("PUT", "login", {})
    assert (status, problem["code"]) == (405, "method_not_allowed")
