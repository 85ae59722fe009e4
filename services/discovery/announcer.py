"""The discovery port: asks the network again and again, answers who asks, hears every reply."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Callable, Mapping

from services.discovery.discovery import ServerDiscoveryService
from services.discovery.observing import Counters
from shared.addresses import Server
from shared.announcements import read_announcement, read_linked
from shared.config import Config
from shared.datagrams import Address, UdpSocket
from shared.discovery import REQUEST
from shared.errors import MalformedMessage
from shared.framing import Frame
from shared.interfaces import interfaces, network_of
from shared.lasting import Faults, forever
from shared.logs import Log
from shared.metrics import Metrics

JITTER = 0.2
SHORTEST = 0.2
"""Seconds between two requests, however often one is asked for."""


class Announcer:
    """The UDP side of discovery.

    `asked(address)` hears of each request, `heard(server, source, linked)` of each other server's announcement,
    `namesake(source)` of one in our own name from an address that is not this machine's. `interval()`: seconds
    between two requests.
    """

    def __init__(
        self,
        config: Config,
        discovery: ServerDiscoveryService,
        *,
        asked: Callable[[Address], None],
        heard: Callable[[Server, str, Mapping[str, frozenset[str]]], None],
        namesake: Callable[[str], None],
        interval: Callable[[], float],
        metrics: Metrics,
        counters: Counters,
        log: Log,
    ) -> None:
        self._config = config
        self._discovery = discovery
        self._asked = asked
        self._heard = heard
        self._namesake = namesake
        self._interval = interval
        self._metrics = metrics
        self._counters = counters
        self._log = log
        self._wake = asyncio.Event()
        self._failed_targets: set[Address] = set()
        self._asked_back: dict[Address, float] = {}
        self._ask_askers = False
        self._own: set[str] = set()
        host, port = config.bind_host, config.discovery.port
        dropped = metrics.dropped
        self._socket = UdpSocket(host, port, "discovery", received=self._received, dropped=dropped, shared=True)
        self.port = self._socket.port
        self._broadcast_socket = self._hear_broadcasts() if config.address else None

    def _hear_broadcasts(self) -> UdpSocket:
        """A socket bound to one address hears no broadcast: a second one hears those of that network."""
        network = network_of(self._config.address).network

        def received(frame: Frame, address: Address) -> None:
            if ipaddress.IPv4Address(address[0]) in network:
                self._received(frame, address)

        return UdpSocket(
            "0.0.0.0",  # noqa: S104 - broadcasts come to no other
            self.port,
            "discovery",
            received=received,
            dropped=self._metrics.dropped,
            shared=True,
        )

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
        if self._broadcast_socket is not None:
            self._broadcast_socket.close()

    def send(self, data: bytes, to: Address) -> None:
        """Send a datagram from the discovery port."""
        self._metrics.datagrams["sent"] += 1
        error = self._socket.send(data, to)
        if error is None:
            self._failed_targets.discard(to)
        elif to not in self._failed_targets:
            self._failed_targets.add(to)
            self._log.warning("datagram_failed", host=to[0], port=to[1], error=error.strerror)

    def ask_now(self) -> None:
        """Ask the network at once, and the servers that asked us: broadcast may not reach them."""
        self._ask_askers = True
        self._wake.set()

    async def run(self, faults: Faults) -> None:
        """Ask for ever: at once, then every interval, jittered."""
        await forever("asking the network", self._ask_and_wait, faults)

    async def _ask_and_wait(self) -> None:
        self._wake.clear()
        await self._ask()
        await asyncio.sleep(SHORTEST)
        rest = self._interval() * random.uniform(1 - JITTER, 1 + JITTER) - SHORTEST  # noqa: S311 - a jitter
        timer = asyncio.get_running_loop().call_later(max(rest, 0.0), self._wake.set)
        await self._wake.wait()
        timer.cancel()

    async def _ask(self) -> None:
        self._own = {self._config.address} if self._config.address else {i.address for i in interfaces()}
        targets = await self._discovery.targets()
        if self._ask_askers:
            targets += self._asked_back
            self._ask_askers = False
        for target in dict.fromkeys(targets):
            if not (target[1] == self.port and target[0] in self._own):
                self._request(target)

    def _request(self, target: Address) -> None:
        self._counters.requests["sent"] += 1
        self.send(REQUEST, target)

    def _received(self, frame: Frame, address: Address) -> None:
        self._metrics.datagrams["received"] += 1
        if frame.name == "DISCOVER_SERVER":
            self._request_received(address)
        elif frame.name == "SERVER_ANNOUNCE":
            self._announcement_received(frame, address[0])
        else:
            self._metrics.dropped("unknown_name")

    def _request_received(self, address: Address) -> None:
        """Answer; and ask who asks from the discovery port, a server, in turn.

        So one static peer entry is enough for two servers to know each other.
        """
        host, port = address
        if port == self.port and host in self._own:
            return
        self._counters.requests["received"] += 1
        self._asked(address)
        if port == self._config.discovery.port and self._is_stranger(address):
            self._request(address)

    def _is_stranger(self, address: Address) -> bool:
        """Whether that server was not asked in turn for `server_expiry`: most hear broadcasts anyway."""
        now = asyncio.get_running_loop().time()
        expiry = self._config.discovery.server_expiry
        if now - self._asked_back.get(address, -expiry) < expiry:
            return False
        self._asked_back = {a: at for a, at in self._asked_back.items() if now - at < expiry} | {address: now}
        return True

    def _announcement_received(self, frame: Frame, source: str) -> None:
        try:
            server, linked = read_announcement(frame, source), read_linked(frame)
        except MalformedMessage as error:
            self._metrics.dropped(error.reason)
            return
        if self._discovery.accepts(server):
            self._counters.announcements["received"] += 1
            self._heard(server, source, linked)
        elif source not in self._own:
            self._namesake(source)
