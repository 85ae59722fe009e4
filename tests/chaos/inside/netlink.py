"""Requests to the kernel about a network namespace: netlink(7), with no tool that the image would have to have."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Self

REQUEST, ACK, EXCL, CREATE, DUMP = 0x1, 0x4, 0x200, 0x400, 0x300
ERROR, DONE = 2, 3
NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")
"""Of a message: length, type, flags, sequence, port."""
_ATTRIBUTE = struct.Struct("=HH")
"""Of an attribute: length, type."""


def message(kind: int, flags: int, body: bytes, sequence: int = 1) -> bytes:
    """One request."""
    return _padded(_HEADER.pack(_HEADER.size + len(body), kind, REQUEST | flags, sequence, 0) + body)


def attribute(kind: int, value: bytes | str | int) -> bytes:
    """One attribute: bytes as they are, a text with its NUL, a number as 32 bits in network order."""
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("!i", value)
    return _padded(_ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that is made of others."""
    return attribute(kind | NESTED, b"".join(attributes))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class Netlink:
    """A socket for one of the kernel's protocols; a context manager."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send requests."""
        self._socket.send(data)

    def answers(self) -> Iterator[tuple[int, bytes]]:
        """Type and body of each message of one datagram."""
        data = self._socket.recv(1 << 18)
        while data:
            size, kind, *_ = _HEADER.unpack_from(data)
            yield kind, data[_HEADER.size : size]
            data = data[(size + 3) & ~3 :]

    def error(self) -> int:
        """The errno with which the next request was answered; 0: it was done."""
        while True:
            for kind, body in self.answers():
                if kind == ERROR:
                    return -int(struct.unpack_from("=i", body)[0])

    def ask(self, data: bytes, count: int = 1) -> None:
        """Send requests, of which so many are answered. OSError where one is refused."""
        self.send(data)
        for _ in range(count):
            if number := self.error():
                raise OSError(number, os.strerror(number))
