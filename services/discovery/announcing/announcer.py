"""The discovery port of a node: asks the network again and again, answers who asks, hears every reply.

Whom it asks is asking.py's, whom it answers answering.py's; the sockets are discovery_port.py's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from parley.services.discovery.announcing.answering import Request, returnable
from parley.services.discovery.announcing.asking import Asking, Sending
from parley.services.discovery.announcing.discovery_port import Counts, DiscoveryPort
from parley.services.discovery.announcing.server_discovery import ServerDiscoveryService
from parley.shared.addresses import SocketAddress
from parley.shared.config import Config
from parley.shared.discovery.announcements import Announcement, read
from parley.shared.discovery.nonces import Nonces
from parley.shared.runtime.supervised import Faults, forever
from parley.shared.sockets.datagrams import Datagram
from parley.shared.telemetry.logs import Log
from parley.shared.telemetry.metrics import Metrics
from parley.shared.wire.framing import Frame

JITTER = 0.2
SHORTEST = 0.2
"""Seconds between two requests, however often one is asked for."""


class Announcer(DiscoveryPort):
    """The UDP side of discovery.

    `asked(request)` hears of each request that may be answered; `heard(announcement, source, answered, pinned)`
    of each other server's announcement: whether it answers a request of ours, whether its address was configured;
    `namesake(announcement, source, answered)` of one in our own name from an address that is not this machine's;
    `peer_answered(host)` of each answer of a static peer. `interval()`: seconds between two requests.
    `is_useful(host)`: whether a server that we have use for is there.
    """

    def __init__(
        self,
        config: Config,
        discovery: ServerDiscoveryService,
        *,
        asked: Callable[[Request], None],
        heard: Callable[[Announcement, str, bool, bool], None],
        namesake: Callable[[Announcement, str, bool], None],
        peer_answered: Callable[[str], None],
        interval: Callable[[], float],
        is_useful: Callable[[str], bool],
        metrics: Metrics,
        counters: Counts,
        log: Log,
    ) -> None:
        super().__init__(config, asked=asked, metrics=metrics, counters=counters, log=log)
        self._discovery = discovery
        self._heard = heard
        self._namesake = namesake
        self._peer_answered = peer_answered
        self._interval = interval
        self._is_useful = is_useful
        self._wake = asyncio.Event()
        self._out_of_turn = True
        self._asking = Asking(self.port, config.discovery.server_expiry)
        self._asked_in_turn = Nonces()
        self.lookups = discovery.lookups(self._found)

    def close(self) -> None:
        """Hear no more."""
        self.lookups.close()
        super().close()

    # Out -----------------------------------------------------------------------------------------

    def is_reached(self, asker: SocketAddress) -> bool:
        """Whether that server has shown of late that our answers reach it."""
        return not self._asking.is_stranger(asker, self.now())

    def ask_now(self, *, always: bool = False) -> None:
        """Ask the network soon, and the servers that asked us: broadcast may not reach them.

        `always`: for a reason that nobody else can bring about as often as they like.
        """
        if not (always or self._wake.is_set() or self._asking.may_ask_now(self.now())):
            self.metrics.limited("requests", "discovery")
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
        timer = asyncio.get_running_loop().call_later(max(rest, 0.0), self._wake.set)
        await self._wake.wait()
        timer.cancel()

    def _ask(self) -> None:
        """Those whose addresses are known; those whose names are looked up, as soon as they are."""
        self.look_around()
        out_of_turn, self._out_of_turn = self._out_of_turn, False
        addresses = self.lookups.addresses
        self._request(self._asking.round(self.networks, addresses, self.now(), out_of_turn=out_of_turn))
        self.lookups.refresh()

    def _found(self, addresses: Sequence[SocketAddress]) -> None:
        """Names were looked up: ask there at once."""
        now = self.now()
        self._request([self._asking.request(to, self.networks, now) for to in addresses])

    def _request(self, sendings: Sequence[Sending]) -> None:
        for each in sendings:
            self.counters.requests["sent"] += 1
            self.send(each.data, each.to, source=each.source, interface=each.interface)

    # In ------------------------------------------------------------------------------------------

    def is_known(self, host: str) -> bool:
        """Whether a server that we have use for, or a static peer, is there."""
        return self._is_useful(host) or host in self.lookups.hosts

    def request_received(self, request: Request) -> None:
        """Answer; and ask who asks from the discovery port, a server, in turn.

        So one static peer entry is enough for two servers to know each other. Another Parley is asked by the answer
        itself, which only reaches who is really there. An existing program does not know that: one on a network
        of ours gets a request of its own.
        """
        asker, now = request.asker, self.now()
        asks = asker[1] == self._config.discovery.port and self._asking.is_stranger(asker, now)
        in_turn = asks and request.nonce and asker[0] not in self.gateways
        ask = self._asked_in_turn.issue(asker, now) if in_turn else b""
        self.asked(replace(request, ask=ask))
        if asks and request.is_near and not request.nonce and self.rates.may_ask_back(now):
            self._asking.remember(asker, now, is_parley=False)
            self._request([self._asking.request(asker, self.networks, now)])

    def announcement_received(self, frame: Frame, datagram: Datagram, *, is_near: bool) -> None:
        """Believe what answers us, what comes from a network of ours, or from an address that was configured."""
        source, now = datagram.source[0], self.now()
        heard = read(frame, source)
        pinned = source in self.lookups.hosts
        in_turn = self._asked_in_turn.is_answer(heard.nonce, source, now, is_near=is_near)
        answered = in_turn or self._asking.nonces.is_answer(heard.nonce, source, now, is_near=is_near)
        if not (answered or is_near or pinned):
            self.metrics.dropped("unasked")
            return
        if not answered and not self.rates.admits_claim(now, is_known=pinned or self._is_useful(source)):
            self.metrics.limited("datagrams", "discovery")
            return
        if in_turn:
            self._asking.remember(self._asked_in_turn.issued_to(heard.nonce), now)
        elif answered:
            self._note_peer(self._asking.nonces.issued_to(heard.nonce)[0])
        if pinned:
            self._note_peer(source)
        self._announced(heard, source, answered=answered, pinned=pinned)
        if answered and heard.ask:
            size = len(datagram.data)
            self.asked(Request(datagram.source, datagram.local, returnable(heard.ask), size, is_near))

    def _note_peer(self, host: str) -> None:
        """A static peer answers, perhaps from another address than the one that was asked."""
        if host in self.lookups.hosts:
            self._peer_answered(host)

    def _announced(self, heard: Announcement, source: str, *, answered: bool, pinned: bool) -> None:
        if self._discovery.accepts(heard.server):
            self.counters.announcements["received"] += 1
            if heard.server.key and not answered:
                self.metrics.dropped("unasked")  # an old one, or somebody else's: its signature is not looked at
            self._heard(heard, source, answered, pinned)
        elif source not in self.networks.own:
            self._namesake(heard, source, answered)
