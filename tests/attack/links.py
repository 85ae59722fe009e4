"""An attacker's connections: many and cheap, on one epoll; each reads and throws away, or never reads."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, Self

from parley.shared.wire.framing import Frame, FrameReader
from parley.shared.wire.messages import encode
from tests.attack.frames import EXIT, PING

Place = tuple[str, int]
READ: Final = 256 * 1024
"""Bytes of one read."""
READS: Final = 4
"""Reads of one connection, before others have theirs."""
REDIAL: Final = 0.2
"""Seconds after which a connection that was ended is made again."""
ABORT: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: a close is a reset, and leaves nothing behind."""
PATIENCE: Final = 30.0
"""Seconds for one answer while an attack is prepared."""
PONG: Final = encode("PONG")
_HELD_BACK: Final = frozenset({errno.EAGAIN, errno.ENOTCONN, errno.ENOBUFS})


class Watched(Protocol):
    """A socket that is watched."""

    number: int
    """Its descriptor."""

    def ready(self, events: int) -> None:
        """The kernel has something for it, or room."""

    def end(self) -> None:
        """Close it, at once."""


class Poll:
    """Waits for all connections of an attacker."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._links: dict[int, Watched] = {}

    def add(self, link: Watched, events: int) -> None:
        """Watch one more."""
        self._links[link.number] = link
        self._epoll.register(link.number, events)

    def change(self, link: Watched, events: int) -> None:
        """Watch it for something else."""
        self._epoll.modify(link.number, events)

    def remove(self, link: Watched) -> None:
        """Watch it no more; it is about to be closed."""
        del self._links[link.number]
        self._epoll.unregister(link.number)

    def turn(self, seconds: float) -> None:
        """Wait so long at most, and serve what is ready."""
        for number, events in self._epoll.poll(seconds, 512):
            link = self._links.get(number)
            if link is not None:
                link.ready(events)

    def close(self) -> None:
        """Close every connection, at once."""
        for link in list(self._links.values()):
            link.end()
        self._epoll.close()


class Link:
    """One connection. What the kernel does not take of a block it keeps, and takes no other block meanwhile."""

    __slots__ = ("_events", "_out", "_poll", "bytes_in", "is_open", "number", "reads", "sock")

    def __init__(
        self,
        poll: Poll,
        place: Place,
        source: str,
        hello: bytes,
        *,
        reads: bool = True,
        taken: socket.socket | None = None,
    ) -> None:
        """`taken`: a connection that somebody dialled. OSError where not even a beginning is possible."""
        self._poll = poll
        self.reads = reads
        self.bytes_in = 0
        self.is_open = True
        self.sock = taken or _dialled(place, source, reads=reads)
        self.number = self.sock.fileno()
        self._out = bytearray(hello)
        self._events = self._wanted
        poll.add(self, self._events)

    @property
    def _wanted(self) -> int:
        events = select.EPOLLIN | select.EPOLLRDHUP if self.reads else 0
        return events | (select.EPOLLOUT if self._out else 0)

    @property
    def is_held_back(self) -> bool:
        """Whether something waits to be taken."""
        return bool(self._out)

    def write(self, block: bytes) -> bool:
        """Whether the block was taken, all of it or its beginning: then the rest follows by itself."""
        if self._out or not self.is_open:
            return False
        try:
            sent = self.sock.send(block)
        except OSError as error:
            if error.errno not in _HELD_BACK:
                self.end()
            return False
        if sent < len(block):
            self._out += memoryview(block)[sent:]
            self._watch()
        return True

    def ready(self, events: int) -> None:
        """The kernel has something for us, or room."""
        try:
            if events & select.EPOLLOUT and self._out:
                del self._out[: self.sock.send(self._out)]
            if events & select.EPOLLIN and not self._read():
                self.end()
                return
        except BlockingIOError:
            pass
        except OSError:
            self.end()
            return
        if events & (select.EPOLLHUP | select.EPOLLERR):
            self.end()
        elif self.is_open:
            self._watch()

    def _read(self) -> bool:
        """Whether there may be more to come."""
        for _ in range(READS):
            data = self.sock.recv(READ)
            if not data:
                return False
            self.bytes_in += len(data)
            if PING in data:
                self.write(PONG)
            if len(data) < READ:
                break
        return True

    def _watch(self) -> None:
        wanted = self._wanted
        if wanted != self._events:
            self._events = wanted
            self._poll.change(self, wanted)

    def end(self) -> None:
        """Close, at once."""
        if self.is_open:
            self.is_open = False
            self._poll.remove(self)
            self.sock.close()


IP_BIND_ADDRESS_NO_PORT: Final = 24
"""The port is chosen at the connect: so there are as many for each place that is dialled (ip(7))."""


def _dialled(place: Place, source: str, *, reads: bool) -> socket.socket:
    """A connection that has begun. OSError where not even that is possible."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        sock.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind((source, 0))
        with suppress(BlockingIOError):
            sock.connect(place)
    except OSError:
        sock.close()
        raise
    return sock


class Crowd:
    """So many connections to one place, each made again when it ends. Blocks go to one after another."""

    def __init__(
        self,
        poll: Poll,
        place: Place,
        sources: Sequence[str],
        hello: Callable[[int], bytes],
        *,
        count: int,
        reads: bool = True,
    ) -> None:
        self._poll = poll
        self._place = place
        self._sources = sources
        self._hello = hello
        self._reads = reads
        self._links: list[Link | None] = [None] * count
        self._redial = [0.0] * count
        self._next = 0
        self.dials = 0
        """Connections that were begun."""

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self):
        return (link for link in self._links if link is not None and link.is_open)

    def link(self, index: int) -> Link | None:
        """The connection with this index, dialled if it is time; None while there is none."""
        link = self._links[index]
        if link is not None and link.is_open:
            return link
        now = time.monotonic()
        if now < self._redial[index]:
            return None
        self._redial[index] = now + REDIAL
        self.dials += 1
        try:
            source = self._sources[index % len(self._sources)]
            link = Link(self._poll, self._place, source, self._hello(index), reads=self._reads)
        except OSError:
            link = None
        self._links[index] = link
        return link

    def dial(self) -> None:
        """Make every connection that is not there."""
        for index in range(len(self._links)):
            self.link(index)

    def write(self, block: bytes) -> bool:
        """Write to the next connection; whether it was taken."""
        self._next = (self._next + 1) % len(self._links)
        link = self.link(self._next)
        return link is not None and link.write(block)


class Talk:
    """A connection for what is prepared beforehand: says something, waits for the answer."""

    def __init__(self, place: Place, source: str, hello: bytes) -> None:
        self.sock = socket.create_connection(place, PATIENCE, (source, 0))
        self._reader = FrameReader(1 << 26)
        self._frames: list[Frame] = []
        self.sock.sendall(hello)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Say it."""
        self.sock.sendall(data)

    def wait(self, name: str, count: int = 1) -> Frame:
        """Wait for so many frames of this name; TimeoutError, or ConnectionError where it ends before."""
        while True:
            for index, frame in enumerate(self._frames):
                if frame.name == name:
                    count -= 1
                    if not count:
                        del self._frames[: index + 1]
                        return frame
            self._frames.clear()
            data = self.sock.recv(READ)
            if not data:
                raise ConnectionError(f"ended before {name} came")
            self._frames = list(self._reader.feed(data))

    def close(self) -> None:
        """Leave with a word, and wait until the node has closed."""
        with suppress(OSError), self.sock:
            self.sock.sendall(EXIT)
            while self.sock.recv(READ):
                pass
