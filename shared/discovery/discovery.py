"""Finding servers: ask by broadcast (and by unicast, where that does not reach), and gather who answers.

The client's `DiscoveryService`; the servers' is the same with one difference (services/discovery). The
address of a server is its datagram's source, never what its content says (protocol.md). An announcement counts that
answers a request of ours, or comes from a network of ours, or from an address that was configured.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from parley.shared.addresses import Server, ServerList, SocketAddress
from parley.shared.config import Config, load
from parley.shared.discovery.announced_keys import AnnouncedKeys, FirstKeys, Judge
from parley.shared.discovery.announcements import Announcement, merge, read
from parley.shared.discovery.interfaces import reachable_networks
from parley.shared.discovery.name_lookups import Lookups
from parley.shared.discovery.networks import EVERYONE, Networks
from parley.shared.discovery.nonces import Nonces, encode_request
from parley.shared.errors import MalformedMessage
from parley.shared.sockets.datagrams import UdpSocket
from parley.shared.wire.framing import Frame

ASK_AGAIN: Final = 0.5
"""Seconds after which a client asks again: a datagram may have been lost."""
MOST_SERVERS: Final = 1000
"""Servers that one look gathers."""
MOST_FROM_ONE: Final = 64
"""… of which so many may be announced from one address."""


class DiscoveryService:
    """Finds the servers of this network, once. `servers`: HOST[:PORT] to ask by unicast as well.

    `judge` knows which keys names have; without one the first key of a name counts, for this object's life.
    """

    def __init__(
        self, config: Config | None = None, *, servers: Sequence[str] = (), judge: Judge | None = None
    ) -> None:
        self.config = config or load()
        self.judge = judge or FirstKeys(self.config.security)
        self._unicast = (*self.config.discovery.static_peers, *servers)

    async def discover_servers(
        self, timeout: float | None = None, *, until: Callable[[ServerList], bool] = lambda _servers: False
    ) -> ServerList:
        """Ask, and listen for `timeout` seconds (2 by default) or until what was heard is enough."""
        loop = asyncio.get_running_loop()
        seconds = self.config.discovery.discovery_timeout if timeout is None else timeout
        look = _Look(self, until)
        try:
            await look.ask_until(loop.time() + seconds)
        finally:
            look.close()
        return tuple(look.heard.values())

    def accepts(self, server: Server) -> bool:  # noqa: ARG002 - the servers' own differs here
        """Whether an announcement counts."""
        return True

    def lookups(self, found: Callable[[Sequence[SocketAddress]], None]) -> Lookups:
        """The unicast peers; `found` hears of addresses that become known."""
        return Lookups(self._unicast, self.config.discovery.port, found)

    def targets(self, asked_before: int = 0) -> list[SocketAddress]:
        """The addresses that are asked by broadcast: each network's own, and that of everyone on the wire.

        At first both, later by turns: some existing servers dial everybody again at each request that they hear.
        """
        port = self.config.discovery.port
        networks = reachable_networks(self.config.address)
        narrow = [(i.broadcast, port) for i in networks if i.broadcast and (not i.is_wire or asked_before % 2 == 0)]
        is_wide = any(i.is_wire for i in networks) and (asked_before == 0 or asked_before % 2 == 1)
        return list(dict.fromkeys([*narrow, *([(EVERYONE, port)] if is_wide else [])]))


class _Look:
    """One look around the network."""

    def __init__(self, service: DiscoveryService, until: Callable[[ServerList], bool]) -> None:
        self._service = service
        self._until = until
        self._loop = asyncio.get_running_loop()
        self._enough: asyncio.Future[None] = self._loop.create_future()
        self._networks = Networks(reachable_networks(service.config.address))
        self._nonces = Nonces()
        self._keys = AnnouncedKeys(service.judge)
        self._from: Counter[str] = Counter()
        self.heard: dict[str, Server] = {}
        self._lookups = service.lookups(self._ask)
        self._sock = UdpSocket(service.config.bind_host, 0, "discovery", received=self._received)

    def close(self) -> None:
        self._lookups.close()
        self._sock.close()

    async def ask_until(self, end: float) -> None:
        """Ask now and again until it is enough or late; names are looked up beside it, and asked once known."""
        asked = itertools.count()
        while not self._enough.done() and (left := end - self._loop.time()) > 0:
            self._ask([*self._service.targets(next(asked)), *self._lookups.addresses])
            self._lookups.refresh()
            await asyncio.wait([self._enough], timeout=min(ASK_AGAIN, left))

    def _ask(self, targets: Sequence[SocketAddress]) -> None:
        """One nonce for all at once: who hears several of them answers once."""
        shared = encode_request(self._nonces.issue((EVERYONE, 0), self._loop.time()))
        for host, port in targets:
            if host == EVERYONE:
                for interface in self._networks.interfaces:
                    if interface.is_wire:
                        self._sock.send(shared, (host, port), source=interface.address, interface=interface.name)
            elif self._networks.have(host):
                self._sock.send(shared, (host, port))
            else:
                nonce = self._nonces.issue((host, port), self._loop.time())
                self._sock.send(encode_request(nonce, is_padded=True), (host, port))

    def _received(self, frame: Frame, address: SocketAddress) -> None:
        if frame.name != "SERVER_ANNOUNCE":
            return
        try:
            heard = read(frame, address[0])
        except MalformedMessage:
            return
        server = self._believed(heard, address[0])
        if server is None or not self._has_room(server, address[0]):
            return
        before = self.heard.get(server.server_id)
        merge(self.heard, server)
        is_new = self.heard[server.server_id] != before
        if is_new and not self._enough.done() and self._until(tuple(self.heard.values())):
            self._enough.set_result(None)

    def _believed(self, heard: Announcement, source: str) -> Server | None:
        """The server that is announced, with its key where it has one; None: the announcement does not count."""
        is_near, now = self._networks.have(source), self._loop.time()
        answered = self._nonces.is_answer(heard.nonce, source, now, is_near=is_near)
        if not (answered or is_near or source in self._lookups.hosts):
            return None
        if not self._service.config.security.has_keys:
            return replace(heard.server, key=b"")
        return self._keys.believed(heard, source, now, answered=answered)

    def _has_room(self, server: Server, source: str) -> bool:
        """Whether it counts, is known already, or there is room for one more."""
        if not self._service.accepts(server):
            return False
        known = self.heard.get(server.server_id)
        if known is not None:
            return sum(map(len, known.features.values())) < MOST_FROM_ONE
        self._from[source] += 1
        return len(self.heard) < MOST_SERVERS and self._from[source] <= MOST_FROM_ONE
