"""A client's feature joined to a home server in memory: real links and sessions on both ends, no socket.

async with at_home(ChatFeature("alice@alpha", Config())) as home:
home.feature.send("bob@beta", "hi")
await home.turns()
home.taken("MESSAGE", pb.ChatMessage)
"""

import asyncio
from contextlib import asynccontextmanager

from parley.shared.addresses import Endpoint
from parley.shared.link.io import SEND_LIMIT
from parley.shared.link.link import Link
from parley.shared.link.session import Timeouts
from parley.shared.trust.assurance import ENCRYPTED
from parley.shared.wire.messages import decode, encode

TIMEOUTS = Timeouts(10.0, 300.0)


class Wire(asyncio.Transport):
    """One end of a connection: what is written is read at the other end in the next turn of the loop."""

    def __init__(self, link):
        super().__init__()
        self.link = link
        self.other = None
        self.held = None
        """What was written while the other side does not read; None: it reads."""
        self.most_buffered = 0
        self._closing = False

    def write(self, data):
        if self.held is None:
            asyncio.get_running_loop().call_soon(self._carry, data)
            return
        self.held.append(data)
        self.most_buffered = max(self.most_buffered, self.get_write_buffer_size())
        if self.get_write_buffer_size() > SEND_LIMIT:
            self.link.pause_writing()

    def _carry(self, data):
        """As a real transport, it is over when what reads from it raises."""
        if self.other._closing:
            return
        try:
            self.other.link.data_received(data)
        except Exception:
            self.close()
            raise

    def read_on(self, *, still_slow=False):
        """The other side reads all that was written; `still_slow`: and then stops again."""
        held, self.held = self.held, [] if still_slow else None
        for data in held:
            self._carry(data)
        self.link.resume_writing()

    def get_write_buffer_size(self):
        return sum(map(len, self.held or ()))

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def pause_reading(self):
        """What is written meanwhile comes all the same: a link has to bear that, too."""

    def resume_reading(self):
        pass

    def is_closing(self):
        return self._closing

    def close(self):
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self.link.connection_lost, None)
            asyncio.get_running_loop().call_soon(self.other.close)

    abort = close


class Home:
    """The server's end: it lets the client in, keeps what comes, and answers what a test tells it to."""

    def __init__(self, feature, *, has_abilities=False, is_parley=True):
        """`has_abilities`: it announces all the abilities of a Parley, and its links count as encrypted."""
        self.feature = feature
        self.is_parley = is_parley
        self.has_abilities = has_abilities
        self.frames = []
        self.links = 0

    def dialled(self, *, slow=False):
        """The client gets a new link; `slow`: the server reads nothing of what comes after the handshake."""
        theirs = self.feature._make_link(Endpoint("127.0.0.1", 1))
        ours = Link(self, timeouts=TIMEOUTS, limit=1 << 26)
        self.link, self.wire = ours, Wire(theirs)
        self.wire.other, back = Wire(ours), self.wire
        self.wire.other.other = back
        self.slow = slow
        self.links += 1
        ours.connection_made(self.wire.other)
        theirs.connection_made(self.wire)
        if self.has_abilities:
            ours.assurance = theirs.assurance = ENCRYPTED

    async def connect(self, **how):
        self.dialled(**how)
        await self.turns()
        assert self.feature.is_connected

    async def cut(self):
        """The connection breaks without a word."""
        self.wire.close()
        await self.turns()
        assert not self.feature.is_connected

    async def turns(self, count=20):
        """Everything that is on its way arrives, and what that sets off, too."""
        for _ in range(count):
            done = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(done.set_result, None)
            await done

    async def tell(self, name, payload):
        """Send the client a message."""
        self.link.send(encode(name, payload))
        await self.turns()

    def taken(self, name, kind):
        """The payloads of this name that came since the last time; those of other names stay."""
        found = [decode(frame, kind) for frame in self.frames if frame.name == name]
        self.frames = [frame for frame in self.frames if frame.name != name]
        return found

    # LinkOwner

    def connect_requested(self, link, _identity):
        if self.slow:
            self.wire.held = []
        instance_id = "the home server's" if self.is_parley else ""
        if self.has_abilities:
            link.accept(instance_id=instance_id)
        else:
            link.session.accept(instance_id=instance_id)

    def link_opened(self, link):
        pass

    def messages_received(self, _link, frames):
        self.frames += frames

    def message_rejected(self, _link, _reason, _detail):
        pass

    def link_writable(self, link):
        pass

    def link_closed(self, link, closed):
        pass


@asynccontextmanager
async def at_home(feature, *, is_parley=True, has_abilities=False, **how):
    """A feature that is connected to a home server."""
    home = Home(feature, is_parley=is_parley, has_abilities=has_abilities)
    await home.connect(**how)
    try:
        yield home
    finally:
        if feature.is_connected:
            await home.cut()


def run(coroutine):
    with asyncio.Runner() as runner:
        return runner.run(coroutine)
