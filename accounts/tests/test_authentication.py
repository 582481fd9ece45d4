import asyncio
import time
import uuid

import pytest
from django.http import HttpResponse
from django.test import AsyncRequestFactory

from accounts import authentication, tickets, tokens
from accounts.middleware import identity
from accounts.tokens import BadToken
from carehelp.database.identity import current
from carehelp.errors import NotSignedIn


async def pass_through(token=None, scheme="Bearer", path="/api/chat", then=None):
    """What a request meets behind the middleware: its identity, and the database's principal."""
    met = {}

    async def view(request):
        met["principal"] = current()
        met["identity"] = getattr(request, "identity", None)
        met["refused"] = getattr(request, "identity_refused", None)
        if then is not None:
            await then()
        return HttpResponse()

    headers = {} if token is None else {"Authorization": f"{scheme} {token}"}
    await identity(view)(AsyncRequestFactory().get(path, headers=headers))
    return met


async def test_a_token_becomes_the_requests_identity_and_nothing_stays(api):
    body = await api.guest()
    met = await pass_through(body["access_token"])
    assert str(met["identity"].id) == met["principal"].sub == body["user"]["id"]
    assert met["identity"].is_guest
    assert current() is None


@pytest.mark.parametrize("path", ["/admin/", "/static/x.js", "/health/ready", "/metrics"])
async def test_some_paths_know_nobody(api, path):
    token = (await api.guest())["access_token"]
    assert (await pass_through(token, path=path))["principal"] is None


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
async def test_another_scheme_is_refused(api, scheme):
    met = await pass_through((await api.guest())["access_token"], scheme=scheme)
    assert met["principal"] is None
    assert isinstance(met["refused"], NotSignedIn) or scheme == ""


async def test_a_bad_token_is_remembered_and_carries_no_identity(database):
    met = await pass_through("pas.un.jeton")
    assert isinstance(met["refused"], BadToken)
    assert met["principal"] is met["identity"] is None


async def test_interleaved_requests_never_swap_identities(api):
    people = [(await api.guest())["access_token"] for _ in range(4)]
    expected = {token: tokens.ring().verify(token).user_id for token in people}

    async def ask(token):
        met = await pass_through(token, then=lambda: asyncio.sleep(0))
        return uuid.UUID(met["principal"].sub) == expected[token]

    assert all(await asyncio.gather(*(ask(token) for token in people * 50)))
    assert current() is None


async def test_a_cancelled_request_leaves_no_identity_behind(api):
    token = (await api.guest())["access_token"]
    seen, started = [], asyncio.Event()

    async def forever():
        started.set()
        await asyncio.Event().wait()

    async def outer():
        try:
            await pass_through(token, then=forever)
        finally:
            seen.append(current())

    task = asyncio.create_task(outer())
    await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [None]


async def test_a_closed_account_is_nobody(api):
    """The token is good; the account is not there."""
    with pytest.raises(BadToken):
        await authentication.identify(tokens.issue(uuid.uuid4()))


async def test_the_gate_is_asked_once_in_five_seconds(api, monkeypatch):
    asked = []
    ask = authentication.gate.account
    monkeypatch.setattr(
        authentication.gate, "account", lambda user_id: asked.append(user_id) or ask(user_id)
    )
    token = (await api.guest())["access_token"]
    for _ in range(5):
        await authentication.identify(token)
    assert len(asked) == 1
    assert authentication.REMEMBER_SECONDS <= 5


async def test_an_open_socket_is_told_of_a_sign_out_everywhere(api):
    body = await api.guest()
    user_id, now = uuid.UUID(body["user"]["id"]), time.time()
    await authentication.still_allowed(body["access_token"], user_id)
    await authentication.still_allowed(None, user_id, now)
    await api("POST", "logout-all", token=body["access_token"])
    for token, since in ((body["access_token"], None), (None, now)):
        with pytest.raises(NotSignedIn):
            await authentication.still_allowed(token, user_id, since)


async def test_a_ticket_opens_one_socket_once(api):
    user_id = uuid.UUID((await api.guest())["user"]["id"])
    ticket = await tickets.issue(user_id)
    assert await tickets.redeem(ticket) == user_id
    with pytest.raises(NotSignedIn):
        await tickets.redeem(ticket)


async def test_of_ten_who_redeem_a_ticket_at_once_one_gets_in(api):
    ticket = await tickets.issue(uuid.UUID((await api.guest())["user"]["id"]))
    got = await asyncio.gather(*(tickets.redeem(ticket) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(each, uuid.UUID) for each in got) == 1


async def test_an_old_ticket_opens_nothing(api, monkeypatch):
    monkeypatch.setattr(tickets, "LIFETIME_SECONDS", -1)
    ticket = await tickets.issue(uuid.UUID((await api.guest())["user"]["id"]))
    with pytest.raises(NotSignedIn):
        await tickets.redeem(ticket)
