"""How much of a stream a TCP packet may carry: less where a link stalled before. Pure; times are seconds.

Where a path has a smaller packet size somewhere, and nobody tells us (ICMP is filtered), a full packet is lost each
time that it is sent: what is small passes, a document never does, and the link dies of silence. Linux has a remedy
(net.ipv4.tcp_mtu_probing), but not for a single connection and not by default. So the next connection to that
address says in its handshake that it takes, and sends, smaller packets; and those of one that comes from there may
be cut on their way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

SIZES: Final = (1200, 536)
"""Bytes: what passes tunnels and every IPv6 network; what passes everywhere (RFC 9293)."""
REMEMBERED: Final = 3600.0
"""Seconds after the last stall for which an address is known."""
ADDRESSES: Final = 1024
"""At most; of more the longest known is forgotten."""
FULL: Final = 500
"""Bytes: what did not arrive may have been a full packet, and is no PING."""


class Segments:
    """Where links stalled, and how often."""

    def __init__(self) -> None:
        self._stalls: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._stalls)

    def stalled(self, address: Hashable, now: float) -> None:
        """A link with this address ended because something did not arrive."""
        count = self.count(address, now)
        self._stalls[address] = (count + 1, now)
        self._stalls.move_to_end(address)
        if len(self._stalls) > ADDRESSES:
            self._stalls.popitem(last=False)

    def count(self, address: Hashable, now: float) -> int:
        """How often, lately."""
        count, at = self._stalls.get(address, (0, now))
        return count if at + REMEMBERED > now else 0

    def largest(self, address: Hashable, now: float) -> int | None:
        """Bytes of the largest segment that a connection with this address may have; None: the system's own."""
        count = self.count(address, now)
        return SIZES[min(count, len(SIZES)) - 1] if count else None


def may_have_stalled(unarrived: int, *, by_us: bool) -> bool:
    """Whether a link that ended by silence stalled, and did not only lose its other side.

    `unarrived` bytes of ours did not arrive there. `by_us`: it was silent to us; if all of ours arrived, then its
    machine is there, and what it sends is what does not come.
    """
    return unarrived > FULL or (by_us and unarrived == 0)
