"""No exception ends a loop, a timer, a pace or a connector; what fails is told once, until it is well again."""

import asyncio

import pytest

from parley.shared.addresses import Endpoint
from parley.shared.errors import PeerUnreachable
from parley.shared.peering.connector import Connector, resolve
from parley.shared.runtime.backoff import Backoff
from parley.shared.runtime.supervised import (
    MOST,
    Faults,
    SupervisedThrottle,
    SupervisedTimer,
    catch_strays,
    forever,
)
from tests.support.simulated import SimulatedLoop


class Log:
    def __init__(self):
        self.told = []

    def error(self, event, **fields):
        self.told.append((event, fields.get("what", fields.get("where"))))

    def info(self, event, **fields):
        self.told.append((event, fields["what"]))


class Fails:
    """Something that fails so many times."""

    def __init__(self, times, error=None):
        self.left = times
        self.calls = 0
        self.error = error or OSError(24, "Too many open files")

    def __call__(self):
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error


@pytest.fixture
def loop():
    it = SimulatedLoop()
    yield it
    it.close()


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def faults(log):
    return Faults(lambda: log)


def test_a_loop_that_fails_goes_on_and_is_told_once(loop, log, faults):
    work = Fails(3)

    async def step():
        work()
        await asyncio.sleep(1.0)

    task = loop.create_task(forever("asking", step, faults))
    loop.run_for(0.1)
    assert faults.reasons == ["asking fails: OSError: [Errno 24] Too many open files"]
    loop.run_for(60.0)
    assert faults.reasons == []
    assert log.told == [("loop_failed", "asking"), ("loop_well_again", "asking")]
    assert work.calls > 30
    task.cancel()
    loop.run_for(0.1)
    assert task.cancelled()


def test_a_loop_that_always_fails_does_not_spin(loop, faults):
    work = Fails(10**9, ValueError("never"))

    async def step():
        work()

    task = loop.create_task(forever("asking", step, faults))
    loop.run_for(60.0)
    assert 10 <= work.calls <= 120
    task.cancel()
    loop.run_for(0.1)


def test_a_timer_that_fails_fires_again(loop, log, faults):
    work = Fails(2)

    async def set_it():
        SupervisedTimer("expiring", work, faults).set(loop.time() + 1.0)

    loop.run(set_it())
    loop.run_for(1.5)
    assert (work.calls, len(faults.reasons)) == (1, 1)
    loop.run_for(10.0)
    assert (work.calls, faults.reasons) == (3, [])
    assert [event for event, _ in log.told] == ["loop_failed", "loop_well_again"]


def test_a_pace_that_fails_does_it_again(loop, faults):
    work = Fails(2)

    async def ask():
        SupervisedThrottle("telling", 0.05, work, faults).ask()

    loop.run(ask())
    loop.run_for(1.0)
    assert (work.calls, faults.reasons) == (3, [])


def test_a_connector_survives_what_finding_its_places_raises(loop, faults):
    work = Fails(3, RuntimeError("no table"))

    async def find_endpoints():
        work()
        return ()

    async def start():
        connector = Connector(
            find_endpoints=find_endpoints,
            make_link=lambda _endpoint: pytest.fail("there is no place"),
            backoff=Backoff(0.2, 1.0),
            local_host="",
            dial_timeout=1.0,
            what="dialling 'beta'",
            faults=faults,
        )
        connector.start()
        return connector

    connector = loop.run(start())
    loop.run_for(0.1)
    assert faults.reasons == ["dialling 'beta' fails: RuntimeError: no table"]
    loop.run_for(30.0)
    assert work.calls > 10
    assert faults.reasons == []
    loop.run(connector.stop())


def test_a_connector_that_is_stopped_fails_no_more(loop, faults):
    async def find_endpoints():
        raise RuntimeError("no table")

    async def start_and_stop():
        connector = Connector(
            find_endpoints=find_endpoints,
            make_link=lambda _endpoint: pytest.fail("there is no place"),
            backoff=Backoff(0.2, 1.0),
            local_host="",
            dial_timeout=1.0,
            faults=faults,
        )
        connector.start()
        await asyncio.sleep(1.0)
        assert faults.reasons
        await connector.stop()

    loop.run(start_and_stop())
    assert faults.reasons == []


def test_faults_without_end_are_bounded(faults):
    for number in range(3 * MOST):
        faults.failed(f"dialling {number}", OSError("no"))
    assert len(faults.reasons) == MOST


def test_what_nobody_caught_is_counted_and_told_once_a_minute(loop, log):
    count = 0

    def counted():
        nonlocal count
        count += 1

    faults = Faults(lambda: log, counted)
    catch_strays(loop, faults)
    for _ in range(100):
        loop.call_exception_handler({"message": "a callback failed", "exception": KeyError("x")})
        loop.run_for(1.0)
    assert count == 100
    assert log.told == [("callback_failed", "a callback failed")] * 2
    assert faults.reasons == []


NO_NAMES = ["ship..example", ".example", "a" * 64 + ".example", "x" * 300, "nul\0byte"]


@pytest.mark.parametrize("host", NO_NAMES, ids=["two dots", "a leading dot", "a long label", "too long", "NUL"])
def test_what_can_be_no_name_is_a_place_that_cannot_be_reached(host):
    with pytest.raises(PeerUnreachable, match="no name that can be resolved"):
        asyncio.run(resolve(host, 9999))


def test_an_address_is_resolved_to_itself():
    assert asyncio.run(resolve("127.0.0.1", 9)) == [Endpoint("127.0.0.1", 9)]


@pytest.mark.parametrize("may_be_bug", [True, False])
def test_only_what_may_be_a_bug_is_logged_with_where_it_happened(may_be_bug):
    told = []

    class Fields(Log):
        def error(self, event, **fields):
            told.append((event, fields))

    error = OSError(28, "No space left on device")
    Faults(Fields).failed("keeping it", error, may_be_bug=may_be_bug)
    [(event, fields)] = told
    assert event == "loop_failed"
    assert fields.get("exc_info") == (error if may_be_bug else None)
    assert fields.get("error", "").endswith("No space left on device") is not may_be_bug
