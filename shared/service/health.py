"""The health of a process: its links, for /status, /metrics and its discovery process; its pulse."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from parley.shared.addresses import User
from parley.shared.dialects.dialect import CLIENTS, SERVERS, Recognized
from parley.shared.dialects.servers import ServerDialects
from parley.shared.link.link import Link
from parley.shared.peering.peer import Peer
from parley.shared.peering.peering import Peering
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.runtime.timer import clock
from parley.shared.telemetry.metrics import PEERS, Metrics
from parley.shared.telemetry.tallies import OTHER, Buckets, Names, Samples
from parley.shared.wire.messages import pb

STATES: Final = ("linked", "dialling", "known")
"""The states of a link to another server, for people; a server that is only known is not dialled."""
BEAT: Final = 0.5
"""Seconds between two looks at how late the event loop is."""
MEASURE: Final = 5.0
"""Seconds between two measurements of what a way to another server and back takes."""


class Observed(Protocol):
    """A process whose links are exported."""

    metrics: Metrics
    peering: Peering
    dialects: ServerDialects

    @property
    def feature(self) -> str:
        """The feature that the links are for."""

    @property
    def subscribers(self) -> Mapping[User, Sequence[Link]]:
        """The clients that are connected."""

    @property
    def subscriber_count(self) -> int:
        """How many clients are connected."""


def recognized(peer: Peer, dialects: ServerDialects) -> Recognized:
    """The dialect of another server, as its link has it; before there is one, as far as is known."""
    return peer.link.recognized if peer.link is not None else dialects.of(peer.server_id)


def export_links(process: Observed) -> None:
    """Have /metrics tell of a process's links."""
    metrics, peering, feature = process.metrics, process.peering, process.feature
    names = Names(PEERS)

    def subscribers() -> Samples:
        return [((feature,), process.subscriber_count)]

    def peers() -> Samples:
        return [((feature,), len(peering.links))]

    def peer_links() -> Samples:
        return _by_state(feature, peering.peers, names)

    def round_trips() -> Samples:
        return [
            ((feature, peer), link.session.rtt or 0.0)
            for peer, link in _named_links(peering.peers, names)
            if peer != OTHER and link.session.rtt is not None
        ]

    def reconnects() -> Samples:
        return [((feature, reason), count) for reason, count in peering.reconnects.items()]

    def duplicates() -> Samples:
        return [((feature, kept), count) for kept, count in peering.duplicates.items()]

    def peer_dialects() -> Samples:
        found = (recognized(peer, process.dialects) for peer in peering.peers)
        return _by_dialect(feature, SERVERS, found)

    def subscriber_dialects() -> Samples:
        links = (link.recognized for links in process.subscribers.values() for link in links)
        return _by_dialect(feature, CLIENTS, links)

    metrics.watch("parley_subscribers", "Client links", subscribers, ["feature"])
    metrics.watch("parley_peers", "Servers linked for this feature", peers, ["feature"])
    state = ["feature", "peer", "state"]
    metrics.watch("parley_peer_links", "Links to other servers: 1 for the state each is in", peer_links, state)
    spoken = ["feature", "dialect"]
    metrics.watch("parley_peer_dialects", "Other servers, by the dialect that each speaks", peer_dialects, spoken)
    theirs = "Client links, by the dialect that each speaks"
    metrics.watch("parley_subscriber_dialects", theirs, subscriber_dialects, spoken)
    peer = ["feature", "peer"]
    metrics.watch("parley_link_rtt_seconds", "From the last PING to its PONG", round_trips, peer)
    reconnected = "Servers linked again, by how the link before ended"
    metrics.watch_counter("parley_peer_reconnects", reconnected, reconnects, ["feature", "reason"])
    twice = "Links to a server that had one, by who dialled the one that was kept"
    metrics.watch_counter("parley_duplicate_links", twice, duplicates, ["feature", "kept"])


def _by_state(feature: str, peers: Sequence[Peer], names: Names) -> Samples:
    counts: dict[tuple[str, ...], float] = {}
    labels = names.labels([peer.server_id for peer in peers])
    for peer in peers:
        now = state_of(peer)
        for state in STATES if now != "known" else ("known",):  # there is no link that could be missed
            key = feature, labels[peer.server_id], state
            counts[key] = counts.get(key, 0.0) + (state == now)
    return counts.items()


def _by_dialect(feature: str, dialects: Iterable[str], found: Iterable[Recognized]) -> Samples:
    counts = Counter(each.dialect.name for each in found)
    return [((feature, name), counts[name]) for name in dialects]


def _named_links(peers: Sequence[Peer], names: Names) -> Iterator[tuple[str, Link]]:
    """Labels go to all peers, as they do above: a peer whose link is down would lose its own to another."""
    labels = names.labels([peer.server_id for peer in peers])
    return ((labels[peer.server_id], peer.link) for peer in peers if peer.link is not None)


# For people ------------------------------------------------------------------------------------------


def state_of(peer: Peer) -> str:
    """One of STATES."""
    if peer.link is not None:
        return "linked"
    return "dialling" if peer.connector is not None else "known"


def _last_error(peer: Peer) -> tuple[str, float]:
    """The last error, and how many seconds ago it was; empty: there was none."""
    connector = peer.connector
    if connector is None or not connector.last_error:
        return "", 0.0
    return connector.last_error, time.monotonic() - connector.failed_at


def peer_status(peer: Peer, known: Recognized) -> dict[str, object]:
    """The part of /status about another server, of which that dialect is known."""
    link = peer.link
    error, ago = _last_error(peer)
    return {
        "server_id": peer.server_id,
        "state": state_of(peer),
        "dialect": known.dialect.name,
        "why": known.why,
        "dialled_by_us": link.dialled if link is not None else None,
        "age_seconds": round(link.age, 3) if link is not None else None,
        "rtt_seconds": link.session.rtt if link is not None else None,
        "assurance": link.assurance.for_people if link is not None else None,
        "instance_id": link.identity.instance_id if link is not None else None,
        "endpoints": [str(endpoint) for endpoint in peer.endpoints],
        "last_error": error,
        "last_error_seconds_ago": round(ago, 3) if error else None,
    }


def link_states(peers: Sequence[Peer], dialects: ServerDialects) -> list[pb.LinkState]:
    """The same for our discovery process, sorted by name."""
    return [_link_state(each, recognized(each, dialects)) for each in sorted(peers, key=lambda p: p.server_id)]


def _link_state(peer: Peer, known: Recognized) -> pb.LinkState:
    link = peer.link
    error, ago = _last_error(peer)
    state = pb.LinkState(
        serverId=peer.server_id,
        linked=link is not None,
        lastError=error,
        errorAge=ago,
        dialect=known.dialect.name,
        why=known.why,
        notDialled=state_of(peer) == "known",
    )
    if link is not None:
        state.dialled, state.age = link.dialled, link.age
        state.assurance = link.assurance.for_people
        if link.session.rtt is not None:
            state.rtt = link.session.rtt
    return state


# The pulse ---------------------------------------------------------------------------------------------


class Pulse:
    """A timer that notes how late it comes, and has the ways to other servers measured now and then."""

    def __init__(self, lag: Buckets, measure: Callable[[], None], faults: Faults) -> None:
        self._lag = lag
        self._measure = measure
        self._loop = asyncio.get_running_loop()
        self._now = clock(self._loop)
        self._measured = self._now()
        self._timer = SupervisedTimer("measuring", self._beat, faults)
        self._set()

    def stop(self) -> None:
        """End."""
        self._timer.cancel()

    def _set(self) -> None:
        self._due = self._now() + BEAT
        self._timer.set(self._due)

    def _beat(self) -> None:
        now = self._now()
        self._lag.observe(max(now - self._due, 0.0))
        self._set()
        if now - self._measured >= MEASURE:
            self._measured = now
            self._measure()
