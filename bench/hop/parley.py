"""Parley itself: two whole nodes, everything on; the recipient acknowledges every message."""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench.hop.generator import FIXED, PARLEY_ACK, Answer, Hop, Records, text
from bench.hop.processes import UnavailableError, dial, read_until
from bench.hop.system import Place, Running
from bench.hop.tls import Tls
from parley.shared.addresses import User
from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import encode_frame
from parley.shared.wire.messages import encode, pb
from tests.support.nodes import Node, wait_linked

PORT = 6666
ANN, BOB = User("ann", "one"), User("bob", "two")
VARINT = 9
"""Bytes of every snowflake, as numbers of this century are."""


def parley(stack: ExitStack, directory: Path, place: Place, *, is_secure: bool = False, keep: int = 0) -> Running:
    """Start two nodes, connect one client to each; all links with TLS, or all in plain. `keep`: days of history."""
    settings = {
        "PARLEY_SECURITY__MODE": "mixed" if is_secure else "open",
        "PARLEY_HISTORY__KEEP": str(keep),
    }
    places = {ANN.server_id: place.one, BOB.server_id: place.two}
    nodes = [Node(name, address, directory, settings=settings) for name, address in places.items()]
    for node in nodes:
        stack.enter_context(node)
    try:
        wait_linked(nodes)
    except TimeoutError as error:
        raise UnavailableError(str(error)) from error
    chats = [node.pid("chat") for node in nodes]
    every = [node.pid(s) for node in nodes for s in node.services]
    if is_secure:
        secured = [
            secure(stack, directory, node.address, user) for node, user in zip(nodes, (ANN, BOB), strict=True)
        ]
        (author, author_tls), (recipient, recipient_tls) = secured
        tls = {"author_tls": author_tls.handle, "recipient_tls": recipient_tls.handle}
        return Running(replace(hop(author, recipient), **tls), chats, every)
    author, recipient = (connect(stack, node.address, user) for node, user in zip(nodes, (ANN, BOB), strict=True))
    return Running(hop(author, recipient), chats, every)


def connect(stack: ExitStack, address: str, user: User) -> socket.socket:
    """A client's link."""
    sock = dial(stack, address, PORT)
    sock.sendall(encode("CONNECT_CLIENT", pb.ConnectClient(user=user.to_pb(), terms=terms())))
    read_until(sock, b"CONNECTED")
    return sock


def secure(stack: ExitStack, directory: Path, address: str, user: User) -> tuple[socket.socket, Tls]:
    """The same with TLS; HELLO is read, and not looked at."""
    sock = dial(stack, address, PORT)
    tls = Tls(directory, sock)
    tls.read_until(b"HELLO")
    tls.send(encode("CONNECT_CLIENT", pb.ConnectClient(user=user.to_pb(), terms=terms())))
    tls.read_until(b"CONNECTED")
    return sock, tls


def hop(author: socket.socket, recipient: socket.socket, *, acknowledges: bool = True) -> Hop:
    """What the two speak. A relay passes the same messages on, but nothing back."""
    first = (time.time_ns() // 1_000_000 + secrets.randbelow(1 << 16)) << 22  # no other run's numbers
    tail = pb.ChatMessage(author=ANN.to_pb(), user=BOB.to_pb(), textContent=text(0).decode()).SerializeToString()
    cut = len(tail) - len(text(0))

    def message(number: int) -> bytes:
        return encode_frame("MESSAGE", b"\x08" + varint(first + number) + tail[:cut] + text(number))

    pattern = message(0)
    start, at = pattern.index(b"\x08" + varint(first)) + 1, pattern.index(text(0))
    comes = Records(FIXED, pattern=pattern, holes=[(start, start + VARINT), (at, at + 8)], offset=at)
    if not acknowledges:
        return Hop(author, recipient, message, comes)
    acknowledgement = encode_frame("MESSAGE_ACK", b"\x08" + varint(first) + b"\x12\x02\x10\x01")
    answer = Answer(acknowledgement, start, VARINT, acknowledgement.index(varint(first)))
    return Hop(author, recipient, message, comes, Records(PARLEY_ACK, first=first), answer, is_told=True)


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])
