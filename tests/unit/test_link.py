"""A link's room: what one turn of the loop may queue, and who is told when there is room again."""

import asyncio

import pytest

from parley.shared.errors import PeerUnreachable
from parley.shared.link.backlog import ANSWERS
from parley.shared.link.io import SEND_LIMIT, TURN
from parley.shared.link.link import BUFFER_LIMIT, Link
from parley.shared.link.session import Timeouts
from parley.shared.wire.messages import decode, encode, pb

CONNECT = encode("CONNECT_CLIENT", pb.ConnectClient(user=pb.User(userId="ann", serverId="alpha")))


class Owner:
    """Lets everybody in, and keeps what it is told."""

    def __init__(self):
        self.writable_again = 0
        self.closed = None
        self.frames = []

    def messages_received(self, _link, frames):
        self.frames += frames

    def connect_requested(self, link, _identity):
        link.accept()

    def link_opened(self, link):
        pass

    def link_writable(self, _link):
        self.writable_again += 1

    def link_closed(self, _link, closed):
        self.closed = closed


class Transport(asyncio.Transport):
    """A connection whose other side reads nothing."""

    def __init__(self):
        super().__init__()
        self.buffered = 0
        self.writes = []
        self.is_reading = True

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True

    def write(self, data):
        self.buffered += len(data)
        self.writes.append(len(data))

    def get_write_buffer_size(self):
        return self.buffered

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def is_closing(self):
        return False

    def close(self):
        pass

    def abort(self):
        pass


def opened(owner=None, connect=CONNECT):
    """An open link over such a connection."""
    owner, transport = owner or Owner(), Transport()
    link = Link(owner, timeouts=Timeouts(10.0, 300.0), limit=1000)
    link.connection_made(transport)
    link.data_received(connect)
    return owner, transport, link


async def turn():
    """One turn of the loop."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


def run(coroutine):
    with asyncio.Runner() as runner:
        return runner.run(coroutine)


def test_what_one_turn_queues_counts_before_it_is_written():
    async def story():
        owner, transport, link = opened()
        await turn()
        link.send(b"x" * (SEND_LIMIT - 1))
        assert link.writable
        link.send(b"x")
        assert not link.writable
        assert len(transport.writes) == 1  # CONNECTED, so far
        await turn()
        assert transport.writes[1:] == [SEND_LIMIT]
        assert link.writable
        assert owner.writable_again == 1
        link.connection_lost(None)

    run(story())


def test_a_full_buffer_is_not_writable_until_it_was_read():
    async def story():
        owner, _transport, link = opened()
        link.pause_writing()
        link.send(b"x" * SEND_LIMIT)
        await turn()
        assert not link.writable
        assert owner.writable_again == 0
        link.resume_writing()
        assert link.writable
        assert owner.writable_again == 1
        link.connection_lost(None)

    run(story())


def test_a_side_that_goes_on_sending_and_never_reads_the_answers_is_given_up():
    async def story():
        owner, _transport, link = opened()
        link.pause_writing()
        link.send(b"x" * (BUFFER_LIMIT + 1))
        await turn()
        assert owner.closed is not None
        assert owner.closed.reason == "timeout"
        link.connection_lost(None)

    run(story())


def test_a_link_that_brings_much_is_handled_a_turn_at_a_time_in_order():
    async def story():
        owner, transport, link = opened()
        data = b"".join(encode("MESSAGE", pb.ChatMessage(messageSnowflake=n)) for n in range(1, 40_001))
        link.data_received(data)
        first = len(owner.frames)
        assert 0 < first <= TURN // 12
        assert not transport.is_reading
        link.data_received(encode("MESSAGE", pb.ChatMessage(messageSnowflake=40_001)))
        assert len(owner.frames) == first
        while not transport.is_reading:
            await turn()
        numbers = [decode(frame, pb.ChatMessage).messageSnowflake for frame in owner.frames]
        assert numbers == list(range(1, 40_002))

    asyncio.run(story())


def test_what_waits_for_its_turn_is_not_lost_with_the_connection():
    async def story():
        owner, _transport, link = opened()
        link.data_received(encode("MESSAGE", pb.ChatMessage(messageSnowflake=1)) * 20_000)
        link.connection_lost(None)
        assert len(owner.frames) < 20_000  # nor does it keep others waiting
        assert owner.closed is None
        while owner.closed is None:
            await turn()
        assert len(owner.frames) == 20_000

    asyncio.run(story())


class Slow(Owner):
    """An owner for whom each message is a turn's work."""

    def messages_received(self, link, frames):
        self.frames.append(frames[0])
        link._turn.produced = 1 << 40
        assert link.had_its_turn
        return 1


@pytest.mark.parametrize("data", [b"", encode("PING")], ids=["messages", "with a ping among them"])
def test_what_its_turn_does_not_allow_waits_and_comes_in_order(data):
    async def story():
        owner, transport, link = opened(Slow())
        messages = [encode("MESSAGE", pb.ChatMessage(messageSnowflake=n)) for n in range(1, 601)]
        link.data_received(b"".join([*messages[:200], data, *messages[200:400]]))
        assert len(owner.frames) == 1
        assert not transport.is_reading
        link.data_received(b"".join(messages[400:]))
        assert len(owner.frames) == 1
        while not transport.is_reading:
            await turn()
        assert [decode(frame, pb.ChatMessage).messageSnowflake for frame in owner.frames] == list(range(1, 601))
        assert link.frames_received == 600
        link.connection_lost(None)

    asyncio.run(story())


def test_a_link_with_little_does_not_wait_for_one_with_much():
    async def story():
        _, _, busy = opened(Slow())
        owner, _, honest = opened()
        busy.data_received(encode("MESSAGE") * 5000)
        await turn()
        honest.data_received(encode("MESSAGE"))
        await turn()
        await turn()
        assert len(owner.frames) == 1
        assert busy._has_backlog
        for link in (busy, honest):
            link.connection_lost(None)

    asyncio.run(story())


def test_who_asks_and_does_not_read_is_not_listened_to_until_they_do():
    async def story():
        owner, transport, link = opened()
        link.pause_writing()
        asked, before = 0, transport.buffered
        while not link._is_full:
            link.data_received(encode("PING") * 1000)
            asked += 1000
            await turn()
        answered = transport.buffered - before
        assert ANSWERS <= answered < 2 * ANSWERS
        link.data_received(encode("PING") * 1000 + encode("MESSAGE"))
        await turn()
        assert (transport.buffered - before, owner.frames, transport.is_reading) == (answered, [], False)
        link.resume_writing()
        while not owner.frames:
            await turn()
        assert transport.buffered - before == (asked + 1000) * len(encode("PONG"))
        assert transport.is_reading
        link.connection_lost(None)

    asyncio.run(story())


def test_a_server_is_listened_to_however_full_its_buffer_is():
    async def story():
        owner, _, link = opened(connect=encode("CONNECT_SERVER", pb.ConnectServer(serverId="beta")))
        link.pause_writing()
        for _ in range(200):
            link.data_received(encode("PING") * 1000)
            while link._has_backlog:
                await turn()
        link.data_received(encode("MESSAGE"))
        assert owner.frames
        link.connection_lost(None)

    asyncio.run(story())


def test_a_link_that_rests_is_read_again_after_that():
    async def story():
        owner, transport, link = opened()
        link.rest(0.001)
        link.data_received(encode("MESSAGE"))
        assert (owner.frames, transport.is_reading) == ([], False)
        while not owner.frames:
            await turn()
        assert transport.is_reading
        link.connection_lost(None)

    asyncio.run(story())


# Who waits ------------------------------------------------------------------------------------------


def dialled():
    return Link(Owner(), timeouts=Timeouts(10.0, 300.0), limit=1000, hello=encode("CONNECT_SERVER"))


def test_who_waits_for_a_handshake_or_an_end_hears_of_it_whenever_it_begins_to_wait():
    async def wait():
        link = dialled()
        early = [asyncio.ensure_future(link.wait_open()), link.closed, link.disconnected]
        link.connection_made(Transport())
        await asyncio.sleep(0)
        assert not any(each.done() for each in early)
        link.data_received(encode("CONNECTED", pb.ConnectResponse(result=pb.ConnectResponse.CONNECTED)))
        await early[0]
        await link.wait_open()
        link.data_received(encode("HANGUP", pb.HangUp(reason=pb.HangUp.EXIT)))
        assert (await early[1]).reason == (await link.closed).reason == link.end.reason == "exit"
        assert not link.disconnected.done()
        link.connection_lost(None)
        await early[2]
        await link.disconnected
        await link.wait_open()

    asyncio.run(wait())


@pytest.mark.parametrize("begins", ["before", "after"])
def test_who_waits_for_a_handshake_that_does_not_come_learns_why(begins):
    async def wait():
        link = dialled()
        link.connection_made(Transport())
        waits = [asyncio.ensure_future(link.wait_open())] if begins == "before" else []
        await asyncio.sleep(0)
        link.connection_lost(None)
        for each in (*waits, link.wait_open()):
            with pytest.raises(PeerUnreachable, match="lost"):
                await each

    asyncio.run(wait())


def test_nobody_has_to_wait_for_a_link_that_fails():
    async def wait():
        link = dialled()
        link.connection_made(Transport())
        link.connection_lost(None)
        return link.end.reason

    assert asyncio.run(wait()) == "lost"
