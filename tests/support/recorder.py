"""A recorder of everything on loopback, as somebody with a cable between the machines would have it."""

from __future__ import annotations

import socket
import struct
import threading
from typing import NamedTuple, Self

EVERYTHING = 3
"""ETH_P_ALL."""
ROOM = 64 * 1024 * 1024
OUTGOING = 4
"""Loopback shows each packet twice; this is how the first is marked (PACKET_OUTGOING)."""
TCP, UDP = 6, 17


class Packet(NamedTuple):
    """One packet's ends and content."""

    protocol: int
    source: tuple[str, int]
    to: tuple[str, int]
    data: bytes


class Recorder:
    """Records while it is entered. PermissionError, or AttributeError, where the system does not let us."""

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        self._sock.bind(("lo", 0))
        self._sock.settimeout(0.1)
        self._frames: list[bytes] = []
        self._is_over = False
        self._thread = threading.Thread(target=self._record)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the recording."""
        self._is_over = True
        if self._thread.is_alive():
            self._thread.join()
        self._sock.close()

    def _record(self) -> None:
        while not self._is_over:
            try:
                frame, (_, _, kind, *_) = self._sock.recvfrom(1 << 17)
            except TimeoutError:
                continue
            if kind == OUTGOING:
                self._frames.append(frame)

    @property
    def packets(self) -> list[Packet]:
        """All that were recorded, of IPv4."""
        return [packet for frame in self._frames if (packet := _read(frame)) is not None]


def _read(frame: bytes) -> Packet | None:
    packet = frame[14:]
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] not in (TCP, UDP):
        return None
    at = 4 * (packet[0] & 15)
    ends = struct.unpack_from("!HH", packet, at)
    source, to = (
        (socket.inet_ntoa(packet[start : start + 4]), port) for start, port in zip((12, 16), ends, strict=True)
    )
    header = 4 * (packet[at + 12] >> 4) if packet[9] == TCP else 8
    return Packet(packet[9], source, to, packet[at + header :])
