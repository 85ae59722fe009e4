"""The chat process: feeds the router from the links, and the links from the router."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from services.chat.mailbox import Destination, MemoryMailbox
from services.chat.roster import LinkedServer, LocalRoster
from services.chat.router import Router
from services.chat.statuses import Status
from shared.addresses import Server, User
from shared.config import Config
from shared.errors import UnexpectedMessage
from shared.events import Identity
from shared.framing import Frame
from shared.link import Link
from shared.messages import MESSAGES, decode, pb
from shared.service_base import ServiceBase
from shared.timer import Timer

Result = pb.ConnectResponse


class ChatService(ServiceBase):
    """Chat for the users of one server."""

    feature: ClassVar[str] = MESSAGES
    section: ClassVar[str] = "chat"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.roster = LocalRoster()
        self.mailbox = MemoryMailbox(self.config.chat.mailbox_messages, self.config.chat.mailbox_bytes)
        self._timer = Timer(self._timer_fired)
        self.router = self._make_router()

    def _make_router(self) -> Router:
        return Router(
            self.server_id,
            self.roster,
            self.mailbox,
            ack_timeout=self.config.chat.ack_timeout,
            count=self._count,
            look_for=lambda _server_id: self.discover_now(),
        )

    def adopt(self, server_id: str) -> None:
        """An adopted name is the router's too."""
        super().adopt(server_id)
        self.router = self._make_router()

    async def stop(self) -> None:
        """Stop the clock, then end as any service."""
        self._timer.cancel()
        await super().stop()

    async def set_server_list_and_connect(self, server_list: Sequence[Server]) -> None:
        """Connect, and know whom messages may be for."""
        self.roster.know_servers(server.server_id for server in server_list)
        await super().set_server_list_and_connect(server_list)

    # Who comes and goes ---------------------------------------------------------------------------

    def admit_client(self, identity: Identity) -> pb.ConnectResponse.Result:
        """A client uses MESSAGES only at its user's home server."""
        if identity.user is None or identity.user.server_id != self.server_id:
            return Result.UNKNOWN_ERROR
        return super().admit_client(identity)

    def subscriber_connected(self, link: Link) -> None:
        """What waits for the user goes out."""
        user = _user(link)
        self.roster.add_client(user, link)
        self.router.client_connected(user, self._now())
        self._set_timer()

    def subscriber_disconnected(self, link: Link) -> None:
        """What was not acknowledged waits."""
        user = _user(link)
        self.roster.remove_client(user, link)
        self.router.client_disconnected(user, link, self._now())
        self._set_timer()

    def peer_connected(self, link: Link) -> None:
        """What waits for the server goes out."""
        super().peer_connected(link)
        self.roster.add_server(link.peer_id, LinkedServer(link, confirms=link.identity.is_ours))
        self.router.server_connected(link.peer_id, self._now())
        self._set_timer()

    def peer_disconnected(self, link: Link) -> None:
        """What it did not answer waits."""
        super().peer_disconnected(link)
        self.roster.remove_server(link.peer_id)
        self.router.server_disconnected(link.peer_id, link, self._now(), confirms=link.identity.is_ours)
        self._set_timer()

    def link_writable(self, link: Link) -> None:
        """A reader caught up: go on where it was left."""
        destination: Destination = _user(link) if link.identity.is_client else link.peer_id
        self.router.writable(destination, self._now())
        self._set_timer()

    # Messages -----------------------------------------------------------------------------------------

    def messages_received(self, link: Link, frames: list[Frame]) -> None:
        """One look at the clock per batch."""
        super().messages_received(link, frames)
        self._set_timer()

    def handle_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """A user's client sends or acknowledges."""
        user = _user(link)
        try:
            if frame.name == "MESSAGE":
                self.router.message_from_client(user, decode(frame, pb.ChatMessage), frame.raw, self._now())
            elif frame.name == "MESSAGE_ACK":
                self.router.ack_from_client(user, decode(frame, pb.ChatMessageResponse), self._now())
            else:
                return False
        except UnexpectedMessage as error:
            self.message_rejected(link, error.reason, str(error))
        return True

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """Another server's user sends to ours, or it answers for one of its own."""
        server_id = link.peer_id
        try:
            if frame.name == "MESSAGE":
                message = decode(frame, pb.ChatMessage)
                self.router.message_from_server(server_id, message, frame.raw, self._now())
            elif frame.name == "MESSAGE_ACK":
                self.router.ack_from_server(server_id, decode(frame, pb.ChatMessageResponse), self._now())
            else:
                return False
        except UnexpectedMessage as error:
            self.message_rejected(link, error.reason, str(error))
        return True

    # Time -------------------------------------------------------------------------------------------------

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _set_timer(self) -> None:
        self._timer.set(self.router.next_timeout())

    def _timer_fired(self) -> None:
        self.router.handle_timeout(self._now())
        self._set_timer()

    def _count(self, scope: str, status: int) -> None:
        self.metrics.messages.labels(scope, Status.Status.Name(status).lower()).inc()

    def status(self) -> dict[str, object]:
        """Adds how many messages wait."""
        return super().status() | {"waiting_messages": len(self.mailbox)}


def _user(link: Link) -> User:
    user = link.identity.user
    if user is None:
        raise TypeError(f"{link} is no client's")
    return user
