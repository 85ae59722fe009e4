"""A link's socket, as the system sees it: when it is given up, how large its packets are, what arrived."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from typing import Final
from weakref import WeakKeyDictionary

from parley.shared.addresses import Endpoint
from parley.shared.runtime.timer import clock
from parley.shared.sockets.segments import Segments

UNACKNOWLEDGED: Final = 60.0
"""Seconds after which the system gives up a connection on which nothing that was sent arrives."""
_IP_MTU_DISCOVER, _IP_PMTUDISC_DONT = 10, 0
"""Linux; Python 3.11 has no names for them."""
_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", 25)

_segments: WeakKeyDictionary[asyncio.AbstractEventLoop, Segments] = WeakKeyDictionary()


def segments_of(loop: asyncio.AbstractEventLoop) -> Segments:
    """Where a loop's links stalled."""
    found = _segments.get(loop)
    if found is None:
        found = _segments[loop] = Segments()
    return found


def prepare(sock: socket.socket, loop: asyncio.AbstractEventLoop, remote_host: str) -> None:
    """Set what every link's socket has; where one to that address stalled, routers may cut its packets."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError, AttributeError):  # Linux has both, others may not
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * UNACKNOWLEDGED))
        if segments_of(loop).count(remote_host, clock(loop)()):
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)


def limit_unsent(sock: socket.socket, most: int) -> None:
    """Have the system take no more than about so many bytes that it cannot send yet."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, most)


def reset_when_killed(sock: socket.socket) -> None:
    """Have a connection be reset if this process is killed, and let its port be bound again at once.

    Without that the system says FIN, and where the other side does not close its end it keeps the port for a minute
    (FIN_WAIT_2): it cannot be bound without SO_REUSEADDR, nor, without TCP timestamps, connected to the same place.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close_in_order(sock: socket.socket) -> None:
    """Have what was written arrive when it is closed, also after `reset_when_killed`."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))


async def connect(
    loop: asyncio.AbstractEventLoop, endpoint: Endpoint, local: tuple[str, int] | None, largest: int
) -> socket.socket:
    """Connect with segments of so many bytes at most. OSError where nobody accepts."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, largest)
        if local is not None:
            sock.bind(local)
        await loop.sock_connect(sock, (endpoint.host, endpoint.port))
    except BaseException:
        sock.close()
        raise
    return sock


def unarrived(descriptor: int) -> int:
    """Bytes that were written and have not arrived at the other side's machine; -1: that cannot be known."""
    try:
        (unsent,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))
    except OSError:
        return -1
    return int(unsent)
