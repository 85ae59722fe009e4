"""The directory: server → feature → endpoints, each with when it was last heard. Pure; times are seconds.

An entry lives as long as it is heard or linked. A server heard at several addresses (a gateway relays
broadcasts on container networks) is one server; what was heard directly comes before what was relayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.addresses import Endpoint, Server, ServerList

PER_SERVER: Final = 0.5
"""Seconds between two requests for each server that answers them: 30 nodes exchange some 7 datagrams/s each."""
MISSED: Final = 3
"""Requests unanswered after which a server counts as silent."""


@dataclass
class _Heard:
    at: float
    relayed: bool


@dataclass
class Entry:
    """One server as heard."""

    server_id: str
    first_heard: float
    last_heard: float
    places: dict[tuple[str, Endpoint], _Heard] = field(default_factory=dict)
    """(feature, endpoint) → when and how it was heard."""
    linked: dict[str, frozenset[str]] = field(default_factory=dict)
    """Feature → the servers that it says it is linked with."""

    def server(self) -> Server:
        """For the processes: per feature, direct addresses first, then in the order first heard."""
        features: dict[str, tuple[Endpoint, ...]] = {}
        for relayed in (False, True):
            for (feature, endpoint), heard in self.places.items():
                if heard.relayed is relayed:
                    features[feature] = (*features.get(feature, ()), endpoint)
        return Server(self.server_id, features)


class Directory:
    """All other servers. `expiry`: seconds unheard and unlinked; `interval`: between two requests to few."""

    def __init__(self, expiry: float, interval: float) -> None:
        self._expiry = expiry
        self._interval = interval
        self._entries: dict[str, Entry] = {}
        self._linked: dict[object, frozenset[str]] = {}

    @property
    def entries(self) -> list[Entry]:
        """In the order in which the servers were first heard."""
        return list(self._entries.values())

    @property
    def servers(self) -> ServerList:
        """What SERVER_LIST carries."""
        return tuple(entry.server() for entry in self._entries.values())

    @property
    def interval(self) -> float:
        """Seconds between two requests: the more servers there are to answer each, the more seldom they are asked.

        A new server is not found later for it: it asks, and is asked in turn.
        """
        return max(self._interval, min(PER_SERVER * len(self._entries), self._expiry / MISSED))

    @property
    def _stale(self) -> float:
        """Seconds unheard after which a server, or one address of several, counts as silent."""
        return MISSED * self.interval

    def heard(
        self, server: Server, now: float, *, relayed: bool, linked: Mapping[str, frozenset[str]] | None = None
    ) -> bool:
        """Note an announcement; whether the processes must be told: something new, or back from silence."""
        entry = self._entries.setdefault(server.server_id, Entry(server.server_id, now, now))
        was_silent = now - entry.last_heard > self._stale
        entry.last_heard = now
        entry.linked.update(linked or {})
        changed = was_silent or not entry.places
        for feature, endpoints in server.features.items():
            for endpoint in endpoints:
                changed |= (feature, endpoint) not in entry.places
                entry.places[feature, endpoint] = _Heard(now, relayed)
        return changed

    def set_linked(self, process: object, server_ids: Iterable[str]) -> None:
        """What one of our processes is linked with; an empty set when it is gone."""
        self._linked[process] = frozenset(server_ids)
        if not self._linked[process]:
            del self._linked[process]

    def is_silent(self, entry: Entry, now: float) -> bool:
        """Whether nothing was heard of a server for too long."""
        return now - entry.last_heard > self._stale

    def is_linked(self, server_id: str) -> bool:
        """Whether any of our processes has a link to it."""
        return any(server_id in linked for linked in self._linked.values())

    def expire(self, now: float) -> bool:
        """Drop what is neither heard nor linked; whether anything was dropped."""
        gone = [
            entry.server_id
            for entry in self._entries.values()
            if now - entry.last_heard >= self._expiry and not self.is_linked(entry.server_id)
        ]
        for server_id in gone:
            del self._entries[server_id]
        dropped = [self._drop_stale(entry, now) for entry in self._entries.values()]
        return bool(gone) or any(dropped)

    def _drop_stale(self, entry: Entry, now: float) -> bool:
        """Drop addresses that a server is no longer heard at while it is heard elsewhere."""
        if now - entry.last_heard > self._stale:
            return False
        old = [place for place, heard in entry.places.items() if now - heard.at > self._stale]
        for place in old:
            del entry.places[place]
        return bool(old)
