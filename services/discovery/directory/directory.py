"""The directory: server → feature → endpoints, each with when it was last heard. Pure; times are seconds.

An entry lives as long as it is heard or linked. A server heard at several addresses (a gateway relays broadcasts
on container networks) is one server; what was heard directly comes before what was relayed.

A sender decides neither how many servers there are nor how many places one has (server_limits.py). A server that is
linked or was configured never makes room for another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from parley.services.discovery.announcing.server_limits import Crowd, Limits
from parley.shared.addresses import Endpoint, Mark, Server, ServerList
from parley.shared.names import fold
from parley.shared.spellings import ByName

PER_SERVER: Final = 0.5
"""Seconds between two requests for each server that answers them: 30 nodes exchange some 7 datagrams/s each."""
MISSED: Final = 3
"""Requests unanswered after which a server counts as silent."""
HOSTS_EACH: Final = 8
"""Addresses that a server may be at."""
PORTS_EACH: Final = 3
"""Ports of one feature that it may have at one address: an old one, until that is stale, and a new one."""
FEATURES_EACH: Final = 16
SETTLED: Final = 10.0
"""Seconds after which a place that came of no link gives way to a new one."""


class Hearing(Enum):
    """The outcome of an announcement."""

    SAME = "same"
    CHANGED = "changed"
    """The processes must be told: something new, or back from silence."""
    NEW = "new"
    """… a server that was not known."""
    REFUSED = "refused"
    """There was no room for the server, or for a place of it."""

    def __bool__(self) -> bool:
        return self in (Hearing.CHANGED, Hearing.NEW)


@dataclass(slots=True)
class _Heard:
    since: float
    at: float
    relayed: bool
    answered: bool


Place = tuple[str, Endpoint]
"""A feature, and where it is."""


@dataclass
class Entry:
    """One server as heard."""

    server_id: str
    first_heard: float
    last_heard: float
    source: str = ""
    """The address that it was first heard from: its share of the directory is this address's."""
    answered: bool = False
    """Whether it ever answered a request of ours."""
    pinned: bool = False
    """Whether it was heard at an address that was configured."""
    mark: Mark | None = None
    key: bytes = b""
    """The key that it proved to have; empty: it is spoken to in plain."""
    endpoints: dict[Place, _Heard] = field(default_factory=dict)
    """(feature, endpoint) → when and how it was heard."""
    linked: dict[str, frozenset[str]] = field(default_factory=dict)
    """Feature → the servers that it says it is linked with."""

    def server(self) -> Server:
        """For the processes, per feature: direct addresses first, then those that answered, then the older."""
        features: dict[str, list[Endpoint]] = {}
        ranked = sorted(self.endpoints.items(), key=lambda place: (place[1].relayed, not place[1].answered))
        for (feature, endpoint), heard in ranked:
            features.setdefault(feature, []).append(_marked(endpoint, heard))
        endpoints = {name: tuple(found) for name, found in features.items()}
        return Server(self.server_id, endpoints, self.mark, heard=True, key=self.key)

    @property
    def hosts(self) -> set[str]:
        """Where it was heard."""
        return {endpoint.host for _, endpoint in self.endpoints}


def _marked(endpoint: Endpoint, heard: _Heard) -> Endpoint:
    return Endpoint(endpoint.host, endpoint.port, endpoint.udp_port, heard.answered)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of the directory from what was told before."""

    servers: ServerList
    gone: Sequence[str]


class Directory:
    """All other servers. `expiry`: seconds unheard and unlinked; `interval`: between two requests to few."""

    def __init__(self, expiry: float, interval: float, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self._expiry = expiry
        self._interval = interval
        self._entries: ByName[Entry] = ByName()
        self._linked: dict[object, frozenset[str]] = {}
        self._crowd = Crowd(limits)
        self._changed: dict[str, None] = {}
        self._useful: frozenset[str] = frozenset()

    @property
    def entries(self) -> list[Entry]:
        """In the order in which the servers were first heard."""
        return list(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, server_id: object) -> bool:
        return server_id in self._entries

    @property
    def servers(self) -> ServerList:
        """The servers that a whole SERVER_LIST carries."""
        return tuple(entry.server() for entry in self._entries.values())

    def take_difference(self) -> Difference:
        """The changes since this was asked last."""
        names, self._changed = self._changed, {}
        changed = tuple(self._entries[name].server() for name in names if name in self._entries)
        return Difference(changed, [name for name in names if name not in self._entries])

    @property
    def interval(self) -> float:
        """Seconds between two requests: the more servers there are to answer each, the more seldom they are asked.

        A new server is not found later for it: it asks, and is asked in turn. Names that one address claims count
        as one server: nobody slows our asking down by claiming many.
        """
        return max(self._interval, min(PER_SERVER * self._crowd.sources, self._expiry / MISSED))

    @property
    def _stale(self) -> float:
        """Seconds unheard after which a server, or one address of several, counts as silent."""
        return MISSED * self.interval

    # Hearing --------------------------------------------------------------------------------------

    def heard(
        self,
        server: Server,
        now: float,
        *,
        relayed: bool,
        linked: Mapping[str, frozenset[str]] | None = None,
        source: str = "",
        answered: bool = False,
        pinned: bool = False,
    ) -> Hearing:
        """Note an announcement. `answered`: it answers a request of ours; `pinned`: its address was configured."""
        source = source or next((e.host for endpoints in server.features.values() for e in endpoints), "")
        entry = self._entries.get(server.server_id)
        is_new = entry is None
        if entry is None:
            entry = self._admit(server.server_id, source, now, relayed=relayed, answered=answered, pinned=pinned)
            if entry is None:
                return Hearing.REFUSED
        if entry.key and not server.key:
            return Hearing.REFUSED  # there was no room to pin its key
        if changed_key := entry.key != server.key:
            entry.key = server.key
            entry.endpoints.clear()  # whoever was heard there had another key, or none
        was_silent = now - entry.last_heard > self._stale
        changed, refused = self._note_endpoints(entry, server, now, relayed=relayed, answered=answered)
        changed |= changed_key or (entry.mark is None and server.mark is not None)
        entry.mark = server.mark or entry.mark
        entry.last_heard = now
        entry.answered |= answered
        entry.pinned |= pinned
        entry.linked.update(linked or {})
        if is_new or was_silent or changed:
            self._changed[entry.server_id] = None
            return Hearing.NEW if is_new else Hearing.CHANGED
        return Hearing.REFUSED if refused else Hearing.SAME

    def _admit(
        self, server_id: str, source: str, now: float, *, relayed: bool, answered: bool, pinned: bool
    ) -> Entry | None:
        """A new entry, if there is room, or somebody gives way."""
        yielding = self._crowd.admit(source, now, is_gateway=relayed, answered=answered, gives_way=self._gives_way)
        if yielding is None:
            return None
        if yielding:
            self._drop(yielding)
        entry = Entry(server_id, now, now, source, answered, pinned)
        self._entries[server_id] = entry
        self._crowd.add(server_id, source)
        return entry

    def _gives_way(self, server_id: str, now: float, *, to_answer: bool) -> bool:
        """Whether a server makes room: it is of no use, and had time to be linked; or only claims to be there."""
        entry = self._entries[server_id]
        if entry.pinned or self.is_linked(server_id):
            return False
        return now - entry.first_heard >= SETTLED or (to_answer and not entry.answered)

    def _note_endpoints(
        self, entry: Entry, server: Server, now: float, *, relayed: bool, answered: bool
    ) -> tuple[bool, bool]:
        """Note where it is; whether that is anything new, and whether anything was refused."""
        changed = refused = False
        for feature, endpoints in server.features.items():
            for endpoint in endpoints:
                known = entry.endpoints.get((feature, endpoint))
                if known is not None:
                    changed |= answered and not known.answered
                    known.at, known.relayed, known.answered = now, relayed, known.answered or answered
                elif self._has_room(entry, feature, endpoint, now, answered=answered):
                    entry.endpoints[feature, endpoint] = _Heard(now, now, relayed, answered)
                    changed = True
                else:
                    refused = True
        return changed, refused

    def _has_room(self, entry: Entry, feature: str, endpoint: Endpoint, now: float, *, answered: bool) -> bool:
        """Whether a server may have one more place; one of too many others may give way to it."""
        there = [p for p in entry.endpoints if p[1].host == endpoint.host]
        if there:
            same = [p for p in there if p[0] == feature]
            if len(same) < PORTS_EACH:
                return bool(same) or len({p[0] for p in there}) < FEATURES_EACH
            return self._make_room(entry, [[p] for p in same], now, answered=answered)
        hosts = entry.hosts
        if len(hosts) < HOSTS_EACH:
            return True
        by_host = [[p for p in entry.endpoints if p[1].host == host] for host in hosts]
        return self._make_room(entry, by_host, now, answered=answered)

    def _make_room(self, entry: Entry, groups: list[list[Place]], now: float, *, answered: bool) -> bool:
        """Drop the group of places that was known longest without coming to anything.

        While the server is linked nothing new is needed, and what is there led to the link.
        """
        if self.is_linked(entry.server_id):
            return False

        def may_go(group: list[Place]) -> bool:
            heard = [entry.endpoints[place] for place in group]
            claimed = answered and not any(h.answered for h in heard)
            return claimed or all(now - h.since >= SETTLED for h in heard)

        able = [group for group in groups if may_go(group)]
        if not able:
            return False
        oldest = min(
            able, key=lambda group: (max(entry.endpoints[p].at for p in group), entry.endpoints[group[0]].since)
        )
        for place in oldest:
            del entry.endpoints[place]
        return True

    def distrust(self, is_wrong: Callable[[str, bytes], bool]) -> bool:
        """Drop those that have a key which is theirs no longer; whether anything was dropped."""
        wrong = [entry.server_id for entry in self._entries.values() if is_wrong(entry.server_id, entry.key)]
        for server_id in wrong:
            self._drop(server_id)
        return bool(wrong)

    # Links ------------------------------------------------------------------------------------------

    def set_linked(self, process: object, server_ids: Iterable[str]) -> None:
        """Note the servers that one of our processes is linked with; an empty set when it is gone."""
        self._linked[process] = frozenset(map(fold, server_ids))
        if not self._linked[process]:
            del self._linked[process]
        linked = frozenset[str]().union(*self._linked.values())
        known = [self._entries[server_id] for server_id in linked if server_id in self._entries]
        self._useful = frozenset(host for entry in known for host in entry.hosts)

    def is_silent(self, entry: Entry, now: float) -> bool:
        """Whether nothing was heard of a server for too long."""
        return now - entry.last_heard > self._stale

    def is_linked(self, server_id: str) -> bool:
        """Whether any of our processes has a link to it."""
        name = fold(server_id)
        return any(name in linked for linked in self._linked.values())

    def is_useful(self, host: str) -> bool:
        """Whether a server that we are linked with is at that address."""
        return host in self._useful

    # Forgetting ---------------------------------------------------------------------------------------

    def expire(self, now: float) -> bool:
        """Drop what is neither heard nor linked; whether anything was dropped."""
        gone = [
            entry.server_id
            for entry in self._entries.values()
            if now - entry.last_heard >= self._expiry and not self.is_linked(entry.server_id)
        ]
        for server_id in gone:
            self._drop(server_id)
        dropped = [self._drop_stale(entry, now) for entry in self._entries.values()]
        return bool(gone) or any(dropped)

    def _drop(self, server_id: str) -> None:
        del self._entries[server_id]
        self._crowd.remove(server_id)
        self._changed[server_id] = None

    def _drop_stale(self, entry: Entry, now: float) -> bool:
        """Drop addresses that a server is no longer heard at while it is heard elsewhere."""
        if now - entry.last_heard > self._stale:
            return False
        old = [place for place, heard in entry.endpoints.items() if now - heard.at > self._stale]
        for place in old:
            del entry.endpoints[place]
        if old:
            self._changed[entry.server_id] = None
        return bool(old)
