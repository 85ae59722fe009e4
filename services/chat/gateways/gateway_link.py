"""Our gateway at one existing server: a client's link, dialled as a user of ours there, and kept.

Its user is no user of ours: nobody lists it, and what somebody writes to it goes nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from parley.services.chat.gateways.names import gateway_name
from parley.shared.addresses import Endpoint, User
from parley.shared.config import Config
from parley.shared.dialects.dialect import Recognized
from parley.shared.errors import MalformedMessage, PeerUnreachable
from parley.shared.link.events import Closed
from parley.shared.link.link import Link
from parley.shared.peering.dead_links import DeadLinks
from parley.shared.peering.dialler import Dialler
from parley.shared.peering.refusals import Refusals
from parley.shared.runtime.supervised import Faults
from parley.shared.telemetry.logs import Log
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb

LONGEST_PAUSE: Final = 60.0
"""Seconds, at most, between two dials: each that is refused costs the server something for minutes."""


class GatewayOwner(Protocol):
    """The gateways of a chat process."""

    config: Config
    faults: Faults
    dead_links: DeadLinks

    @property
    def server_id(self) -> str:
        """Our own server's."""

    @property
    def log(self) -> Log:
        """Where it is written what happens."""

    def endpoints_of(self, server_id: str, /) -> Sequence[Endpoint]:
        """The endpoints where clients of a linked server connect; none where it is not linked."""

    def gateway_connected(self, server_id: str, gateway: User, /) -> None:
        """A gateway is connected there, as that user."""

    def gateway_answered(self, server_id: str, ack: pb.ChatMessageResponse, /) -> None:
        """A MESSAGE_ACK came over it."""

    def gateway_lost(self, server_id: str, /) -> None:
        """It is connected no longer."""

    def message_rejected(self, link: Link, reason: str, detail: str, /) -> None:
        """Something came over it that may not."""


class GatewayLink(Dialler):
    """One server's. It is dialled while the server itself is linked, and stays for as long as it stands."""

    def __init__(self, owner: GatewayOwner, server_id: str, recognized: Recognized) -> None:
        super().__init__(owner.config, lambda: owner.log)
        self._owner = owner
        self._server_id = server_id
        self._recognized = recognized
        self._refusals = Refusals()
        self._number = 0
        """Which of our names is tried."""

    @property
    def user(self) -> User:
        """The user as whom it is connected, or will be."""
        return User(gateway_name(self._owner.server_id, self._number), self._server_id)

    def start(self) -> None:
        """Be there from now on, as long as the server is linked."""
        self.dial(f"our gateway at {self._server_id[:64]!r}", LONGEST_PAUSE, self._owner.faults)

    # Dialler ------------------------------------------------------------------------------------

    def is_needed(self) -> bool:
        """Whether there is to be a link now."""
        return self.link is None and bool(self._owner.endpoints_of(self._server_id))

    async def find_endpoints(self) -> Sequence[Endpoint]:
        """Where the server itself is linked. PeerUnreachable where it is not, by now."""
        endpoints = self._owner.endpoints_of(self._server_id)
        if not endpoints:
            raise PeerUnreachable(f"{self._server_id} is not linked now")
        return endpoints

    def connect_message(self, endpoint: Endpoint) -> bytes:  # noqa: ARG002 - it is the same everywhere
        """CONNECT_CLIENT, as any existing client's."""
        return encode("CONNECT_CLIENT", pb.ConnectClient(user=self.user.to_pb()))

    @property
    def recognized(self) -> Recognized:
        """The server's dialect."""
        return self._recognized

    def not_before(self) -> float:
        """Later where the server refused us lately."""
        return self._refusals.until

    async def before_dial(self) -> None:
        """Have the server forget what it has of a process before this one, our name too."""
        await self._owner.dead_links.clear(self._server_id)

    def link_opened(self, link: Link) -> None:
        """We are connected."""
        super().link_opened(link)
        self._refusals.accepted()
        self._owner.dead_links.stood(self._server_id, link)
        self._owner.log.info("gateway_connected", peer_id=self._server_id, link_id=link.link_id)
        self._owner.gateway_connected(self._server_id, self.user)

    def messages_received(self, link: Link, frames: list[Frame]) -> None:
        """Take acknowledgements; all else that comes is for nobody, and is not answered."""
        for frame in frames:
            if frame.name != "MESSAGE_ACK":
                self.message_rejected(link, "unexpected", frame.name[:64])
                continue
            try:
                ack = decode(frame, pb.ChatMessageResponse)
            except MalformedMessage as error:  # the gateway stays: without it the server's chat would end
                self.message_rejected(link, error.reason, str(error))
            else:
                self._owner.gateway_answered(self._server_id, ack)

    def message_rejected(self, link: Link, reason: str, detail: str) -> None:
        """Something came that may not."""
        self._owner.message_rejected(link, reason, detail)

    def link_closed(self, link: Link, closed: Closed) -> None:
        """A link is over, or our name was taken: the next dial tries another."""
        self._owner.dead_links.closed(link, closed)
        if closed.reason == "refused":
            self._refusals.refused(asyncio.get_running_loop().time())
        if closed.result == pb.ConnectResponse.IS_ALREADY_CONNECTED_ERROR:
            self._number += 1
        super().link_closed(link, closed)

    def link_lost(self, closed: Closed) -> None:
        """It was open."""
        self._owner.log.info("gateway_disconnected", peer_id=self._server_id, reason=closed.reason)
        self._owner.gateway_lost(self._server_id)
