"""One timer, brought forward and never moved back, on both loops: uvloop has plain handles for what is past."""

import asyncio

import pytest
import uvloop

from shared.timer import Timer


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request):
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


async def fired(*dues):
    """When a timer set to these times (seconds from now) fires: how often, and whether not before the first."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    count = 0

    def fire():
        nonlocal count
        count += 1
        if not done.done():
            done.set_result(loop.time())

    timer = Timer(fire)
    now = loop.time()
    for due in dues:
        timer.set(None if due is None else now + due)
    at = await done
    return count, at - now


def test_a_time_that_has_passed_can_be_set_again_and_again(runner):
    count, _ = runner.run(fired(-1.0, -2.0, -0.5, 0.0))
    assert count == 1


def test_the_earliest_time_counts_in_whatever_order(runner):
    count, after = runner.run(fired(0.05, None, 0.01, 0.2))
    assert count == 1
    assert 0.009 <= after < 0.05


def test_a_cancelled_timer_does_not_fire(runner):
    async def cancelled():
        loop = asyncio.get_running_loop()
        fired = []
        timer = Timer(lambda: fired.append(1))
        timer.set(loop.time() - 1)
        timer.cancel()
        later = loop.create_future()
        loop.call_later(0.01, later.set_result, None)
        await later
        return fired

    assert runner.run(cancelled()) == []
