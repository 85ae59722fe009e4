"""Nonces of requests: an announcement that returns one answers us; one that does not is a claim. Pure.

Each target gets a nonce of its own, which is good for ANSWERED_WITHIN seconds. Who returns it may be at another
address than the one that was asked (a process in a container of its own, a second address of the same machine).
Whoever was asked could lend the nonce to others: so no more than LENT addresses beyond our networks are believed
for it. Times are seconds, monotonic.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from parley.shared.addresses import SocketAddress
from parley.shared.wire.framing import MAX_DATAGRAM
from parley.shared.wire.messages import encode, pb

ANSWERED_WITHIN: Final = 10.0
"""Seconds for which a nonce is good."""
LONGEST: Final = 32
"""Bytes of a nonce of somebody else's that are returned; one that is longer is not."""
LENT: Final = 16
"""Addresses beyond our networks, besides the one that was asked, that may answer one request."""
MOST: Final = 4096
"""Nonces that are remembered: the oldest is forgotten for a new one."""


def encode_request(nonce: bytes, *, is_padded: bool = False) -> bytes:
    """A DISCOVER_SERVER datagram; `is_padded`: as long as any datagram of ours, because it leaves our networks."""
    datagram = encode("DISCOVER_SERVER", pb.DiscoverServer(nonce=nonce))
    if not is_padded:
        return datagram
    room = MAX_DATAGRAM - len(datagram)
    return encode("DISCOVER_SERVER", pb.DiscoverServer(nonce=nonce, padding=b"." * (room - _PADDING_HEAD)))


@dataclass(slots=True)
class _Issued:
    to: SocketAddress
    at: float
    lent: set[str] = field(default_factory=set)


_PADDING_HEAD: Final = 7
"""Bytes in front of the padding: its field, its length, and two more digits of the frame's length."""


def _fresh() -> bytes:
    """Text, because some existing programs strip line feeds from the end of what they receive."""
    return secrets.token_hex(8).encode()


class Nonces:
    """The nonces that may still come back."""

    def __init__(self, fresh: Callable[[], bytes] = _fresh, most: int = MOST) -> None:
        self._fresh = fresh
        self._most = most
        self._issued: dict[bytes, _Issued] = {}

    def __len__(self) -> int:
        return len(self._issued)

    def issue(self, to: SocketAddress, now: float) -> bytes:
        """A nonce for a request to a place, or to a broadcast address."""
        self._forget(now)
        nonce = self._fresh()
        self._issued[nonce] = _Issued(to, now)
        return nonce

    def issued_to(self, nonce: bytes) -> SocketAddress:
        """To whom one that is ours was issued."""
        return self._issued[nonce].to

    def is_answer(self, nonce: bytes, source: str, now: float, *, is_near: bool) -> bool:
        """Whether what comes from that address answers a request of ours; `is_near`: it is on a network of ours."""
        issued = self._issued.get(nonce)
        if issued is None or now - issued.at > ANSWERED_WITHIN:
            return False
        if is_near or source == issued.to[0] or source in issued.lent:
            return True
        if len(issued.lent) >= LENT:
            return False
        issued.lent.add(source)
        return True

    def _forget(self, now: float) -> None:
        """Forget old nonces, which are in the order in which they were issued."""
        while self._issued:
            oldest = next(iter(self._issued))
            if now - self._issued[oldest].at <= ANSWERED_WITHIN and len(self._issued) < self._most:
                return
            del self._issued[oldest]
