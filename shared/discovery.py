"""Finding servers: ask by broadcast (and by unicast, where that does not reach), and gather who answers.

The client's `DiscoveryService`; the servers' is the same with one difference (services/discovery). The
address of a server is its datagram's source, never what its content says (protocol.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from shared.addresses import Server, ServerList
from shared.announcements import merge, read_announcement
from shared.config import Config, load, split_host_port
from shared.connector import resolve
from shared.datagrams import Address, UdpSocket
from shared.errors import MalformedMessage, PeerUnreachable
from shared.framing import Frame, encode_frame
from shared.interfaces import reachable_networks

REQUEST = encode_frame("DISCOVER_SERVER")
ASK_AGAIN = 0.5
"""Seconds after which a client asks again: a datagram may have been lost."""


class DiscoveryService:
    """Finds the servers of this network, once. `servers`: HOST[:PORT] to ask by unicast as well."""

    def __init__(self, config: Config | None = None, *, servers: Sequence[str] = ()) -> None:
        self.config = config or load()
        self._unicast = (*self.config.discovery.static_peers, *servers)

    async def discover_servers(
        self, timeout: float | None = None, *, until: Callable[[ServerList], bool] = lambda _servers: False
    ) -> ServerList:
        """Ask, and listen for `timeout` seconds (2 by default) or until what was heard is enough."""
        loop = asyncio.get_running_loop()
        seconds = self.config.discovery.discovery_timeout if timeout is None else timeout
        heard: dict[str, Server] = {}
        enough: asyncio.Future[None] = loop.create_future()

        def received(frame: Frame, address: Address) -> None:
            self._gather(heard, frame, address)
            if until(tuple(heard.values())) and not enough.done():
                enough.set_result(None)

        sock = UdpSocket(self.config.bind_host, 0, "discovery", received=received)
        try:
            await self._ask_until(sock, enough, loop.time() + seconds)
        finally:
            sock.close()
        return tuple(heard.values())

    async def _ask_until(self, sock: UdpSocket, enough: asyncio.Future[None], end: float) -> None:
        """Ask now and again until it is enough or late."""
        loop = asyncio.get_running_loop()
        while not enough.done() and (left := end - loop.time()) > 0:
            for target in await self.targets():
                sock.send(REQUEST, target)
            await asyncio.wait([enough], timeout=min(ASK_AGAIN, left))

    def _gather(self, heard: dict[str, Server], frame: Frame, address: Address) -> None:
        if frame.name != "SERVER_ANNOUNCE":
            return
        try:
            server = read_announcement(frame, address[0])
        except MalformedMessage:
            return
        if self.accepts(server):
            merge(heard, server)

    def accepts(self, server: Server) -> bool:  # noqa: ARG002 - the servers' own differs here
        """Whether an announcement counts."""
        return True

    async def targets(self) -> list[Address]:
        """Where a request goes: each network's broadcast address, and each unicast peer's addresses."""
        port = self.config.discovery.port
        found = [(i.broadcast, port) for i in reachable_networks(self.config.address) if i.broadcast]
        for text in self._unicast:
            host, peer_port = split_host_port(text, port)
            try:
                found += [(e.host, e.port) for e in await resolve(host, peer_port)]
            except PeerUnreachable:
                continue  # a name that is not known now may be at the next request
        return list(dict.fromkeys(found))
