"""Against a server that speaks Supabase Auth's contract: signup, token, JWKS."""

import asyncio
import json
import time
import uuid

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from accounts import supabase, tokens
from accounts.tests.conftest import PASSWORD

KEY = ec.generate_private_key(ec.SECP256R1())


class Auth:
    """What GoTrue keeps: people by address, and what it was asked."""

    def __init__(self) -> None:
        self.people: dict[str, tuple[str, str]] = {}
        self.confirm = False
        self.asked: list[str] = []
        self.failing: int | None = None
        self.keys = True

    async def signup(self, request):
        self.asked.append("signup")
        body = await request.json()
        assert request.headers["apikey"] == "anon"
        if self.failing:
            return web.Response(status=self.failing, text="<html>")
        if body["email"] in self.people:
            answer = {"error_code": "user_already_exists", "msg": "User already registered"}
            return web.json_response(answer, status=422)
        self.people[body["email"]] = (str(uuid.uuid4()), body["password"])
        return web.json_response(self._user(body["email"], signed_in=not self.confirm))

    async def token(self, request):
        self.asked.append("token")
        assert request.query["grant_type"] == "password"
        body = await request.json()
        known = self.people.get(body["email"])
        if known is None or known[1] != body["password"]:
            answer = {"error_code": "invalid_credentials", "msg": "Invalid login credentials"}
            return web.json_response(answer, status=400)
        return web.json_response(self._user(body["email"], signed_in=True))

    def _user(self, email, signed_in):
        user = {"id": self.people[email][0], "email": email}
        return {"access_token": "…", "user": user} if signed_in else user

    async def jwks(self, request):
        self.asked.append("jwks")
        if not self.keys:
            return web.Response(status=500)
        public = json.loads(ECAlgorithm.to_jwk(KEY.public_key()))
        return web.json_response({"keys": [{**public, "kid": "e1", "alg": "ES256"}]})


@pytest.fixture
async def auth(settings, monkeypatch):
    auth = Auth()
    application = web.Application()
    application.router.add_post("/auth/v1/signup", auth.signup)
    application.router.add_post("/auth/v1/token", auth.token)
    application.router.add_get("/auth/v1/.well-known/jwks.json", auth.jwks)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    settings.SUPABASE_URL = f"http://127.0.0.1:{port}"
    settings.SUPABASE_ANON_KEY = "anon"
    monkeypatch.setattr(supabase, "_last_fetch", -1000.0)
    yield auth
    await runner.cleanup()


def token(settings, kid="e1", sub=None, **claims):
    now = int(time.time())
    body = {
        "iss": f"{settings.SUPABASE_URL}/auth/v1",
        "aud": "authenticated",
        "sub": sub or str(uuid.uuid4()),
        "iat": now,
        "exp": now + 60,
        **claims,
    }
    return jwt.encode(body, KEY, "ES256", headers={"kid": kid})


async def test_supabase_keeps_the_password_and_we_the_account(api, auth):
    body = await api.register("awa@example.cm", consents=["store_history"])
    assert body["user"]["id"] == auth.people["awa@example.cm"][0]
    login = {"email": "awa@example.cm", "password": PASSWORD}
    status, again = await api("POST", "login", login)
    assert (status, again["user"]) == (200, body["user"])
    assert (await api("POST", "login", {**login, "password": "faux"}))[0] == 401


async def test_an_address_to_be_confirmed_gets_no_tokens_yet(api, auth):
    auth.confirm = True
    status, body = await api("POST", "register", {"email": "awa@example.cm", "password": PASSWORD})
    assert (status, body) == (202, {"status": "confirm_email"})
    login = {"email": "awa@example.cm", "password": PASSWORD}
    assert (await api("POST", "login", login))[1]["user"]["email"] == "awa@example.cm"


async def test_an_address_that_supabase_knows_is_taken(api, auth):
    auth.people["awa@example.cm"] = (str(uuid.uuid4()), "autre")
    status, problem = await api(
        "POST", "register", {"email": "awa@example.cm", "password": PASSWORD}
    )
    assert (status, problem["code"]) == (409, "email_taken")


@pytest.mark.parametrize("status", [500, 302, 429])
async def test_where_supabase_fails_we_say_so_and_make_nothing(api, auth, status):
    auth.failing = status
    answer, problem = await api(
        "POST", "register", {"email": "awa@example.cm", "password": PASSWORD}
    )
    assert answer == (429 if status == 429 else 503)
    assert problem["retry_after"] >= 5


async def test_where_supabase_is_gone_we_say_so(api, auth, settings):
    settings.SUPABASE_URL = "http://127.0.0.1:9"
    login = {"email": "awa@example.cm", "password": PASSWORD}
    assert (await api("POST", "login", login))[0] == 503


async def test_a_guest_keeps_the_account_when_registering_there(api, auth):
    guest = await api.guest()
    body = {"email": "awa@example.cm", "password": PASSWORD}
    _, registered = await api("POST", "register", body, token=guest["access_token"])
    assert registered["user"]["id"] == guest["user"]["id"]
    assert (await api("POST", "login", body))[1]["user"]["id"] == guest["user"]["id"]


async def test_a_password_of_ours_is_never_opened_by_supabase(api, auth, settings):
    """Somebody signs up there with the address of an account that was made here."""
    url, settings.SUPABASE_URL = settings.SUPABASE_URL, ""
    await api.register("awa@example.cm")
    settings.SUPABASE_URL = url
    auth.people["awa@example.cm"] = (str(uuid.uuid4()), "le mot du voleur")
    stolen = {"email": "awa@example.cm", "password": "le mot du voleur"}
    assert (await api("POST", "login", stolen))[0] == 401
    assert (await api("POST", "login", {**stolen, "password": PASSWORD}))[0] == 200
    assert (await api("GET", "me", token=token(settings, email="awa@example.cm")))[0] == 401


async def test_a_token_of_supabases_is_good_here_and_makes_the_account(api, auth, settings):
    sub = str(uuid.uuid4())
    good = token(settings, sub=sub, email="Awa@Example.cm")
    status, me = await api("GET", "me", token=good)
    assert (status, me["id"], me["email"]) == (200, sub, "awa@example.cm")
    assert (await api("GET", "me", token=good))[1] == me


async def test_many_who_come_at_once_cost_one_fetch(api, auth, settings):
    people = [token(settings) for _ in range(8)]
    answers = await asyncio.gather(*(api("GET", "me", token=each) for each in people))
    assert [status for status, _ in answers] == [200] * 8
    assert auth.asked.count("jwks") == 1


async def test_unknown_keys_do_not_make_us_fetch_again_and_again(api, auth, settings):
    for number in range(20):
        assert (await api("GET", "me", token=token(settings, kid=f"k{number}")))[0] == 401
    assert auth.asked.count("jwks") == 1


async def test_a_key_server_that_fails_refuses_and_keeps_what_was_known(
    api, auth, settings, monkeypatch
):
    good = token(settings)
    assert (await api("GET", "me", token=good))[0] == 200
    auth.keys = False
    monkeypatch.setattr(supabase, "_last_fetch", -1000.0)
    assert (await api("GET", "me", token=token(settings, kid="neu")))[0] == 401
    assert (await api("GET", "me", token=good))[0] == 200


def test_another_project_is_not_asked(settings):
    settings.SUPABASE_URL = "https://p.supabase.example"
    asked = supabase.refresh_keys(tokens.ring(), "https://evil.example/auth/v1")
    assert asyncio.run(asked) is False
