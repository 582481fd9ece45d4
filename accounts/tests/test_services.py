import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from accounts import services, tickets
from accounts.models import SocketTicket
from accounts.tests.conftest import ask_as
from carehelp.database.identity import Principal, acting_as, run_as


async def swept():
    with acting_as(Principal.worker()):
        return await run_as(services.erase_expired)


async def test_a_guest_whom_nobody_can_sign_in_as_is_erased(api, settings, monkeypatch):
    monkeypatch.setattr(services, "GUEST_RETENTION", timedelta(0))
    settings.REFRESH_TOKEN_EXPIRE_DAYS = 0
    await api.guest()
    settings.REFRESH_TOKEN_EXPIRE_DAYS = 1
    alive, registered = await api.guest(), await api.register()
    signed_out = await api.guest()
    await api("POST", "logout", {"refresh_token": signed_out["refresh_token"]})
    assert await swept() == 2
    left = await asyncio.to_thread(ask_as, "carehelp_gate", "SELECT id FROM users")
    assert {str(row[0]) for row in left} == {alive["user"]["id"], registered["user"]["id"]}


async def test_a_young_guest_stays_whatever_became_of_the_tokens(api, settings):
    settings.REFRESH_TOKEN_EXPIRE_DAYS = 0
    await api.guest()
    assert await swept() == 0


async def test_expired_tickets_go(api, monkeypatch):
    user_id = UUID((await api.guest())["user"]["id"])
    await tickets.issue(user_id)
    monkeypatch.setattr(tickets, "LIFETIME_SECONDS", -1)
    await tickets.issue(user_id)
    await swept()
    with acting_as(Principal.worker()):
        assert await run_as(lambda: SocketTicket.objects.count()) == 1


async def test_a_clinician_is_not_erased_by_an_api_call(api):
    email, password = await asyncio.to_thread(services.ensure_first_clinician)
    _, session = await api("POST", "login", {"email": email, "password": password})
    status, problem = await api("DELETE", "me", token=session["access_token"])
    assert (status, problem["code"]) == (409, "staff_account")


@pytest.mark.parametrize("profile", [{"full_name": "Awa"}, {}])
async def test_a_change_of_nothing_writes_nothing(api, profile):
    body = await api.register(full_name="Awa")
    user_id = UUID(body["user"]["id"])
    user, _ = await services.change(user_id, profile)
    again, _ = await services.change(user_id, {})
    assert again.updated_at == user.updated_at
