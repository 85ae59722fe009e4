"""Names are looked up beside everything else: what a dead name server does is done to nobody."""

import asyncio
import socket
import threading

import pytest

from parley.shared.discovery import name_lookups as module
from parley.shared.discovery.name_lookups import AGAIN, PAUSE_FACTOR, SELDOM, Lookups


class Resolver:
    """Stands for the system's: answers what it is told to, when it is told to."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.released = threading.Event()
        self.released.set()

    def __call__(self, host, port, **_):
        assert threading.current_thread() is not threading.main_thread(), "everything else would wait"
        self.asked.append(host)
        self.released.wait(10)
        answer = self.answers.get(host)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (address, port)) for address in answer]


@pytest.fixture
def resolver(monkeypatch):
    it = Resolver()
    monkeypatch.setattr(module.socket, "getaddrinfo", it)
    yield it
    it.released.set()


def story(doing):
    """Run it with a list of what was found."""

    async def run():
        found = []
        came = asyncio.Event()

        def note(addresses):
            found.extend(addresses)
            came.set()

        await doing(found, came, note)

    asyncio.run(run())


async def looked_up(lookups, name=0):
    """Until the look-up of the first name has ended."""
    while lookups._names[name].running:  # noqa: ASYNC110 - it is a thread that ends
        await asyncio.sleep(0.001)


def test_an_address_is_known_at_once_and_never_looked_up(resolver):
    async def doing(found, _came, note):
        lookups = Lookups(["192.0.2.1", "192.0.2.2:7"], 9999, note)
        assert lookups.addresses == [("192.0.2.1", 9999), ("192.0.2.2", 7)]
        assert lookups.hosts == {"192.0.2.1", "192.0.2.2"}
        lookups.refresh()
        assert (resolver.asked, found) == ([], [])

    story(doing)


def test_nobody_waits_for_a_name_server_that_does_not_answer(resolver):
    resolver.answers = {"ship.example": ["192.0.2.9"]}
    resolver.released.clear()

    async def doing(found, came, note):
        lookups = Lookups(["ship.example", "192.0.2.1"], 9999, note)
        for _ in range(5):
            lookups.refresh()
        assert lookups.addresses == [("192.0.2.1", 9999)]
        resolver.released.set()
        await came.wait()
        assert found == [("192.0.2.9", 9999)]
        assert lookups.addresses == [("192.0.2.9", 9999), ("192.0.2.1", 9999)]
        assert resolver.asked == ["ship.example"], "one look-up of a name at a time"

    story(doing)


def test_a_loop_that_ends_waits_for_no_look_up(resolver):
    resolver.released.clear()

    async def doing(_found, _came, note):
        Lookups(["ship.example"], 9999, note).refresh()

    story(doing)
    assert not resolver.released.is_set()


def test_what_was_found_is_used_until_something_else_is_found(resolver):
    resolver.answers = {"ship.example": ["192.0.2.9"]}

    async def doing(found, _came, note):
        lookups = Lookups(["ship.example"], 9999, note)
        lookups.refresh()
        await looked_up(lookups)
        resolver.answers = {}
        lookups._names[0].due = 0.0
        lookups.refresh()
        await looked_up(lookups)
        assert lookups.addresses == [("192.0.2.9", 9999)]
        assert lookups.errors == {}
        resolver.answers = {"ship.example": ["192.0.2.10"]}
        lookups._names[0].due = 0.0
        lookups.refresh()
        await looked_up(lookups)
        assert lookups.addresses == [("192.0.2.10", 9999)]
        assert found == [("192.0.2.9", 9999), ("192.0.2.10", 9999)]

    story(doing)


@pytest.mark.parametrize(
    "fault", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long"), OSError(24, "no")]
)
def test_a_name_that_stands_for_nothing_is_told_and_looked_up_again(resolver, fault):
    resolver.answers = {"ship.example": fault}

    async def doing(found, _came, note):
        lookups = Lookups(["ship.example"], 9999, note)
        lookups.refresh()
        await looked_up(lookups)
        assert (list(lookups.errors), found) == (["ship.example"], [])
        lookups.refresh()
        assert len(resolver.asked) == 1, "not before it is due"
        lookups._names[0].due = 0.0
        lookups.refresh()
        await looked_up(lookups)
        assert len(resolver.asked) == 2

    story(doing)


@pytest.mark.parametrize(("took", "pause"), [(0.0, AGAIN), (2.0, 2 * PAUSE_FACTOR), (30.0, SELDOM)])
def test_a_look_up_that_took_long_is_repeated_the_more_seldom(took, pause):
    async def run():
        lookups = Lookups(["ship.example"], 9999)
        now = asyncio.get_running_loop().time()
        lookups._looked_up(lookups._names[0], (), "no", took)
        assert lookups._names[0].due - now == pytest.approx(pause, abs=0.1)

    asyncio.run(run())


def test_after_its_end_nothing_is_heard(resolver):
    resolver.answers = {"ship.example": ["192.0.2.9"]}

    async def doing(found, _came, note):
        lookups = Lookups(["ship.example"], 9999, note)
        lookups.close()
        lookups._looked_up(lookups._names[0], ("192.0.2.9",), "", 0.0)
        assert found == []

    story(doing)
