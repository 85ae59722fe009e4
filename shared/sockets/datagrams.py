"""A UDP socket: one frame a datagram in, bytes out. Errors of single sends are told, never raised."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final, NamedTuple

from parley.shared.addresses import SocketAddress
from parley.shared.errors import MalformedMessage
from parley.shared.sockets.listener import bind
from parley.shared.wire.framing import Frame, read_datagram

_PKTINFO: Final = 8 if sys.platform == "linux" else None
"""IP_PKTINFO (ip(7)): to which address of ours a datagram came, and from which one goes out."""
_PACKET_INFO: Final = struct.Struct("@i4s4s")
_ANCILLARY: Final = 128
RECEIVE_BUFFER: Final = 1024 * 1024
"""Bytes that may wait where all the network is asked at once, and all answer."""
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
        received: Callable[[Frame, SocketAddress], None] | None = None,
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

    def send(self, data: bytes, to: SocketAddress, *, source: str = "", interface: str = "") -> OSError | None:
        """Send one datagram; what went wrong, or None. A full buffer drops it, as a network would.

        `source`: from this address of ours. `interface`: out of that one, whatever the routes say. Where the system
        knows no IP_PKTINFO, it chooses both.
        """
        try:
            if (source or interface) and _PKTINFO is not None:
                self._sock.sendmsg([data], [_packet_info(source, interface)], 0, to)
            else:
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

    def _take(self, data: bytes, address: SocketAddress) -> None:
        try:
            frame = read_datagram(data)
        except MalformedMessage as error:
            self._dropped(error.reason)
            return
        if self._received is not None:
            self._received(frame, address)


class Datagram(NamedTuple):
    """A datagram as it came."""

    data: bytes
    source: SocketAddress
    local: str
    """The address of ours that it came to, or of the interface, where it was a broadcast; empty: not known."""


class AddressedSocket(UdpSocket):
    """A UDP socket that tells to which address of ours each datagram came, before anything is read out of it.

    `took(datagram)` hears of each; one that is larger than `largest` is `dropped`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        what: str,
        *,
        took: Callable[[Datagram], None],
        dropped: Callable[[str], None],
        largest: int,
    ) -> None:
        super().__init__(host, port, what, dropped=dropped, shared=True)
        self._took = took
        self._largest = largest
        with contextlib.suppress(OSError):
            if _PKTINFO is not None:
                self._sock.setsockopt(socket.IPPROTO_IP, _PKTINFO, 1)
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sock.fileno(), self._read)

    def _read(self) -> None:
        for _ in range(_PER_TURN):
            try:
                datagram, is_cut = self._receive()
            except OSError:  # nothing more; or an ICMP error of an earlier send, which is nobody's here
                return
            if is_cut:
                self._dropped("malformed")
            else:
                self._took(datagram)

    def _receive(self) -> tuple[Datagram, bool]:
        if not hasattr(self._sock, "recvmsg"):  # Windows
            data, address = self._sock.recvfrom(_LARGEST)
            return Datagram(data, (str(address[0]), int(address[1])), ""), len(data) > self._largest
        data, ancillary, flags, address = self._sock.recvmsg(self._largest, _ANCILLARY)
        local = next((_local_address(value) for level, kind, value in ancillary if _is_info(level, kind)), "")
        return Datagram(data, (str(address[0]), int(address[1])), local), bool(flags & socket.MSG_TRUNC)


def _is_info(level: int, kind: int) -> bool:
    return level == socket.IPPROTO_IP and kind == _PKTINFO


def _local_address(value: bytes) -> str:
    """The `ipi_spec_dst` of a broadcast is the interface's own address."""
    return socket.inet_ntoa(_PACKET_INFO.unpack_from(value)[1])


def _packet_info(source: str, interface: str) -> tuple[int, int, bytes]:
    index = socket.if_nametoindex(interface.partition(":")[0]) if interface else 0
    local = socket.inet_aton(source) if source else bytes(4)
    return socket.IPPROTO_IP, _PKTINFO or 0, _PACKET_INFO.pack(index, local, bytes(4))
