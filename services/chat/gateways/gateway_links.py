"""The gateways of a chat process: one at each existing server that needs it, and what they tell the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from parley.services.chat.gateways.gateway_link import GatewayLink
from parley.services.chat.gateways.remote_users import RemoteUsers
from parley.services.chat.runner import EngineRunner
from parley.shared.addresses import Endpoint, User
from parley.shared.config import Config
from parley.shared.link.link import Link
from parley.shared.peering.dead_links import DeadLinks
from parley.shared.peering.peering import Peering
from parley.shared.runtime.supervised import Faults
from parley.shared.spellings import ByName
from parley.shared.telemetry.logs import Log
from parley.shared.wire.messages import pb

GOODBYE: Final = 1.0
"""Seconds for their connections to be gone at the end."""
LAST_ANSWERS, LOOK = 1.0, 0.01
"""Seconds at the end for the acknowledgements of what is on its way, and between two looks."""


class ChatProcess(Protocol):
    """The process whose gateways they are."""

    server_id: str
    config: Config
    faults: Faults
    log: Log
    peering: Peering
    dead_links: DeadLinks

    @property
    def open_runner(self) -> EngineRunner | None:
        """The running engine, if there is one."""

    def message_rejected(self, link: Link, reason: str, detail: str, /) -> None:
        """Something came over a link that may not."""


class GatewayLinks:
    """Each stays as long as it stands, and is dialled again while its server is linked."""

    def __init__(self, process: ChatProcess) -> None:
        self._process = process
        self.config = process.config
        self.faults = process.faults
        self.dead_links = process.dead_links
        self.message_rejected = process.message_rejected
        self._links: ByName[GatewayLink] = ByName()
        self._is_over = False
        """Whether nobody is dialled any more."""

    @property
    def server_id(self) -> str:
        """Our own server's."""
        return self._process.server_id

    @property
    def log(self) -> Log:
        """The process's."""
        return self._process.log

    @property
    def open(self) -> int:
        """How many are connected."""
        return sum(each.link is not None for each in self._links.values())

    def status(self) -> list[dict[str, object]]:
        """For people: each server with a gateway, whether that is connected, how many users there are away."""
        runner = self._process.open_runner
        away = dict(runner.engine.router.remote_users.away) if runner is not None else {}
        return [
            {"server_id": server_id, "connected": each.link is not None, "users_away": away.get(server_id, 0)}
            for server_id, each in self._links.items()
        ]

    def endpoints_of(self, server_id: str) -> Sequence[Endpoint]:
        """Where the clients of a server connect that is linked: at the address of its link, if it has several."""
        link = self._process.peering.link_to(server_id)
        peers = [peer for peer in self._process.peering.peers if peer.link is link] if link is not None else []
        endpoints = [endpoint for peer in peers for endpoint in peer.endpoints]
        return [each for each in endpoints if link is not None and each.host == link.remote_host] or endpoints

    # Servers ------------------------------------------------------------------------------------

    def server_linked(self, link: Link) -> None:
        """A server is linked that needs a gateway: no message goes there before that is connected."""
        server_id = link.peer_id
        self._tell(lambda remote: remote.server_linked(server_id, link, time.monotonic()))
        if self._is_over:
            return
        if server_id not in self._links:
            self._links[server_id] = GatewayLink(self, server_id, link.recognized)
        self._links[server_id].start()

    def server_lost(self, link: Link, *, cleanly: bool) -> None:
        """Its link is over: its gateway stays, for acknowledgements that are on their way."""
        self._tell(lambda remote: remote.server_lost(link.peer_id, time.monotonic(), cleanly=cleanly))

    def begin(self) -> None:
        """Be there for the servers that are linked from now on."""
        self._is_over = False

    async def end(self) -> None:
        """Send nothing more, wait a little for what is on its way, and hang up on all.

        Where an acknowledgement finds no gateway any more, its server's chat ends.
        """
        self._is_over = True
        try:
            await self._drain()
        finally:
            await self.close()

    async def _drain(self) -> None:
        self._tell(lambda remote: remote.pause())
        until = time.monotonic() + LAST_ANSWERS
        while time.monotonic() < until and (runner := self._process.open_runner) is not None:
            if not runner.engine.router.remote_users.unanswered:
                return
            await asyncio.sleep(LOOK)

    async def close(self) -> None:
        """Hang up on all."""
        links, self._links = list(self._links.values()), ByName()
        await asyncio.gather(*(link.hang_up(GOODBYE) for link in links))

    # GatewayOwner -------------------------------------------------------------------------------

    def gateway_connected(self, server_id: str, gateway: User) -> None:
        """A gateway is connected there, as that user."""
        self._tell(lambda remote: remote.gateway_connected(server_id, gateway, time.monotonic()))

    def gateway_answered(self, server_id: str, ack: pb.ChatMessageResponse) -> None:
        """A MESSAGE_ACK came over it."""
        if (runner := self._process.open_runner) is not None:
            runner.engine.router.ack_from_gateway(server_id, ack, time.monotonic())
            runner.turn_over()

    def gateway_lost(self, server_id: str) -> None:
        """It is connected no longer."""
        self._tell(lambda remote: remote.gateway_lost(server_id, time.monotonic()))

    def _tell(self, tell: Callable[[RemoteUsers], None]) -> None:
        runner = self._process.open_runner
        if runner is not None:
            tell(runner.engine.router.remote_users)
            runner.turn_over()
