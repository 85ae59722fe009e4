"""The discovery port: asks the network again and again, answers who asks, hears every reply.

Whom it asks is asking.py's, whom it answers answering.py's; here are the sockets and the clock.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Callable, Sequence

from parley.services.discovery.announcing.answering import Answering, Request, returnable
from parley.services.discovery.announcing.asking import Asking, Sending
from parley.services.discovery.announcing.server_discovery import ServerDiscoveryService
from parley.services.discovery.metrics import Counters
from parley.shared.addresses import SocketAddress
from parley.shared.config import Config
from parley.shared.discovery.announcements import Announcement, read
from parley.shared.discovery.interfaces import gateways, network_of, reachable_networks
from parley.shared.discovery.networks import Networks
from parley.shared.discovery.nonces import Nonces
from parley.shared.errors import MalformedMessage
from parley.shared.limits.token_buckets import Buckets
from parley.shared.runtime.supervised import Faults, forever
from parley.shared.sockets.datagrams import AddressedSocket, Datagram
from parley.shared.telemetry.logs import Log
from parley.shared.telemetry.metrics import Metrics
from parley.shared.wire.framing import Frame, read_datagram
from parley.shared.wire.messages import decode, pb

JITTER = 0.2
SHORTEST = 0.2
"""Seconds between two requests, however often one is asked for."""
LARGEST = 2048
"""Bytes of a datagram that is read: none that is meant for existing programs has more than half as many."""
TOLD_EVERY, TOLD_BURST = 60.0, 3.0
"""Seconds between two log lines on one target that cannot be sent to."""


class Announcer:
    """The UDP side of discovery.

    `asked(request)` hears of each request that may be answered; `heard(announcement, source, answered, pinned)`
    of each other server's announcement: whether it answers a request of ours, whether its address was configured;
    `namesake(source)` of one in our own name from an address that is not this machine's; `peer_answered(host)` of
    each answer of a static peer. `interval()`: seconds between two requests. `is_known(host)`: whether a server
    that we have use for is there.
    """

    def __init__(
        self,
        config: Config,
        discovery: ServerDiscoveryService,
        *,
        asked: Callable[[Request], None],
        heard: Callable[[Announcement, str, bool, bool], None],
        namesake: Callable[[str], None],
        peer_answered: Callable[[str], None],
        interval: Callable[[], float],
        is_known: Callable[[str], bool],
        metrics: Metrics,
        counters: Counters,
        log: Log,
    ) -> None:
        self._config = config
        self._discovery = discovery
        self._asked = asked
        self._heard = heard
        self._namesake = namesake
        self._peer_answered = peer_answered
        self._interval = interval
        self._is_known = is_known
        self._metrics = metrics
        self._counters = counters
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._out_of_turn = True
        self._told = Buckets(1 / TOLD_EVERY, TOLD_BURST, 256)
        host, port = config.bind_host, config.discovery.port
        self._socket = AddressedSocket(
            host, port, "discovery", took=self._took, dropped=metrics.dropped, largest=LARGEST
        )
        self.port = self._socket.port
        self.networks = Networks(reachable_networks(config.address))
        self.gateways = gateways()
        self._asking = Asking(self.port, config.discovery.server_expiry)
        self._answering = Answering(self._loop.time())
        self._asked_in_turn = Nonces()
        self.lookups = discovery.lookups(self._found)
        self._broadcast_socket = self._hear_broadcasts() if config.address else None

    def _hear_broadcasts(self) -> AddressedSocket:
        """A socket bound to one address hears no broadcast: a second one hears those of that network."""
        network = network_of(self._config.address).network

        def took(datagram: Datagram) -> None:
            if ipaddress.IPv4Address(datagram.source[0]) in network:
                self._took(datagram._replace(local=""))

        return AddressedSocket(
            "0.0.0.0",  # noqa: S104 - broadcasts come to no other
            self.port,
            "discovery",
            took=took,
            dropped=self._metrics.dropped,
            largest=LARGEST,
        )

    def close(self) -> None:
        """Hear no more."""
        self.lookups.close()
        self._socket.close()
        if self._broadcast_socket is not None:
            self._broadcast_socket.close()

    # Out -----------------------------------------------------------------------------------------

    def hears_us(self, asker: SocketAddress) -> bool:
        """Whether that server has shown of late that our answers reach it."""
        return not self._asking.is_stranger(asker, self._loop.time())

    def ask_now(self, *, always: bool = False) -> None:
        """Ask the network soon, and the servers that asked us: broadcast may not reach them.

        `always`: for a reason that nobody else can bring about as often as they like.
        """
        if not (always or self._wake.is_set() or self._asking.may_ask_now(self._loop.time())):
            self._metrics.limited("requests", "discovery")
            return
        self._out_of_turn = True
        self._wake.set()

    async def run(self, faults: Faults) -> None:
        """Ask for ever: at once, then every interval, jittered."""
        await forever("asking the network", self._ask_and_wait, faults)

    async def _ask_and_wait(self) -> None:
        self._wake.clear()
        self._ask()
        await asyncio.sleep(SHORTEST)
        rest = self._interval() * random.uniform(1 - JITTER, 1 + JITTER) - SHORTEST  # noqa: S311 - a jitter
        timer = self._loop.call_later(max(rest, 0.0), self._wake.set)
        await self._wake.wait()
        timer.cancel()

    def _ask(self) -> None:
        """Those whose addresses are known; those whose names are looked up, as soon as they are."""
        self.networks = Networks(reachable_networks(self._config.address))
        self.gateways = gateways()
        out_of_turn, self._out_of_turn = self._out_of_turn, False
        now = self._loop.time()
        self._request(self._asking.round(self.networks, self.lookups.addresses, now, out_of_turn=out_of_turn))
        self.lookups.refresh()

    def _found(self, addresses: Sequence[SocketAddress]) -> None:
        """Names were looked up: ask there at once."""
        now = self._loop.time()
        self._request([self._asking.request(to, self.networks, now) for to in addresses])

    def _request(self, sendings: Sequence[Sending]) -> None:
        for each in sendings:
            self._counters.requests["sent"] += 1
            self._send(each.data, each.to, source=each.source, interface=each.interface)

    def answer(self, request: Request, announcement: bytes) -> None:
        """Send an announcement to who asked, from the address that was asked."""
        self._counters.announcements["sent"] += 1
        self._send(announcement, request.asker, source=request.local)

    def _send(self, data: bytes, to: SocketAddress, *, source: str = "", interface: str = "") -> None:
        self._metrics.datagrams["sent"] += 1
        error = self._socket.send(data, to, source=source, interface=interface)
        if error is not None and self._told.consume((to, interface), self._loop.time()):
            self._log.warning("datagram_failed", host=to[0], port=to[1], error=error.strerror)

    # In ------------------------------------------------------------------------------------------

    def _took(self, datagram: Datagram) -> None:
        """Look at a datagram, if its sender may send one more."""
        self._metrics.datagrams["received"] += 1
        host, now = datagram.source[0], self._loop.time()
        is_near = self.networks.have(host)
        is_known = self._is_known(host) or host in self.lookups.hosts
        is_gateway = host in self.gateways
        if not self._answering.admits(host, now, is_near=is_near, is_gateway=is_gateway, is_known=is_known):
            self._metrics.limited("datagrams", "discovery")
            return
        try:
            self._received(read_datagram(datagram.data), datagram, is_near=is_near)
        except MalformedMessage as error:
            self._metrics.dropped(error.reason)

    def _received(self, frame: Frame, datagram: Datagram, *, is_near: bool) -> None:
        if frame.name == "DISCOVER_SERVER":
            self._request_received(frame, datagram, is_near=is_near)
        elif frame.name == "SERVER_ANNOUNCE":
            self._announcement_received(read(frame, datagram.source[0]), datagram, is_near=is_near)
        else:
            self._metrics.dropped("unknown_name")

    def _request_received(self, frame: Frame, datagram: Datagram, *, is_near: bool) -> None:
        """Answer; and ask who asks from the discovery port, a server, in turn.

        So one static peer entry is enough for two servers to know each other. Another Parley is asked by the answer
        itself, which only reaches who is really there. An existing program does not know that: one on a network
        of ours gets a request of its own.
        """
        host, port = datagram.source
        if port == self.port and host in self.networks.own:
            return
        now = self._loop.time()
        self._counters.requests["received"] += 1
        nonce = returnable(decode(frame, pb.DiscoverServer).nonce)
        if self._answering.is_repeated(datagram.source, nonce, now):
            return
        asks = port == self._config.discovery.port and self._asking.is_stranger(datagram.source, now)
        in_turn = asks and nonce and host not in self.gateways
        ask = self._asked_in_turn.issue(datagram.source, now) if in_turn else b""
        self._asked(Request(datagram.source, datagram.local, nonce, len(datagram.data), is_near, ask))
        if asks and is_near and not nonce and self._answering.may_ask_back(now):
            self._asking.remember(datagram.source, now)
            self._request([self._asking.request(datagram.source, self.networks, now)])

    def may_answer(self, request: Request, size: int) -> bool:
        """Whether an answer of so many bytes may go out."""
        if self._answering.may_answer(request, size, self._loop.time()):
            return True
        self._metrics.limited("requests", "discovery")
        return False

    def _announcement_received(self, heard: Announcement, datagram: Datagram, *, is_near: bool) -> None:
        """Believe what answers us, what comes from a network of ours, or from an address that was configured."""
        source, now = datagram.source[0], self._loop.time()
        pinned = source in self.lookups.hosts
        in_turn = self._asked_in_turn.is_parley(heard.nonce, source, now, is_near=is_near)
        answered = in_turn or self._asking.nonces.is_parley(heard.nonce, source, now, is_near=is_near)
        if not (answered or is_near or pinned):
            self._metrics.dropped("unasked")
            return
        if not answered and not self._answering.admits_claim(now, is_known=pinned or self._is_known(source)):
            self._metrics.limited("datagrams", "discovery")
            return
        if in_turn:
            self._asking.remember(self._asked_in_turn.issued_to(heard.nonce), now)
        elif answered:
            self._note_peer(self._asking.nonces.issued_to(heard.nonce)[0])
        if pinned:
            self._note_peer(source)
        self._take(heard, source, answered=answered, pinned=pinned)
        if answered and heard.ask:
            size = len(datagram.data)
            self._asked(Request(datagram.source, datagram.local, returnable(heard.ask), size, is_near))

    def _note_peer(self, host: str) -> None:
        """A static peer answers, perhaps from another address than the one that was asked."""
        if host in self.lookups.hosts:
            self._peer_answered(host)

    def _take(self, heard: Announcement, source: str, *, answered: bool, pinned: bool) -> None:
        if self._discovery.accepts(heard.server):
            self._counters.announcements["received"] += 1
            self._heard(heard, source, answered, pinned)
        elif source not in self.networks.own:
            self._namesake(source)
