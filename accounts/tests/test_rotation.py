import asyncio
from datetime import timedelta

from accounts import rotation
from accounts.tests.conftest import meeting


async def use(api, token):
    status, body = await api("POST", "refresh", {"refresh_token": token})
    return body["refresh_token"] if status == 200 else status


async def test_a_refresh_token_gives_a_new_pair(api):
    first = await api.register()
    status, second = await api("POST", "refresh", {"refresh_token": first["refresh_token"]})
    assert status == 200
    assert second["user"] == first["user"]
    assert second["refresh_token"] != first["refresh_token"]
    assert (await api("GET", "me", token=second["access_token"]))[0] == 200


async def test_fifty_uses_at_once_leave_one_live_family(api):
    token = (await api.guest())["refresh_token"]
    successors = await asyncio.gather(*(use(api, token) for _ in range(50)))
    assert len(set(successors)) == 1
    third = await use(api, successors[0])
    assert await use(api, third) not in {401, third}


async def test_two_who_read_a_token_at_the_same_moment_get_one_successor(api, monkeypatch):
    token = (await api.guest())["refresh_token"]
    monkeypatch.setattr(rotation, "_successor", meeting(rotation._successor))
    one, two = await asyncio.gather(use(api, token), use(api, token))
    assert one == two != 401


async def test_a_lost_reply_signs_nobody_out(api):
    token = (await api.guest())["refresh_token"]
    lost = await use(api, token)
    assert await use(api, token) == lost
    assert await use(api, lost) not in {401, lost}


async def test_a_token_that_comes_back_after_its_successor_was_used_ends_the_family(api):
    token = (await api.guest())["refresh_token"]
    second = await use(api, token)
    third = await use(api, second)
    assert await use(api, token) == 401
    assert await use(api, third) == 401
    assert await use(api, second) == 401


async def test_a_token_that_comes_back_too_late_ends_the_family(api, monkeypatch):
    token = (await api.guest())["refresh_token"]
    second = await use(api, token)
    monkeypatch.setattr(rotation, "LOST_REPLY", timedelta(0))
    assert await use(api, token) == 401
    assert await use(api, second) == 401


async def test_a_theft_ends_one_device_and_not_the_other(api):
    body = await api.register()
    login = {"email": "awa@example.cm", "password": "un mot de passe long"}
    _, other = await api("POST", "login", login)
    second = await use(api, body["refresh_token"])
    await use(api, second)
    assert await use(api, body["refresh_token"]) == 401
    assert isinstance(await use(api, other["refresh_token"]), str)


async def test_a_reuse_and_a_rotation_at_once_leave_nothing_alive(api):
    """However they interleave: the family's lock puts one before the other."""
    for _ in range(5):
        first = (await api.guest())["refresh_token"]
        second = await use(api, first)
        third = await use(api, second)
        outcomes = await asyncio.gather(use(api, third), use(api, first))
        assert outcomes[1] == 401
        if isinstance(outcomes[0], str):
            assert await use(api, outcomes[0]) == 401


async def test_an_expired_token_is_refused(api, settings):
    settings.REFRESH_TOKEN_EXPIRE_DAYS = 0
    assert await use(api, (await api.guest())["refresh_token"]) == 401


async def test_signing_out_ends_this_device_only(api):
    body = await api.register()
    login = {"email": "awa@example.cm", "password": "un mot de passe long"}
    _, other = await api("POST", "login", login)
    assert (await api("POST", "logout", {"refresh_token": body["refresh_token"]}))[0] == 204
    assert await use(api, body["refresh_token"]) == 401
    assert isinstance(await use(api, other["refresh_token"]), str)


async def test_signing_out_with_a_token_of_nobody_is_no_error(api):
    assert (await api("POST", "logout", {"refresh_token": "inconnu"}))[0] == 204


async def test_signing_out_everywhere_ends_every_token(api):
    body = await api.register()
    login = {"email": "awa@example.cm", "password": "un mot de passe long"}
    _, other = await api("POST", "login", login)
    assert (await api("POST", "logout-all", token=body["access_token"]))[0] == 204
    for session in (body, other):
        assert (await api("GET", "me", token=session["access_token"]))[0] == 401
        assert await use(api, session["refresh_token"]) == 401
    status, again = await api("POST", "login", login)
    assert status == 200
    assert (await api("GET", "me", token=again["access_token"]))[0] == 200


async def test_a_refresh_token_of_nobody_is_refused(api):
    for token in ("inconnu", "", "x" * 600, 7, None, "\ud800", "nul\x00"):
        status, _ = await api("POST", "refresh", {"refresh_token": token})
        assert status in {401, 422}
