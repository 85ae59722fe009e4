"""Ended links go at once: nothing of them is a cycle that waits for the collector, however they ended."""

import asyncio
import gc
import weakref
from contextlib import contextmanager

import pytest

from parley.shared.errors import MalformedMessage, PeerRefused, PeerUnreachable
from parley.shared.link.link import Link
from parley.shared.link.session import EARLY_LIMIT, Timeouts
from parley.shared.wire.messages import encode, pb
from tests.unit.test_link import CONNECT, Owner, Transport, turn

LIMIT = 2_000_000
RESULT = pb.ConnectResponse


class Strict(Owner):
    """An owner for whom each message is malformed, after it was looked at."""

    def messages_received(self, _link, frames):
        raise MalformedMessage(f"{frames[0]!r} is none")

    def message_rejected(self, _link, _reason, _detail):
        pass


class Closing(Transport):
    """A connection that is gone a turn after it was closed."""

    def __init__(self, link):
        super().__init__()
        self.link = link

    def close(self):
        if self.link is not None:
            asyncio.get_running_loop().call_soon(self.link.connection_lost, None)
            self.link = None

    abort = close


def accepted():
    return Link(Strict(), timeouts=Timeouts(10.0, 300.0), limit=LIMIT)


def dialled():
    return Link(Strict(), timeouts=Timeouts(10.0, 300.0), limit=LIMIT, hello=encode("CONNECT_SERVER"))


def fed(data):
    async def end(link):
        link.data_received(data)
        link.hang_up()

    return accepted, end


async def nothing(_link):
    pass


async def timeout(link):
    link.session.handle_timeout(link._now() + 1000)
    link._perform()


async def waited_for(link):
    """Somebody waits for the handshake and for the end, and hears of a refusal."""
    waits = asyncio.ensure_future(link.wait_open())
    closed, gone = link.closed, link.disconnected
    await turn()
    link.data_received(encode("CONNECTED", RESULT(result=RESULT.UNKNOWN_ERROR)))
    await closed
    await gone
    assert await failure(waits) is PeerRefused


async def lost_while_waiting(link):
    waits = asyncio.ensure_future(link.wait_open())
    await turn()
    link._transport.close()
    assert await failure(waits) is PeerUnreachable


async def failure(task):
    """How a task failed. Whoever awaits it would be held by its error, and hold it."""
    await asyncio.wait([task])
    return type(task.exception())


ENDINGS = {
    "no connection": (dialled, None),
    "nothing came": (accepted, nothing),
    "half a header": fed(b"CONNECT_CLI"),
    "half a payload": fed(b"A 60000 " + b"x" * 30_000),
    "a wrong terminator": fed(b"A 20 " + b"x" * 30),
    "too large": fed(b"A 9000000 "),
    "too large before it is connected": fed(b"A %d " % (EARLY_LIMIT + 1)),
    "more than a turn": fed(b"A 0 \n" * 100_000),
    "connected": fed(CONNECT),
    "half a message": fed(CONNECT + b"MESSAGE 1000000 " + b"x" * 1000),
    "a hangup": fed(CONNECT + encode("HANGUP")),
    "a payload that does not parse": fed(CONNECT + b"PONG 1 \xff\n"),
    "the owner refuses": fed(CONNECT + encode("MESSAGE")),
    "the owner refuses what came with something else": fed(CONNECT + encode("PING") + encode("MESSAGE")),
    "the handshake takes too long": (accepted, timeout),
    "a refused dial": (dialled, waited_for),
    "a dial that is lost": (dialled, lost_while_waiting),
}


@contextmanager
def no_collector():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def ended(make, end):
    """Make a link and end it; what is left of it."""
    link = make()
    left = weakref.ref(link), weakref.ref(link.session)
    if end is not None:
        transport = Closing(link)
        link.connection_made(transport)
        await end(link)
        transport.close()
    del link
    for _ in range(20):
        await turn()
    return [ref() for ref in left]


@pytest.mark.parametrize("way", ENDINGS.values(), ids=ENDINGS)
def test_an_ended_link_is_gone_without_the_collector(way):
    with no_collector():
        assert asyncio.run(ended(*way)) == [None, None]


def test_before_it_is_connected_a_side_may_send_little():
    async def story():
        for data, reason in ((b"A %d " % EARLY_LIMIT, None), (b"A %d " % (EARLY_LIMIT + 1), "too_large")):
            link = accepted()
            link.connection_made(Transport())
            link.data_received(data)
            assert (link.end and link.end.reason) == reason
            link.connection_lost(None)

    asyncio.run(story())


def test_what_is_large_and_comes_right_behind_the_connect_is_taken():
    async def story():
        owner = Owner()
        link = Link(owner, timeouts=Timeouts(10.0, 300.0), limit=LIMIT)
        link.connection_made(Transport())
        data = CONNECT + encode("MESSAGE", pb.ChatMessage(textContent="x" * 300_000))
        for at in range(0, len(data), 60_000):
            link.data_received(data[at : at + 60_000])
        while not owner.frames:
            await turn()
        assert [len(frame.payload) > EARLY_LIMIT for frame in owner.frames] == [True]
        link.connection_lost(None)

    asyncio.run(story())


class Gone(Closing):
    """A connection that uvloop has closed, and of which the link hears a turn later."""

    def write(self, _data):
        raise RuntimeError("unable to perform operation on a closed transport; the handler is closed")


def test_hanging_up_on_a_connection_that_is_gone_is_no_error():
    async def story():
        link = accepted()
        transport = Gone(link)
        link.connection_made(transport)
        link.hang_up()
        await turn()
        assert link.end is not None

    asyncio.run(story())
