"""Bytes fed to a real link of a real service or client, in memory: no socket, and no time that passes by itself."""

import asyncio
import logging
import tempfile
import time
from pathlib import Path

import structlog

from parley.shared.config import Config
from parley.shared.wire.framing import encode_frame
from parley.shared.wire.messages import REGISTRY, encode, pb

NAMES = sorted(REGISTRY)
LONGEST = 1 << 16
"""Bytes that a side sends in one input."""


class Loop(asyncio.SelectorEventLoop):
    """A loop whose clock is a number: what is due in a minute is due in the next turn, if an input says so."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0
        self.escaped = []
        self.set_exception_handler(lambda _loop, context: self.escaped.append(context))

    def time(self):
        return self.now

    def turns(self, count=8):
        """Let what is due happen; raise what escaped from it."""
        for _ in range(count):
            self.call_soon(self.stop)
            self.run_forever()
        if self.escaped:
            context = self.escaped.pop()
            raise RuntimeError(context["message"]) from context.get("exception")


class Transport(asyncio.Transport):
    """The other side reads all at once, and is heard by nobody."""

    def __init__(self, protocol, address="10.0.0.9"):
        super().__init__({"peername": (address, 40000), "sockname": ("10.0.0.1", 6666)})
        self.protocol = protocol
        self.written = 0
        self.is_over = False

    def write(self, data):
        self.written += len(data)

    def writelines(self, many):
        self.written += sum(map(len, many))

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass

    def is_closing(self):
        return self.is_over

    def close(self):
        if not self.is_over:
            self.is_over = True
            asyncio.get_event_loop_policy().get_event_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


class Reader:
    """Takes an input apart: what is left of it becomes frames, or bytes as they are."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    def take(self, count):
        part = self._data[self._at : self._at + count]
        self._at += count
        return part

    def byte(self):
        return int.from_bytes(self.take(1), "big")

    @property
    def is_over(self):
        return self._at >= len(self._data)

    def pieces(self):
        """Frames of known names with any payload, and now and then bytes that are none, or a while that passes."""
        while not self.is_over:
            kind = self.byte()
            if kind < len(NAMES):
                yield encode_frame(NAMES[kind], self.take(int.from_bytes(self.take(2), "big") % 4096))
            elif kind < 250:
                yield self.take(kind)
            else:
                yield float(kind - 249) ** 3


def feed(loop, protocol, pieces):
    """Have a link, or another protocol, read these, each in a turn of its own; then the connection is lost.

    Of the pieces, bytes are read, a number is seconds that pass, and a function is called.
    """
    transport = Transport(protocol)
    in_loop(lambda: protocol.connection_made(transport))
    came = 0
    for piece in pieces:
        if transport.is_over or came > LONGEST:
            break
        if isinstance(piece, float):
            loop.now += piece
        elif callable(piece):
            piece()
        elif piece:
            came += len(piece)
            in_loop(lambda piece=piece: protocol.data_received(piece))
        loop.turns(3)
    if not transport.is_over:
        in_loop(transport.close)
    deadline = time.monotonic() + 10.0
    while getattr(protocol, "end", True) is None and time.monotonic() < deadline:
        loop.now += 1.0  # a link that was sent too much is handled a slice at a time
        loop.turns(3)
    assert getattr(protocol, "end", True) is not None, "what a link was sent is not handled in ten seconds"
    loop.turns(3)


def be_quiet():
    """Faults of others are no news here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def in_loop(function):
    """Run something in a turn of the loop, so that it may ask which loop runs."""
    loop = asyncio.get_event_loop_policy().get_event_loop()
    outcome = []

    def call():
        try:
            outcome.append((function(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            outcome.append((None, error))

    loop.call_soon(call)
    loop.turns(1)
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def make_loop():
    loop = Loop()
    asyncio.set_event_loop(loop)
    be_quiet()
    return loop


def config(**more):
    """Of a node in a directory of its own, on no network. Whoever starts us gives us a TMPDIR, and removes it."""
    directory = tempfile.mkdtemp(prefix="parley-fuzz-")
    return Config(address="127.0.0.1", data_dir=directory, **more), Path(directory)


CLIENT = encode("CONNECT_CLIENT", pb.ConnectClient(user=pb.User(userId="ann", serverId="alpha"), udpPort=7779))
SERVER = encode(
    "CONNECT_SERVER", pb.ConnectServer(serverId="beta", features=["MESSAGES"], instanceId="an instance of beta")
)
