"""How many servers the directory takes in, from one address and in all. Pure; times are seconds, monotonic.

An address may announce several servers (a gateway those behind it), but not as many as it likes, nor new ones as
fast as it likes. Where an address has its share, or all is full, a newcomer takes the place of the one that has
been there longest to no use; if there is none, the newcomer is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

from parley.shared.limits.token_buckets import Buckets, TokenBucket

GATEWAY: Final = 8
"""Times as many servers may be announced by a gateway, which relays others' announcements."""
LOOKED_AT: Final = 64
"""Servers that are asked to make room for one newcomer."""
NEW_FROM_ONE: Final = 0.1
NEW_IN_ALL: Final = 2.0
"""New servers a second, once the shares were used up at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many servers in all, and from one address."""

    servers: int = 1000
    from_one: int = 32


class GivesWay(Protocol):
    """Whether a server that is there makes room for a new one (`to_answer`: that answers us)."""

    def __call__(self, server_id: str, now: float, *, to_answer: bool) -> bool:
        """Whether it does."""


class Crowd:
    """Which server came from which address, in the order in which they came."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_source: dict[str, OrderedDict[str, None]] = {}
        self._source_of: OrderedDict[str, str] = OrderedDict()
        self._new = Buckets(NEW_FROM_ONE, float(limits.from_one))
        self._new_relayed = Buckets(NEW_FROM_ONE * GATEWAY, float(limits.from_one * GATEWAY))
        self._all_new: TokenBucket | None = None

    @property
    def sources(self) -> int:
        """From how many addresses servers are known."""
        return len(self._by_source)

    def admit(
        self, source: str, now: float, *, is_gateway: bool, answered: bool, gives_way: GivesWay
    ) -> str | None:
        """Whether a new server may come in. None: no; else the serverId that makes room for it, or empty."""
        share = self._limits.from_one * (GATEWAY if is_gateway else 1)
        theirs = self._by_source.get(source, OrderedDict())
        crowded: OrderedDict[str, Any] | None = None
        if len(theirs) >= share:
            crowded = theirs
        elif len(self._source_of) >= self._limits.servers:
            crowded = self._source_of
        yielding = ""
        if crowded is not None:
            yielding = self._first(crowded, now, answered=answered, gives_way=gives_way)
            if not yielding:
                return None
        return yielding if self._may_come(source, now, is_gateway=is_gateway, answered=answered) else None

    def _may_come(self, source: str, now: float, *, is_gateway: bool, answered: bool) -> bool:
        """Not too many new ones at once, from one address and, of those that answer nothing, in all."""
        if not (self._new_relayed if is_gateway else self._new).consume(source, now):
            return False
        self._all_new = self._all_new or TokenBucket(NEW_IN_ALL, float(self._limits.servers), now)
        return answered or self._all_new.consume(now)

    @staticmethod
    def _first(candidates: OrderedDict[str, Any], now: float, *, answered: bool, gives_way: GivesWay) -> str:
        """The one that came first of those that make room; those that were looked at come last for it."""
        for server_id in list(islice(candidates, LOOKED_AT)):
            if gives_way(server_id, now, to_answer=answered):
                return server_id
            candidates.move_to_end(server_id)
        return ""

    def add(self, server_id: str, source: str) -> None:
        """A server came into the directory."""
        self._source_of[server_id] = source
        self._by_source.setdefault(source, OrderedDict())[server_id] = None

    def remove(self, server_id: str) -> None:
        """A server left the directory."""
        source = self._source_of.pop(server_id)
        theirs = self._by_source[source]
        del theirs[server_id]
        if not theirs:
            del self._by_source[source]
