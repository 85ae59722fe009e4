"""A UDP socket: one frame a datagram in, bytes out. Errors of single sends are told, never raised."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from shared.errors import MalformedMessage
from shared.framing import Frame, read_datagram
from shared.listener import bind

Address = tuple[str, int]

_LARGEST = 65536
_PER_TURN = 64
"""Datagrams read in one turn of the loop: the links get their turn in between."""


class UdpSocket:
    """A bound UDP socket, whose datagrams go to `received(frame, address)` and faults to `dropped(reason)`."""

    def __init__(
        self,
        host: str,
        port: int,
        what: str,
        *,
        received: Callable[[Frame, Address], None] | None = None,
        dropped: Callable[[str], None] = lambda _reason: None,
        shared: bool = False,
    ) -> None:
        """`shared`: others on this machine may bind the same port (to hear broadcasts).

        Raises:
            ConfigError: the port is taken.

        """
        self._sock = bind(socket.SOCK_DGRAM, host, port, what, shared=shared)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.port: int = self._sock.getsockname()[1]
        self._received = received
        self._dropped = dropped
        self._loop: asyncio.AbstractEventLoop | None = None
        if received is not None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._sock.fileno(), self._read)

    def send(self, data: bytes, to: Address) -> OSError | None:
        """Send one datagram; what went wrong, or None. A full buffer drops it, as a network would."""
        try:
            self._sock.sendto(data, to)
        except OSError as error:
            return error
        return None

    def close(self) -> None:
        """Stop receiving."""
        if self._loop is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._loop = None
        self._sock.close()

    def _read(self) -> None:
        for _ in range(_PER_TURN):
            try:
                data, address = self._sock.recvfrom(_LARGEST)
            except OSError:  # nothing more; or an ICMP error of an earlier send, which is nobody's here
                return
            self._take(data, (str(address[0]), int(address[1])))

    def _take(self, data: bytes, address: Address) -> None:
        try:
            frame = read_datagram(data)
        except MalformedMessage as error:
            self._dropped(error.reason)
            return
        if self._received is not None:
            self._received(frame, address)
