"""A machine's IPv4 networks, and whether an address is ours, near, or beyond them. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

LOOPBACK_BROADCAST = "127.255.255.255"
EVERYONE = "255.255.255.255"
"""Everyone on the wire, whatever network each takes it for: netmasks may differ."""


@dataclass(frozen=True, slots=True)
class Interface:
    """An address of ours, its network, and that network's broadcast address (empty: it has none)."""

    name: str
    address: str
    network: ipaddress.IPv4Network
    broadcast: str

    @property
    def is_wire(self) -> bool:
        """Whether others may be on it that have another netmask: not on loopback, nor in a tunnel."""
        return bool(self.broadcast) and not self.network.is_loopback


class Networks:
    """A look at the networks that we are on."""

    def __init__(self, found: Sequence[Interface] = ()) -> None:
        self.interfaces = tuple(found)
        self.own = frozenset(each.address for each in found)
        self._ranges = [(int(n.network_address), int(n.netmask)) for n in {each.network for each in found}]

    def have(self, address: str) -> bool:
        """Whether an address is on one of them; what is no IPv4 address is not."""
        number = _number(address)
        return any(number & mask == network for network, mask in self._ranges)


@lru_cache(maxsize=4096)
def _number(address: str) -> int:
    try:
        return int(ipaddress.IPv4Address(address))
    except ValueError:
        return -1
