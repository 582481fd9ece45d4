import asyncio
from datetime import timedelta

import pytest
from django.test import RequestFactory

from accounts import limits
from accounts.limits import Limit, Use, client_address
from accounts.models import RateLimit
from carehelp.database.identity import run_as
from carehelp.errors import TooMany

THREE = Limit("of a test", 3, timedelta(minutes=1))


async def test_uses_beyond_the_limit_are_refused_with_a_time(database):
    for _ in range(3):
        await limits.count(Use(THREE, "awa"))
    with pytest.raises(TooMany) as refused:
        await limits.count(Use(THREE, "awa"))
    assert 0 < refused.value.retry_after <= 60
    assert refused.value.headers["RateLimit-Limit"] == "3"
    await limits.count(Use(THREE, "bih"))


async def test_uses_at_once_are_counted_every_one(database):
    uses = [limits.count(Use(THREE, "awa"), Use(THREE, "bih")) for _ in range(20)]
    got = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(isinstance(each, TooMany) for each in got) == 17


async def test_a_new_window_begins_afresh(database):
    gone = Limit("of a test", 1, timedelta(0))
    for _ in range(3):
        await limits.count(Use(gone, "awa"))


async def test_the_right_person_starts_again(database):
    use = Use(THREE, "awa")
    for _ in range(3):
        await limits.count(use)
    await limits.forgive(use)
    await limits.count(use)


async def test_the_table_names_nobody_and_is_swept(database):
    await limits.count(Use(Limit("of a test", 1, timedelta(0)), "awa@example.cm"))
    kept = await run_as(lambda: [bytes(row.key) for row in RateLimit.objects.all()])
    assert [len(key) for key in kept] == [32]
    assert await run_as(limits.forget_ended_windows) == 1


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "6.6.6.6", "10.0.0.9"),
        (1, "6.6.6.6", "6.6.6.6"),
        (1, "6.6.6.6, 7.7.7.7", "7.7.7.7"),
        (2, "5.5.5.5, 6.6.6.6, 7.7.7.7", "6.6.6.6"),
        (2, "7.7.7.7", "7.7.7.7"),
        (1, "", "10.0.0.9"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:6.6.6.6", "6.6.6.6"),
        (1, "' OR 1=1 --", ""),
    ],
)
def test_only_our_own_proxies_are_believed(settings, proxies, forwarded, seen):
    settings.NUM_PROXIES = proxies
    request = RequestFactory().get(
        "/", REMOTE_ADDR="10.0.0.9", headers={"X-Forwarded-For": forwarded}
    )
    assert client_address(request) == seen
