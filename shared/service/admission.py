"""Admission: which of the connections to a process stay, by the rules of connections.py.

A server's link is never given up for room: there is one for each server that this one deals with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from parley.shared.limits.connections import OF_USER, USED, Connections, who_goes
from parley.shared.limits.token_buckets import TokenBucket
from parley.shared.link.link import Link
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.runtime.timer import clock
from parley.shared.telemetry.logs import Log
from parley.shared.telemetry.metrics import Metrics
from parley.shared.wire.messages import pb

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LINES: Final = 4
"""Lines of log a minute about connections that were given up."""


class Admission:
    """The accepted links of a process; a link adds itself when its connection is made, and goes when it is gone.

    `links`: all links of the process, those that it dialled too.
    """

    def __init__(self, links: set[Link], metrics: Metrics, log: Callable[[], Log], faults: Faults) -> None:
        self._links = links
        self._metrics = metrics
        self._log = log
        self._connections: Connections[Link] = Connections()
        self._timer = SupervisedTimer("looking for connections that say nothing", self._look, faults)
        self._is_over = False
        self._lines = TokenBucket(LINES / 60, LINES, 0.0)
        self._most_descriptors = _allowed() * USED
        metrics.watch_value(
            "parley_connections_unconnected",
            "Accepted connections whose other side has not said who it is",
            lambda: self._connections.unconnected,
        )

    def add(self, link: Link) -> None:
        """A connection was accepted; nothing came over it yet."""
        self._links.add(link)
        now, address = _now(), link.remote_host
        self._connections.came(link, address, now)
        if self._connections.too_many(address):
            self._give_up(link, "connections", now)
        elif self._is_over:  # it was accepted before the end, and is made after it
            link.hang_up()
        elif link.descriptor > self._most_descriptors:  # the system gives the lowest that is free
            largest = self._connections.newest_of_the_largest(_may_go)
            self._give_up(largest or link, "descriptors", now)
        if not self._is_over:
            self._timer.set(self._connections.next_look(address))

    def admitted(self, link: Link) -> None:
        """A link has said who it is, and was let in."""
        self._connections.connected(link)

    def has_room_for_another(self, links: Sequence[Link], address: str) -> bool:
        """Whether a user with these clients may have one more, from that address; another one may go for it."""
        if len(links) < OF_USER:
            return True
        now = _now()
        goes = who_goes(links, address, lambda link: link.remote_host, lambda link: link.heard_at, now)
        if goes is None:
            self._metrics.limited("connections", "roster")
            return False
        self._give_up(goes, "connections", now)
        return True

    def discard(self, link: Link) -> None:
        """A link is gone."""
        self._links.discard(link)
        self._connections.went(link)

    def _look(self) -> None:
        """Those that say nothing have had their moment; what is left of them goes with the loop's next turns."""
        now = _now()
        for link in self._connections.silent(now):
            self._give_up(link, "connections", now)
        self._timer.set(self._connections.next_look())

    def _give_up(self, link: Link, what: str, now: float) -> None:
        self._metrics.limited(what, "listener")
        if self._lines.consume(now):
            self._log().warning("connections_limited", what=what, open=len(self._connections))
        self._connections.went(link)
        link.hang_up(pb.HangUp.TIMEOUT)

    def stop(self) -> None:
        """Look no more, and let nobody in any more."""
        self._is_over = True
        self._timer.cancel()


def _may_go(link: Link) -> bool:
    return not link.is_open or link.identity.is_client


def _now() -> float:
    return clock(asyncio.get_running_loop())()


def _allowed() -> float:
    """How many descriptors this process may have."""
    if resource is None:
        return float("inf")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return float("inf") if soft == resource.RLIM_INFINITY else float(soft)
