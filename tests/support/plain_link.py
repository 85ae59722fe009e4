"""One TCP link of a stand-in program, and what came in over links and in datagrams."""

import itertools
import socket
import threading
import time
from contextlib import suppress
from typing import NamedTuple, Protocol, Self

from tests.support import plain_wire as wire
from tests.support.plain_wire import Fields

TIMEOUT = 10.0  # seconds; how long a wait lasts before it counts as failed

Endpoint = tuple[str, int]
_counter = itertools.count()


def next_snowflake() -> int:
    """Return a number that no other message of this process has."""
    return time.time_ns() // 1_000_000 << 22 | next(_counter) & 0x3FFFFF


class Tap(Protocol):
    """Sees all that a program receives and sends, before the program makes anything of it."""

    def stream(self, link: "Link", data: bytes, *, incoming: bool) -> None:
        """Bytes of a link."""

    def datagram(self, sock: socket.socket, other: Endpoint, data: bytes, *, incoming: bool) -> None:
        """A datagram, as long as it was."""


class Link:
    """One TCP link. `result` is the answer to our CONNECT, `kind` "client" or "server" after theirs."""

    def __init__(
        self, sock: socket.socket, feature: str, lock: threading.Condition, *, dialled: bool, tap: Tap | None = None
    ) -> None:
        sock.settimeout(TIMEOUT)
        self.sock = sock
        self.feature = feature
        self.dialled = dialled
        self.local: Endpoint = sock.getsockname()
        self.remote: Endpoint = sock.getpeername()
        self.reader = wire.FrameReader()
        self.result: str | None = None
        self.kind = ""
        self.hello: Fields = {}
        self.closed = False
        self._lock = lock
        self._tap = tap

    def send(self, name: str, fields: Fields | None = None) -> None:
        """Send one frame; on a broken link it is lost."""
        self.send_bytes(wire.encode(name, fields))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, frame or not."""
        with self._lock, suppress(OSError):
            if self._tap is not None:
                self._tap.stream(self, data, incoming=False)
            self.sock.sendall(data)


class Received(NamedTuple):
    """One frame that came in; `link` is None for a datagram, `fields` empty for an unknown name."""

    name: str
    fields: Fields
    source: Endpoint
    link: Link | None


class Announced(NamedTuple):
    """One SERVER_ANNOUNCE; the address is the datagram's source, features are name: (TCP port, UDP port)."""

    server_id: str
    address: str
    features: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, received: Received) -> Self:
        """Read it from the datagram."""
        features = {
            each.get("featureName", ""): (each.get("port", 0), each.get("udpPort", 0))
            for each in received.fields.get("feature", [])
        }
        return cls(received.fields.get("serverId", ""), received.source[0], features)
