"""Dials to one place take turns, and what is given up leaves nothing behind, whichever loop runs them."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop

from parley.shared.addresses import Endpoint
from parley.shared.errors import PeerUnreachable
from parley.shared.link.link import Link
from parley.shared.link.session import Timeouts
from parley.shared.peering import connector
from parley.shared.peering.connector import DIALS, dial

each_loop = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


class Owner:
    def __init__(self):
        self.closed = 0

    def link_closed(self, _link, _closed):
        self.closed += 1


class Place(asyncio.Protocol):
    """Accepts connections, and says nothing."""

    connections: list[asyncio.Transport]
    came: asyncio.Event

    def connection_made(self, transport):
        self.connections.append(transport)
        self.came.set()


@asynccontextmanager
async def silent_place():
    kind = type("Silent", (Place,), {"connections": [], "came": asyncio.Event()})
    server = await asyncio.get_running_loop().create_server(kind, "127.0.0.1", 0)
    try:
        yield kind, Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        for transport in kind.connections:
            transport.abort()
        server.close()


def link_of(owner, kind=Link):
    return kind(owner, timeouts=Timeouts(60.0, 60.0), limit=1000, hello=b"PING 0 \n")


def run(story, new_loop):
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story())


@each_loop
def test_so_many_dials_to_a_place_are_under_way_and_the_next_begins_when_one_is_over(new_loop):
    async def story():
        owner = Owner()
        async with silent_place() as (place, endpoint), asyncio.timeout(30.0):
            dials = [
                asyncio.create_task(dial(lambda: link_of(owner), endpoint, local_host="127.0.0.1", timeout=30.0))
                for _ in range(DIALS + 3)
            ]
            for ended in range(4):
                while len(place.connections) < DIALS + ended:
                    place.came.clear()
                    await place.came.wait()
                for _ in range(20):
                    await asyncio.sleep(0)
                assert len(place.connections) == DIALS + ended
                place.connections[ended].close()
            for each in dials:
                each.cancel()
            assert all(
                isinstance(end, BaseException) for end in await asyncio.gather(*dials, return_exceptions=True)
            )
        assert not connector._turns[asyncio.get_running_loop()]

    run(story, new_loop)


@each_loop
def test_a_dial_that_is_cancelled_as_it_connects_leaves_no_link(new_loop):
    """The loop closes such a connection without a word to its protocol: the link's timers would act on it later."""

    async def story():
        owner = Owner()

        class Cancelled(Link):
            def connection_made(self, transport):
                super().connection_made(transport)
                task.cancel()

        links = []

        def make():
            links.append(link_of(owner, Cancelled))
            return links[0]

        async with silent_place() as (_place, endpoint), asyncio.timeout(30.0):
            task = asyncio.create_task(dial(make, endpoint, local_host="127.0.0.1", timeout=30.0))
            with suppress(asyncio.CancelledError, PeerUnreachable):
                await task
            assert task.cancelled()
            await links[0].closed
        assert owner.closed == 1
        assert links[0]._timer._handle is None

    run(story, new_loop)
