"""Which datagrams of the discovery port are looked at, and which requests are answered. Pure; seconds, monotonic.

On our own networks everyone is answered, as fast as they may send. From elsewhere a request must be as long as its
answer, because its source may be somebody else, who would be flooded: a short one gets one answer in FAR_EVERY
seconds for each source (an address and a port), and FAR_RATE a second go to all such sources together.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from parley.shared.addresses import SocketAddress
from parley.shared.discovery.nonces import LONGEST
from parley.shared.limits.token_buckets import Buckets, TokenBucket

NEAR_RATE, NEAR_BURST = 50.0, 300.0
FAR_RATE_IN, FAR_BURST_IN = 10.0, 50.0
"""Datagrams a second that one address may send; beyond our networks."""
RELAYING: Final = 10
"""Times as many for a gateway, which stands for everybody behind it."""
ALL_RATE, ALL_BURST = 5000.0, 5000.0
"""… that all addresses may that are no server's that we know: their number costs nothing."""
CLAIMS_RATE, CLAIMS_BURST = 500.0, 1000.0
"""Announcements a second that answer nothing, of all such addresses."""
FAR_EVERY: Final = 5.0
FAR_BURST: Final = 4.0
"""Answers that sources of one far address may have at once: people who share it begin in the same moment."""
FAR_RATE: Final = 20.0
PADDED_RATE: Final = 100.0
"""Answers a second to requests from elsewhere that are as long as their answers."""
REPEATED_WITHIN: Final = 2.0
"""Seconds in which the same request, heard twice (by both broadcasts of a wire), is answered once."""
MOST_REPEATED: Final = 4096
ASKED_BACK_RATE, ASKED_BACK_BURST = 5.0, 50.0
"""Servers a second that are asked in turn by a request of its own."""


@dataclass(frozen=True, slots=True)
class Request:
    """A DISCOVER_SERVER, or an announcement that asks in turn."""

    asker: SocketAddress
    local: str
    """The address of ours that was asked; empty where the system does not tell."""
    nonce: bytes
    size: int
    """Bytes of the datagram."""
    is_near: bool
    """Whether the asker is on a network of ours."""
    ask: bytes = b""
    """The nonce with which the answer asks in turn; empty: it does not."""

    @property
    def limit(self) -> int:
        """Bytes that all announcements in answer may have together; 0: each as many as a datagram."""
        return 0 if self.is_near else self.size


class Answering:
    """The rates of one discovery port."""

    def __init__(self, now: float) -> None:
        self._near = Buckets(NEAR_RATE, NEAR_BURST)
        self._relaying = Buckets(NEAR_RATE * RELAYING, NEAR_BURST * RELAYING)
        self._far = Buckets(FAR_RATE_IN, FAR_BURST_IN)
        self._all = TokenBucket(ALL_RATE, ALL_BURST, now)
        self._claims = TokenBucket(CLAIMS_RATE, CLAIMS_BURST, now)
        self._short = Buckets(1 / FAR_EVERY, 1.0)
        self._short_from = Buckets(1 / FAR_EVERY, FAR_BURST)
        self._all_short = TokenBucket(FAR_RATE, FAR_RATE, now)
        self._all_padded = TokenBucket(PADDED_RATE, PADDED_RATE, now)
        self._asked_back = TokenBucket(ASKED_BACK_RATE, ASKED_BACK_BURST, now)
        self._answered: OrderedDict[tuple[SocketAddress, bytes], float] = OrderedDict()

    def admits(self, host: str, now: float, *, is_near: bool, is_gateway: bool, is_known: bool) -> bool:
        """Whether a datagram from there is looked at; `is_known`: it is a server's that we have use for."""
        if is_gateway:
            return self._relaying.consume(host, now)
        if not (self._near if is_near else self._far).consume(host, now):
            return False
        return is_known or self._all.consume(now)

    def admits_claim(self, now: float, *, is_known: bool) -> bool:
        """Whether an announcement that answers nothing is looked at further."""
        return is_known or self._claims.consume(now)

    def is_repeated(self, asker: SocketAddress, nonce: bytes, now: float) -> bool:
        """Whether this very request was answered just now; one without a nonce never was."""
        if not nonce:
            return False
        key = asker, nonce
        repeated = now - self._answered.pop(key, -REPEATED_WITHIN) < REPEATED_WITHIN
        self._answered[key] = now
        if len(self._answered) > MOST_REPEATED:
            self._answered.popitem(last=False)
        return repeated

    def may_answer(self, request: Request, size: int, now: float) -> bool:
        """Whether an answer of so many bytes may go out."""
        if request.is_near:
            return True
        if size <= request.size:
            return self._all_padded.consume(now)
        host, port = request.asker
        return (
            self._short.consume(f"{host}:{port}", now)
            and self._short_from.consume(host, now)
            and self._all_short.consume(now)
        )

    def may_ask_back(self, now: float) -> bool:
        """Whether a server that asked may be asked by a request of its own."""
        return self._asked_back.consume(now)


def returnable(nonce: bytes) -> bytes:
    """A nonce of somebody else's, if it is one that we return: it must leave room in the datagram."""
    return nonce if len(nonce) <= LONGEST else b""
