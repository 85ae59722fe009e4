"""Servers of the real ServiceBase on a simulated network: everything but the sockets is what runs."""

from __future__ import annotations

from typing import ClassVar

from parley.shared.addresses import Endpoint, Server
from parley.shared.config import Config
from parley.shared.link.link import Link
from parley.shared.service.service_base import ServiceBase
from tests.support.simulated import Connection, SimulatedLoop, SimulatedTransport

PORT = 6666


class SimulatedServer(ServiceBase):
    """One process of a server; `host` is where the others find it."""

    feature: ClassVar[str] = "MESSAGES"
    section: ClassVar[str] = "chat"

    def __init__(self, loop: SimulatedLoop, server_id: str, host: str, config: Config | None = None) -> None:
        super().__init__(server_id=server_id, config=config or Config(address=host))
        self.loop = loop
        self.host = host
        self.changes = 0
        """How often a server was linked or lost."""
        loop.network.listen(host, PORT, self.make_accepted_link)

    async def start(self) -> None:
        """Nothing is bound."""

    def peer_connected(self, link: Link) -> None:
        self.changes += 1
        super().peer_connected(link)

    def peer_disconnected(self, link: Link) -> None:
        self.changes += 1
        super().peer_disconnected(link)

    @property
    def as_server(self) -> Server:
        """What a directory says of it."""
        return Server(self.server_id, {self.feature: (Endpoint(self.host, PORT),)})

    async def knows(self, *others: SimulatedServer) -> None:
        await self.set_server_list_and_connect([other.as_server for other in others])

    def link_to(self, other: SimulatedServer) -> Link | None:
        return self.peering.link_to(other.server_id)

    async def stop(self) -> None:
        self.loop.network.close_listener(self.host, PORT)
        await super().stop()

    async def crash(self) -> None:
        """Be killed: no last words, and what arrives afterwards is answered by its host."""
        self.loop.network.close_listener(self.host, PORT)
        self._stopping = True
        for link in list(self._links):
            transport = link._transport
            if isinstance(transport, SimulatedTransport):
                transport.vanish()
        await self.peering.stop()


def connections_between(loop: SimulatedLoop, one: ServiceBase, other: ServiceBase) -> list[Connection]:
    """The connections alive at both ends that the two servers hold."""

    def owners(connection: Connection) -> set[object]:
        return {connection.dialled.protocol._owner, connection.accepted.protocol._owner}

    alive = [c for c in loop.network.connections if c.is_alive and c.dialled.protocol is not None]
    return [c for c in alive if owners(c) == {one, other}]
