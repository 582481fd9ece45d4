import asyncio
import threading
import time
from statistics import median

import pytest

from accounts import passwords
from carehelp.errors import Overloaded


async def test_a_password_matches_its_own_hash_only():
    encoded = await passwords.hash_password("sésame ouvre-toi")
    assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.check_password("sésame ouvre-toi", encoded)
    assert not await passwords.check_password("Sésame ouvre-toi", encoded)


@pytest.mark.parametrize("encoded", [None, ""])
async def test_nothing_matches_where_there_is_no_password(encoded):
    assert not await passwords.check_password("", encoded)


@pytest.mark.alone
async def test_an_unknown_address_takes_as_long():
    encoded = await passwords.hash_password("sésame")
    took = {encoded: [], None: []}
    for _ in range(7):
        for stored in took:
            start = time.perf_counter()
            await passwords.check_password("faux", stored)
            took[stored].append(time.perf_counter() - start)
    assert 0.5 < median(took[None]) / median(took[encoded]) < 2


@pytest.mark.alone
async def test_the_loop_goes_on_while_passwords_are_hashed():
    hashing = asyncio.gather(*(passwords.hash_password("sésame") for _ in range(8)))
    longest, last = 0.0, time.perf_counter()
    while not hashing.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    assert longest < 0.1


async def test_a_full_pool_says_so_and_recovers(monkeypatch):
    monkeypatch.setattr(passwords, "MAX_WAITING", 4)
    got = await asyncio.gather(
        *(passwords.hash_password("sésame") for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(each, Overloaded) for each in got) == 6
    assert await passwords.hash_password("sésame")


async def test_those_who_give_up_waiting_free_their_place(settings):
    waiting = [asyncio.create_task(passwords.hash_password("sésame")) for _ in range(20)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    # With every thread held, nothing of the above can still be running.
    held = threading.Barrier(settings.PASSWORD_THREADS + 1)
    for _ in range(settings.PASSWORD_THREADS):
        passwords._pool().threads.submit(held.wait, 10)
    await asyncio.to_thread(held.wait, 10)
    assert passwords._pool().waiting == 0
