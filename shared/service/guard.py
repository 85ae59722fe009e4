"""The guard of a process against links that cost too much: it slows them, closes them, logs little of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from parley.shared.config import LimitsConfig
from parley.shared.limits import buffers
from parley.shared.limits.rates import Rates
from parley.shared.link.turn import turn_of
from parley.shared.telemetry.log_throttle import LogThrottle
from parley.shared.telemetry.logs import Log
from parley.shared.telemetry.metrics import Metrics
from parley.shared.wire.messages import pb

if TYPE_CHECKING:
    from parley.shared.link.link import Link

Complaint = Literal[
    "devices_changed", "federation_join_refused", "federation_joined", "federation_list_refused", "frame_rejected",
    "frame_too_long", "link_closed", "peer_connected", "peer_disconnected", "server_discovered", "user_refused",
]  # fmt: skip
"""A kind of line about others."""
MOST: Final[Mapping[str, int]] = dict.fromkeys(get_args(Complaint), 2)
"""Kinds of lines → how many are written in a minute; a node has four processes that may."""
WARNINGS: Final = frozenset(
    {"federation_join_refused", "federation_list_refused", "frame_rejected", "frame_too_long", "user_refused"}
)
"""Those that are warnings; the others tell what happens every day, and so does the number of those left out."""
FAULTS: Final = frozenset({"malformed", "too_large", "handshake_timeout", "insecure"})
"""How a connection ends that never became a link, by its own fault."""


class Guarded(Protocol):
    """A process with links."""

    metrics: Metrics
    log: Log

    @property
    def links(self) -> Collection[Link]:
        """All of them."""


class Guard:
    """Of one process."""

    def __init__(self, process: Guarded, limits: LimitsConfig) -> None:
        self._process = process
        self._limits = limits
        self._complaints = LogThrottle(MOST)
        self._rates = Rates()
        self._later: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch what the links of this loop hold."""
        turn_of(asyncio.get_running_loop()).turn.look = self.look

    def stop(self) -> None:
        """Say no more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    # Rates ------------------------------------------------------------------------------------

    def counts(self, link: Link, what: str, amount: int, copy_of: Hashable = None) -> None:
        """A link had so many more of what has a rate; `connections`: it is new.

        `copy_of`: these are one of many copies of that.
        """
        if copy_of is not None and not link.used.counts_copy(copy_of):
            return
        now = asyncio.get_running_loop().time()
        if what == "connections":
            if self._rates.is_suspect(link.remote_host, now):
                self._process.metrics.limited("connections", "link")
                link.rest(1.0)
            return
        is_server = bool(link.identity.server_id) or link.dialled
        rest = self._rates.spend(link.used, link.remote_host, what, now, amount=amount, is_server=is_server)
        if rest is None:
            return
        self._process.metrics.limited(what, "link", amount)
        if rest.is_end:
            link.hang_up(pb.HangUp.TIMEOUT)
        else:
            link.rest(rest.seconds)

    def ended(self, link: Link, reason: str) -> None:
        """A connection is over: whether its address may have others at once."""
        if not link.was_open and not link.dialled and reason in FAULTS:
            self._rates.failed(link.remote_host, asyncio.get_running_loop().time())

    # Buffers -------------------------------------------------------------------------------------

    def look(self) -> None:
        """See to it that all links together hold no more than they may."""
        buffers.look(self._process.links, self._limits.read_bytes, self._limits.send_bytes, self._lose)

    def _lose(self, link: Link, what: str) -> None:
        self._process.metrics.limited(what, "link")
        link.hang_up(pb.HangUp.TIMEOUT)
        link.abort()

    # Lines -----------------------------------------------------------------------------------------

    def complain(self, kind: Complaint, write: Callable[[], None]) -> None:
        """Write a line about others, unless there were enough of them lately."""
        loop = asyncio.get_running_loop()
        if self._complaints.allows(kind, loop.time()):
            write()
            return
        self._process.metrics.limited("log_lines", "link")
        if self._later is None and (due := self._complaints.due()) is not None:
            self._later = loop.call_at(due, self._log_left_out)

    def _log_left_out(self) -> None:
        loop = asyncio.get_running_loop()
        self._later = None
        for kind, count in self._complaints.left_out(loop.time()).items():
            write = self._process.log.warning if kind in WARNINGS else self._process.log.info
            write("log_lines_left_out", kind=kind, count=count)
        if (due := self._complaints.due()) is not None:
            self._later = loop.call_at(due, self._log_left_out)
