"""One timer, brought forward and never moved back, on both loops: uvloop has plain handles for what is past."""

import asyncio
import gc
import weakref

import pytest
import uvloop

from parley.shared.runtime.timer import FIRED_BATCH, Timer


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


# The distant future ------------------------------------------------------------------------------------


class Ahead(asyncio.SelectorEventLoop):
    """A loop whose clock is ahead by as much as a test says."""

    ahead = 0.0

    def time(self):
        return super().time() + self.ahead


@pytest.fixture
def far():
    with asyncio.Runner(loop_factory=Ahead) as runner:
        yield runner


async def turns(count=1):
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_is_due_in_the_distant_future_fires_then_and_not_before(far):
    async def wait():
        loop, fired = asyncio.get_running_loop(), []
        begun = loop.time()
        timer = Timer(lambda: fired.append(loop.time() - begun))
        timer.set(begun + 300.0)
        loop.ahead = 299.5
        await turns(3)
        assert fired == []
        loop.ahead = 301.0
        await turns(3)
        return fired

    (after,) = far.run(wait())
    assert after >= 300.0


def test_a_distant_time_is_brought_forward_and_a_cancelled_one_does_not_fire(far):
    async def wait():
        loop, fired = asyncio.get_running_loop(), []
        sooner, never = Timer(lambda: fired.append("sooner")), Timer(lambda: fired.append("never"))
        for timer in (sooner, never):
            timer.set(loop.time() + 300.0)
        sooner.set(loop.time() - 1.0)
        never.cancel()
        await turns(3)
        before = list(fired)
        loop.ahead = 400.0
        await turns(3)
        return before, fired

    assert far.run(wait()) == (["sooner"], ["sooner"])


def test_those_of_one_second_fire_some_in_each_turn_of_the_loop(far):
    async def wait():
        loop, fired, seen = asyncio.get_running_loop(), [], []
        due = loop.time() + 300.0
        timers = [Timer(lambda number=number: fired.append(number)) for number in range(2 * FIRED_BATCH + 1)]
        for timer in timers:
            timer.set(due)
        loop.ahead = 301.0
        while len(fired) < len(timers):
            await turns()
            seen.append(len(fired))
        return sorted(fired), sorted(set(seen) - {0})

    assert far.run(wait()) == (
        list(range(2 * FIRED_BATCH + 1)),
        [FIRED_BATCH, 2 * FIRED_BATCH, 2 * FIRED_BATCH + 1],
    )


def test_an_error_in_one_holds_up_no_other_and_one_may_cancel_the_others(far):
    async def wait():
        loop, fired, errors = asyncio.get_running_loop(), [], []
        loop.set_exception_handler(lambda _loop, context: errors.append(context["exception"]))
        due = loop.time() + 300.0
        several = [Timer(lambda: fired.append("fired")), Timer(lambda: 1 / 0), Timer(lambda: fired.append("fired"))]
        rivals: list[Timer] = []

        def first():
            fired.append("first")
            for rival in rivals:
                rival.cancel()

        rivals += [Timer(first), Timer(first)]
        for timer in (*several, *rivals):
            timer.set(due)
        loop.ahead = 301.0
        await turns(6)
        return sorted(fired), [type(error) for error in errors]

    assert far.run(wait()) == (["fired", "fired", "first"], [ZeroDivisionError])


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_can_go_that_had_something_due(factory):
    async def wait():
        Timer(print).set(asyncio.get_running_loop().time() + 300.0)

    loop = factory()
    loop.run_until_complete(wait())
    loop.close()
    there = weakref.ref(loop)
    del loop
    gc.collect()
    assert there() is None
