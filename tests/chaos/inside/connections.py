"""The TCP connections of this network namespace, and their end.

As `ss -K` does, which the image does not have: sock_diag(7). Needs CAP_NET_ADMIN, and a kernel with
CONFIG_INET_DIAG_DESTROY; without it, none is destroyed.
"""

from __future__ import annotations

import socket
import struct

from tests.chaos.inside.netlink import ACK, DONE, DUMP, ERROR, Netlink, message

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _SOCK_DESTROY = 4, 20, 21
_ESTABLISHED = 1 << 1
_ASKED = struct.Struct("=BBBxI48s")
"""inet_diag_req_v2: family, protocol, extensions, states, the socket's identity."""


def destroy_all() -> int:
    """Destroy every established connection; both ends notice. How many."""
    with Netlink(_NETLINK_SOCK_DIAG) as netlink:
        return sum([_destroy(netlink, each) for each in _established(netlink)])


def _request(kind: int, flags: int, identity: bytes) -> bytes:
    return message(kind, flags, _ASKED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, _ESTABLISHED, identity))


def _established(netlink: Netlink) -> list[bytes]:
    """The identity (48 bytes) of each."""
    netlink.send(_request(_SOCK_DIAG_BY_FAMILY, DUMP, bytes(48)))
    found = []
    while True:
        for kind, body in netlink.answers():
            if kind in (DONE, ERROR):
                return found
            found.append(body[4:52])


def _destroy(netlink: Netlink, identity: bytes) -> bool:
    netlink.send(_request(_SOCK_DESTROY, ACK, identity))
    return netlink.error() == 0
