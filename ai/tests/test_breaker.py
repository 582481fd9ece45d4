import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.base import Declined, ModelMissing, QuotaExhausted, RateLimited, ServerFault
from ai.breaker import Breaker, Closed, Gate, RetryBudget, Window


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(failures=3, cooldown=20, clock=clock)


def fail(breaker, error=None):
    breaker.ask().failed(error or ServerFault())


def opened(breaker):
    for _ in range(3):
        fail(breaker)
    return breaker


def test_it_opens_after_failures_in_a_row(breaker):
    fail(breaker)
    fail(breaker)
    breaker.ask().succeeded()
    fail(breaker)
    fail(breaker)
    assert breaker.state() == "ok"
    fail(breaker)
    assert (breaker.state(), breaker.ask()) == ("open", None)


def test_our_own_mistakes_do_not_count(breaker):
    for _ in range(10):
        fail(breaker, Declined())
    assert breaker.state() == "ok"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(QuotaExhausted(), 600), (ModelMissing(), 60), (RateLimited(retry_after=7), 7)],
)
def test_some_errors_open_it_at_once_for_their_own_time(breaker, error, seconds):
    fail(breaker, error)
    assert breaker.retry_after == seconds


def test_half_open_lets_one_probe_through(breaker, clock):
    opened(breaker)
    clock.now = 25
    assert breaker.state() == "half_open"
    probes = [breaker.ask() for _ in range(20)]
    assert sum(probe is not None for probe in probes) == 1


def test_a_probe_that_succeeds_closes_it(breaker, clock):
    opened(breaker)
    clock.now = 25
    breaker.ask().succeeded()
    assert (breaker.state(), breaker.last_error) == ("ok", None)


def test_a_probe_that_fails_opens_it_again(breaker, clock):
    opened(breaker)
    clock.now = 25
    fail(breaker)
    assert breaker.state() == "open"
    assert breaker.retry_after >= 16


def test_a_probe_whose_client_left_leaves_room_for_the_next(breaker, clock):
    opened(breaker)
    clock.now = 25
    breaker.ask().returned()
    assert breaker.ask() is not None


def test_late_failures_do_not_keep_it_open_for_longer(breaker, clock):
    permits = [breaker.ask() for _ in range(30)]
    for permit in permits[:3]:
        permit.failed(ServerFault())
    until = breaker.retry_after
    clock.now = 5
    for permit in permits[3:]:
        permit.failed(ServerFault())
    assert breaker.retry_after == pytest.approx(until - 5)


@given(st.lists(st.sampled_from(["ok", "fail", "quota", "leave", "wait"]), max_size=60))
def test_at_most_one_probe_is_under_way_whatever_happens(steps):
    clock = Clock()
    breaker = Breaker(failures=2, cooldown=10, clock=clock)
    for step in steps:
        if step == "wait":
            clock.now += 7
            continue
        was_open = breaker.open
        permit, second = breaker.ask(), breaker.ask()
        if was_open:
            assert second is None
        for one in filter(None, (permit, second)):
            if step == "leave":
                one.returned()
            elif step == "ok":
                one.succeeded()
            else:
                one.failed(QuotaExhausted() if step == "quota" else ServerFault())
    clock.now += 10_000
    assert breaker.ask() is not None


async def test_a_window_grows_with_answers_and_shrinks_with_a_failure():
    window = Window(start=2, most=10)
    places = [await window.enter(1) for _ in range(2)]
    with pytest.raises(TimeoutError):
        await window.enter(0.01)
    window.grow()
    places.append(await window.enter(0.01))
    for place in places:
        place.answered()
    assert (window.under_way, window.unanswered) == (3, 0)
    for place in places:
        place.leave()
    assert (window.under_way, window.unanswered) == (0, 0)
    window.shrink()
    places = [await window.enter(0.01) for _ in range(2)]
    with pytest.raises(TimeoutError):
        await window.enter(0.01)


async def test_a_window_bounds_all_calls_answered_or_not():
    window = Window(start=2, most=2)
    for _ in range(2):
        (await window.enter(0.01)).answered()
    with pytest.raises(TimeoutError):
        await window.enter(0.01)


async def test_those_who_stop_waiting_leave_no_hole():
    window = Window(start=1, most=5)
    place = await window.enter(1)
    waiting = [asyncio.create_task(window.enter(5)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    place.leave()
    second = await waiting[1]
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    second.leave()
    (await window.enter(0.01)).leave()
    assert (window.under_way, window.unanswered) == (0, 0)


async def test_a_place_won_in_the_moment_of_leaving_is_given_back():
    window = Window(start=1, most=5)
    place = await window.enter(1)
    waiting = asyncio.create_task(window.enter(5))
    await asyncio.sleep(0)
    place.leave()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (window.under_way, window.unanswered) == (0, 0)


async def test_a_gate_is_closed_to_those_who_waited_while_it_broke(breaker):
    gate = Gate(breaker, Window(start=1, most=5))

    async def call():
        async with gate.call(5) as one:
            await asyncio.sleep(0)
            one.failed(ServerFault())

    ended = await asyncio.gather(*[call() for _ in range(10)], return_exceptions=True)
    assert sum(isinstance(end, Closed) for end in ended) == 7


def test_retries_are_a_tenth_of_calls():
    budget = RetryBudget()
    spent = 0
    for _ in range(100):
        budget.earn()
        spent += budget.spend()
    assert 10 <= spent <= 11
