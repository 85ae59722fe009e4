"""Destroy every established TCP connection of this network namespace, both ends notice; prints how many.

As `ss -K` does, which the image does not have: sock_diag(7). Needs CAP_NET_ADMIN, and a kernel with
CONFIG_INET_DIAG_DESTROY; without it, prints 0.
"""

import socket
import struct
import sys

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, SOCK_DESTROY = 4, 20, 21
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
DONE, ERROR = 3, 2
ESTABLISHED = 1 << 1
HEADER = struct.Struct("=IHHII")
ASKED = struct.Struct("=BBBxI48s")
"""inet_diag_req_v2: family, protocol, extensions, states, the socket's identity."""


def request(netlink: socket.socket, kind: int, flags: int, identity: bytes) -> None:
    body = ASKED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, ESTABLISHED, identity)
    netlink.send(HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, 1, 0) + body)


def answers(netlink: socket.socket) -> list[tuple[int, bytes]]:
    """The messages of one datagram: type and body."""
    data, found = netlink.recv(1 << 18), []
    while data:
        size, kind, *_ = HEADER.unpack_from(data)
        found.append((kind, data[HEADER.size : size]))
        data = data[(size + 3) & ~3 :]
    return found


def established(netlink: socket.socket) -> list[bytes]:
    """The identity (48 bytes) of each."""
    request(netlink, SOCK_DIAG_BY_FAMILY, DUMP, bytes(48))
    found = []
    while True:
        for kind, body in answers(netlink):
            if kind in (DONE, ERROR):
                return found
            found.append(body[4:52])


def destroy(netlink: socket.socket, identity: bytes) -> bool:
    request(netlink, SOCK_DESTROY, ACK, identity)
    return any(kind == ERROR and struct.unpack_from("=i", body)[0] == 0 for kind, body in answers(netlink))


with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as sock:
    sys.stdout.write(f"{sum([destroy(sock, each) for each in established(sock)])}\n")
