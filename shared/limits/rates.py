"""How often a link, and all links from an address, may have us do what is nobody's message. Pure.

Messages and acknowledgements have no rate: they have their turns (turn.py). PINGs, requests and faults have. Above
it a link is read more slowly, and who goes on for TOLERATED seconds is hung up on. What an address has beyond its
share only slows its links down: others may be behind it. A server stands for many, and has FACTOR times as much.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from parley.shared.limits.token_buckets import Buckets, TokenBucket

DATAGRAMS: Final = (50.0, 500.0)
"""So many a second, and so many at once, from one port of an address, each a subscriber's."""
RATES: Final = {
    "pings": (50.0, 500.0),
    "frames": (50.0, 1000.0),
    "requests": (100.0, 2000.0),
    "edits": (5.0, 100.0),
    "events": DATAGRAMS,
}
"""Kind → the same. `frames` are those that were at fault, `events` a client's typing and locations.

For an edit the archive looks through a conversation.
"""
COPIES: Final = 20
"""Copies of one edit, for members of a group here, that count as one: they are in the same places."""
FACTOR: Final = 20
"""A server, and all links or ports of one address together, may have so many times as much."""
FAILED: Final = (10.0, 300.0)
"""The same of connections from one address that never became links."""
SLOWED: Final = 1.0
"""Seconds for which a link rests because of others from its address."""
LONGEST: Final = 5.0
"""Seconds that a link rests at most."""
TOLERATED: Final = 30.0
"""Seconds for which a link may go on."""


@dataclass(slots=True)
class Used:
    """The token buckets of one link."""

    buckets: dict[str, TokenBucket] = field(default_factory=dict)
    over_since: float | None = None
    """Since when it has had more than it may, without a pause."""
    copied: Hashable = None
    copies: int = 0
    """The last thing that it had copies of, and how many."""

    def counts_copy(self, of: Hashable) -> bool:
        """Note a copy of something; whether it counts: the first of COPIES does."""
        self.copied, self.copies = of, self.copies + 1 if of == self.copied else 1
        return self.copies % COPIES == 1


@dataclass(frozen=True, slots=True)
class Rest:
    """The consequence for a link: so many seconds of rest, or its end."""

    seconds: float
    is_end: bool = False


class Rates:
    """Those of one process. Times are seconds, monotonic."""

    def __init__(self) -> None:
        self._addresses = {what: Buckets(FACTOR * rate, FACTOR * burst) for what, (rate, burst) in RATES.items()}
        self._failed = Buckets(*FAILED)

    def spend(
        self, used: Used, address: str, what: str, now: float, *, amount: int, is_server: bool
    ) -> Rest | None:
        """A link had so many more; None: that is all right."""
        bucket = used.buckets.get(what)
        if bucket is None:
            rate, burst = RATES[what]
            factor = FACTOR if is_server else 1
            bucket = used.buckets[what] = TokenBucket(factor * rate, factor * burst, now)
        seconds = bucket.spend(now, amount)
        is_slowed = not is_server and not self._addresses[what].consume(address, now, amount)
        if seconds <= 0.0:
            used.over_since = None
            return Rest(SLOWED) if is_slowed else None
        if used.over_since is None:
            used.over_since = now
        return Rest(min(seconds, LONGEST), is_end=now - used.over_since > TOLERATED and not is_server)

    def failed(self, address: str, now: float) -> None:
        """A connection from there was at fault before it was a link."""
        self._failed.of(address, now).consume(now)

    def is_suspect(self, address: str, now: float) -> bool:
        """Whether so many were that another may wait."""
        return not self._failed.of(address, now).consume(now, 0.5)


class DatagramRates:
    """How many datagrams of subscribers are looked at: from one port of an address, and from all of them together.

    There is nobody to be read more slowly: what is more is dropped. Strangers' are not counted: they can say that
    they come from anywhere.
    """

    def __init__(self) -> None:
        rate, burst = DATAGRAMS
        self._ports = Buckets(rate, burst)
        self._addresses = Buckets(FACTOR * rate, FACTOR * burst)

    def allows(self, host: str, port: int, now: float) -> bool:
        """Whether another one from there is looked at."""
        return self._ports.consume((host, port), now) and self._addresses.consume(host, now)
