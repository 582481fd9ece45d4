import asyncio

import pytest

from carehelp.watch import Watch


@pytest.mark.alone
async def test_a_watch_cancels_only_the_wait_that_is_late():
    loop = asyncio.get_running_loop()
    watch = Watch(0.4, loop.time() + 10)
    with watch:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.9)
    with watch:
        await asyncio.sleep(0.02)
    with pytest.raises(TimeoutError), watch:
        await asyncio.sleep(5)
    assert asyncio.current_task().cancelling() == 0
    watch.end()


async def test_a_watch_lets_anothers_cancelling_through():
    watch = Watch(5, asyncio.get_running_loop().time() + 10)
    started = asyncio.Event()

    async def wait():
        with watch:
            started.set()
            await asyncio.sleep(5)

    task = asyncio.create_task(wait())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    watch.end()


async def test_a_watch_knows_when_all_time_is_spent():
    watch = Watch(5, asyncio.get_running_loop().time() - 1)
    with pytest.raises(TimeoutError), watch:
        raise AssertionError("the wait began")
    watch.end()
