"""The discovery port: its sockets, which datagrams are looked at, and the answers to who asks for servers.

What answers and what is looked at is decided by answering.py; here are the sockets and the clock. Whoever also asks
the network is an Announcer.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import Protocol

from parley.services.discovery.announcing.answering import Answering, Request, returnable
from parley.shared.addresses import SocketAddress
from parley.shared.config import Config
from parley.shared.discovery.interfaces import gateways, network_of, reachable_networks
from parley.shared.discovery.networks import Networks
from parley.shared.errors import MalformedMessage
from parley.shared.limits.token_buckets import Buckets
from parley.shared.sockets.datagrams import AddressedSocket, Datagram
from parley.shared.telemetry.logs import Log
from parley.shared.telemetry.metrics import Metrics
from parley.shared.wire.framing import Frame, read_datagram
from parley.shared.wire.messages import decode, pb

LARGEST = 2048
"""Bytes of a datagram that is read: none that is meant for existing programs has more than half as many."""
LOGGED_EVERY, LOGGED_BURST = 60.0, 3.0
"""Seconds between two log lines on one target that cannot be sent to."""


class Counts(Protocol):
    """The datagrams that are counted, `sent` and `received`."""

    requests: dict[str, int]
    announcements: dict[str, int]


class DiscoveryPort:
    """Hears who asks for servers: `asked(request)` is called for each request that may be answered.

    Raises:
        ConfigError: the port is taken.

    """

    def __init__(
        self, config: Config, *, asked: Callable[[Request], None], metrics: Metrics, counters: Counts, log: Log
    ) -> None:
        self.asked = asked
        self.metrics = metrics
        self.counters = counters
        self._config = config
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._logged = Buckets(1 / LOGGED_EVERY, LOGGED_BURST, 256)
        self.rates = Answering(self._loop.time())
        self._socket = AddressedSocket(
            config.bind_host,
            config.discovery.port,
            "discovery",
            took=self._datagram_received,
            dropped=metrics.dropped,
            largest=LARGEST,
        )
        self.port = self._socket.port
        self.look_around()
        self._broadcast_socket = self._hear_broadcasts() if config.address else None

    def look_around(self) -> None:
        """Look at the machine's networks: they change while we run."""
        self.networks = Networks(reachable_networks(self._config.address))
        self.gateways = gateways()

    def _hear_broadcasts(self) -> AddressedSocket:
        """A socket bound to one address hears no broadcast: a second one hears those of that network."""
        network = network_of(self._config.address).network

        def took(datagram: Datagram) -> None:
            if ipaddress.IPv4Address(datagram.source[0]) in network:
                self._datagram_received(datagram._replace(local=""))

        return AddressedSocket(
            "0.0.0.0",  # noqa: S104 - broadcasts come to no other
            self.port,
            "discovery",
            took=took,
            dropped=self.metrics.dropped,
            largest=LARGEST,
        )

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
        if self._broadcast_socket is not None:
            self._broadcast_socket.close()

    def now(self) -> float:
        """The loop's seconds."""
        return self._loop.time()

    # Out -----------------------------------------------------------------------------------------

    def may_answer(self, request: Request, size: int) -> bool:
        """Whether an answer of so many bytes may go out."""
        if self.rates.may_answer(request, size, self.now()):
            return True
        self.metrics.limited("requests", "discovery")
        return False

    def answer(self, request: Request, announcement: bytes) -> None:
        """Send an announcement to who asked, from the address that was asked."""
        self.counters.announcements["sent"] += 1
        self.send(announcement, request.asker, source=request.local)

    def send(self, data: bytes, to: SocketAddress, *, source: str = "", interface: str = "") -> None:
        """Send a datagram; where that cannot be, say so now and then."""
        self.metrics.datagrams["sent"] += 1
        error = self._socket.send(data, to, source=source, interface=interface)
        if error is not None and self._logged.consume((to, interface), self.now()):
            self._log.warning("datagram_failed", host=to[0], port=to[1], error=error.strerror)

    # In ------------------------------------------------------------------------------------------

    def _datagram_received(self, datagram: Datagram) -> None:
        """Look at a datagram, if its sender may send one more."""
        self.metrics.datagrams["received"] += 1
        host = datagram.source[0]
        is_near = self.networks.have(host)
        is_gateway = host in self.gateways
        is_known = self.is_known(host)
        if not self.rates.admits(host, self.now(), is_near=is_near, is_gateway=is_gateway, is_known=is_known):
            self.metrics.limited("datagrams", "discovery")
            return
        try:
            self._frame_received(read_datagram(datagram.data), datagram, is_near=is_near)
        except MalformedMessage as error:
            self.metrics.dropped(error.reason)

    def _frame_received(self, frame: Frame, datagram: Datagram, *, is_near: bool) -> None:
        if frame.name == "DISCOVER_SERVER":
            self._request_received(frame, datagram, is_near=is_near)
        elif frame.name == "SERVER_ANNOUNCE":
            self.announcement_received(frame, datagram, is_near=is_near)
        else:
            self.metrics.dropped("unknown_name")

    def _request_received(self, frame: Frame, datagram: Datagram, *, is_near: bool) -> None:
        host, port = datagram.source
        if port == self.port and host in self.networks.own:
            return
        self.counters.requests["received"] += 1
        nonce = returnable(decode(frame, pb.DiscoverServer).nonce)
        if not self.rates.is_repeated(datagram.source, nonce, self.now()):
            self.request_received(Request(datagram.source, datagram.local, nonce, len(datagram.data), is_near))

    # For a subclass ------------------------------------------------------------------------------

    def is_known(self, host: str) -> bool:  # noqa: ARG002 - a seam
        """Whether a server that we have use for is at that address: its datagrams are always looked at."""
        return False

    def request_received(self, request: Request) -> None:
        """Somebody asks for servers."""
        self.asked(request)

    def announcement_received(self, frame: Frame, datagram: Datagram, *, is_near: bool) -> None:  # noqa: ARG002 - a seam
        """A server announces itself: to somebody who asked nobody."""
        self.metrics.dropped("unasked")
