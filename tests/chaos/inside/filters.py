"""What keeps packets of this network namespace from passing, without a word to anybody: no ICMP, no reset.

By traffic control and nftables, through netlink. Needs CAP_NET_ADMIN, and a kernel with CONFIG_NET_SCH_TBF and
CONFIG_NF_TABLES_NETDEV.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

from tests.chaos.inside.netlink import ACK, CREATE, EXCL, Netlink, attribute, message, nested

_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_TABLE = "chaos"
_NFTABLES, _BATCH_BEGIN, _BATCH_END = 10, 16, 17
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN = 0, 2, 3
_NETDEV = 5
"""The family of chains that belong to a device."""
_INGRESS = 0
_DROP = 0
_NEW_QDISC, _DELETE_QDISC = 36, 37
_ROOT = 0xFFFFFFFF
_ETHERNET = 14
"""Bytes of a frame beside its packet."""
_RATE = 1_250_000_000
"""Bytes per second: slower than that nothing is made."""
_QUEUE = 1 << 24
"""Bytes that may wait; it never comes to that."""


def outer_device() -> str:
    """The device that leads out."""
    return next(name for _, name in socket.if_nameindex() if name.startswith("eth"))


@contextlib.contextmanager
def silent(device: str) -> Iterator[None]:
    """Lose every packet that comes or goes through a device.

    What goes out is lost behind the network's stack: a rule of nftables would tell the sender of it.
    """
    with Netlink(_NETLINK_NETFILTER) as netlink, _queueing(device, attribute(1, "blackhole")):
        table = _nftables(_NEW_TABLE, CREATE | EXCL, attribute(1, _TABLE))
        netlink.ask(_batch(table, _ingress(device)), 2)
        try:
            yield
        finally:
            netlink.ask(_batch(_nftables(_DELETE_TABLE, 0, attribute(1, _TABLE))))


def _ingress(device: str) -> bytes:
    """A chain for what comes, without a rule: its policy says all."""
    hook = nested(4, attribute(1, _INGRESS), attribute(2, 0), attribute(3, device))
    return _nftables(
        _NEW_CHAIN,
        CREATE | EXCL,
        attribute(1, _TABLE) + attribute(3, "in") + hook + attribute(5, _DROP) + attribute(7, "filter"),
    )


def _nftables(kind: int, flags: int, attributes: bytes) -> bytes:
    return message(_NFTABLES << 8 | kind, ACK | flags, struct.pack("!BBH", _NETDEV, 0, 0) + attributes)


def _batch(*messages: bytes) -> bytes:
    """Messages of which all are done, or none."""
    border = struct.pack("!BBH", socket.AF_UNSPEC, 0, _NFTABLES)
    return message(_BATCH_BEGIN, 0, border) + b"".join(messages) + message(_BATCH_END, 0, border)


@contextlib.contextmanager
def narrow(device: str, size: int) -> Iterator[None]:
    """Drop every packet of more than so many bytes that goes out through a device.

    A token bucket that is no larger than that drops what never fits, and takes apart first what the network card
    would have. A rule of nftables sees what is not taken apart yet, and would drop many small segments as
    a large packet.
    """
    rate = struct.pack("=BBHhHI", 0, 1, 0, 0, 0, _RATE)  # 1: Ethernet; so no table is needed
    parameters = attribute(1, rate + bytes(len(rate)) + struct.pack("=III", _QUEUE, 0, 0))
    burst = attribute(6, struct.pack("=I", size + _ETHERNET))
    with _queueing(device, attribute(1, "tbf") + nested(2, parameters, burst)):
        yield


@contextlib.contextmanager
def _queueing(device: str, attributes: bytes) -> Iterator[None]:
    """A device has a queueing discipline of its own."""
    with Netlink(_NETLINK_ROUTE) as netlink:
        netlink.ask(_qdisc(_NEW_QDISC, CREATE | EXCL, device, attributes))
        try:
            yield
        finally:
            netlink.ask(_qdisc(_DELETE_QDISC, 0, device, b""))


def _qdisc(kind: int, flags: int, device: str, attributes: bytes) -> bytes:
    asked = struct.pack("=BxxxiIII", socket.AF_UNSPEC, socket.if_nametoindex(device), 0, _ROOT, 0)
    return message(kind, ACK | flags, asked + attributes)
