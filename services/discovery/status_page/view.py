"""The content of the status page: servers and the links between them, as this node knows them. Pure.

Our own links are what our processes report. Of links between other servers we know what those announce: two servers
that announce no links at all have none in the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from parley.services.discovery.directory.directory import Directory, Entry
from parley.services.discovery.metrics import Report, state_of
from parley.services.discovery.status_page.keys import ShownKey
from parley.shared.wire.messages import FEATURES, pb

NAMES: Final = {"MESSAGES": "chat", "TYPING_INDICATOR": "typing", "LIVE_LOCATION": "location"}
"""The features' names for people."""
LINKED: Final = "linked"
PARTLY: Final = "partly linked"
DOWN: Final = "not linked"
"""The states of an edge: each feature that both servers offer is linked; some are; none is."""

AMONG: Final = 64
"""Servers between which pairs are shown, besides those with us: their number grows with the square of it."""

States = Mapping[str, bool]
"""Feature → whether it is linked."""


@dataclass(frozen=True, slots=True)
class Node:
    """A server."""

    server_id: str
    is_own: bool
    features: tuple[str, ...]
    heard: float | None
    """Seconds since its last announcement; None: never, or it is our own."""
    is_silent: bool
    addresses: tuple[str, ...] = ()

    @property
    def lacks(self) -> list[str]:
        """Which of the features that we know it does not offer, as people call them."""
        return [name for feature, name in NAMES.items() if feature not in self.features]


@dataclass(frozen=True, slots=True)
class Edge:
    """The links between two servers; `one` comes before `other`."""

    one: str
    other: str
    features: States

    @property
    def state(self) -> str:
        """LINKED, PARTLY or DOWN."""
        linked = sum(self.features.values())
        return LINKED if linked == len(self.features) else PARTLY if linked else DOWN

    @property
    def missing(self) -> list[str]:
        """The features that are not linked."""
        return [feature for feature, linked in self.features.items() if not linked]


@dataclass(frozen=True, slots=True)
class OwnLink:
    """A link of one of our processes, for the table."""

    peer: str
    feature: str
    state: str
    age: float | None
    rtt: float | None
    error: str
    """The last error; of a link that stands it is over."""
    error_age: float
    """Seconds since then."""
    assurance: str = ""
    """How the server is known; empty: it is not linked."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The dialect that a server speaks, as processes of ours recognised it."""

    server_id: str
    dialect: str
    why: str
    features: tuple[str, ...]
    """Those whose processes say so."""


@dataclass(frozen=True, slots=True)
class View:
    """All of it."""

    server_id: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    links: tuple[OwnLink, ...]
    missing: tuple[str, ...]
    """Features that no process of this node serves."""
    dialects: tuple[Spoken, ...] = ()
    keys: tuple[ShownKey, ...] = ()


def view(
    server_id: str,
    directory: Directory,
    offered: Iterable[str],
    reports: Sequence[Report],
    now: float,
    keys: Callable[[Iterable[str]], tuple[ShownKey, ...]] = lambda _names: (),
) -> View:
    """The view of the present state; `keys` gives those of servers."""
    offered = frozenset(offered)
    ours = Node(server_id, True, _in_order(offered), None, False)
    nodes = [ours, *(_node(entry, directory, now) for entry in directory.entries)]
    known = {node.server_id for node in nodes}
    linked = {link.serverId for report in reports for link in report.links} - known
    nodes += [Node(name, False, (), None, False) for name in sorted(linked)]
    nodes.sort(key=lambda node: node.server_id)
    edges = [*_own_edges(server_id, nodes, offered, reports), *_other_edges(directory)]
    return View(
        server_id,
        tuple(nodes),
        tuple(sorted(edges, key=lambda edge: (edge.one, edge.other))),
        tuple(sorted(_own_links(reports, now), key=lambda link: (link.peer, FEATURES.index(link.feature)))),
        tuple(feature for feature in FEATURES if feature not in offered),
        tuple(_dialects(reports)),
        keys(node.server_id for node in nodes),
    )


def _in_order(features: Iterable[str]) -> tuple[str, ...]:
    """Those that we know first."""
    given = set(features)
    return (*(each for each in FEATURES if each in given), *sorted(given - set(FEATURES)))


def _node(entry: Entry, directory: Directory, now: float) -> Node:
    hosts = sorted({endpoint.host for _, endpoint in entry.endpoints})
    features = _in_order(feature for feature, _ in entry.endpoints)
    heard = now - entry.last_heard
    return Node(entry.server_id, False, features, heard, directory.is_silent(entry, now), tuple(hosts))


def _own_edges(
    server_id: str, nodes: Sequence[Node], offered: frozenset[str], reports: Sequence[Report]
) -> Iterable[Edge]:
    """One to each other server that shares a feature with us and is dialled, or with which we have a link."""
    reported: dict[str, dict[str, pb.LinkState]] = {}
    for report in reports:
        for link in report.links:
            reported.setdefault(link.serverId, {})[report.feature] = link
    for node in nodes:
        links = reported.get(node.server_id, {})
        left_alone = {feature for feature, link in links.items() if state_of(link) == "known"}
        wanted = _in_order(((set(node.features) & (set(FEATURES) | offered)) | links.keys()) - left_alone)
        if wanted and not node.is_own:
            states = {feature: feature in links and links[feature].linked for feature in wanted}
            one, other = sorted((server_id, node.server_id))
            yield Edge(one, other, states)


def _other_edges(directory: Directory) -> Iterable[Edge]:
    """Between servers of which one at least tells of its links; of many servers, between those linked with us.

    With one that is no Parley only what is linked: others may leave it alone.
    """
    ranked = sorted(directory.entries, key=lambda e: (not directory.is_linked(e.server_id), e.server_id))
    entries = sorted(ranked[:AMONG], key=lambda entry: entry.server_id)
    telling = {entry.server_id for entry in entries if any(entry.linked.values())}
    offered = {entry.server_id: {feature for feature, _ in entry.endpoints} & set(FEATURES) for entry in entries}
    for one, other in combinations(entries, 2):
        shared = offered[one.server_id] & offered[other.server_id]
        if shared and (one.server_id in telling or other.server_id in telling):
            states = {feature: _are_linked(one, other, feature, telling) for feature in _in_order(shared)}
            if not all(each.mark or each.server_id in telling for each in (one, other)):
                states = {feature: True for feature, linked in states.items() if linked}
            if states:
                yield Edge(one.server_id, other.server_id, states)


def _are_linked(one: Entry, other: Entry, feature: str, telling: Container[str]) -> bool:
    """Whether each of the two that tells says so: of a process that has died, what it said last remains."""
    says_so = [
        peer.server_id in teller.linked.get(feature, ())
        for teller, peer in ((one, other), (other, one))
        if teller.server_id in telling
    ]
    return all(says_so)


def _own_links(reports: Sequence[Report], now: float) -> Iterable[OwnLink]:
    for report in reports:
        for link in report.links:
            yield OwnLink(
                link.serverId,
                report.feature,
                state_of(link),
                link.age + now - report.at if link.linked else None,
                link.rtt if link.HasField("rtt") else None,
                link.lastError,
                link.errorAge + now - report.at,
                link.assurance,
            )


def _dialects(reports: Sequence[Report]) -> Iterable[Spoken]:
    """A line for each server; where our processes disagree, a line for each opinion."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for report in reports:
        for link in (each for each in report.links if each.dialect):
            found.setdefault((link.serverId, link.dialect, link.why), []).append(report.feature)
    return [Spoken(*opinion, _in_order(features)) for opinion, features in sorted(found.items())]
