"""The chat process: feeds the router from the links, and the links from the router."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from services.chat.disk_mailbox import DiskMailbox
from services.chat.mailbox import Destination, Item
from services.chat.roster import LinkedServer, LocalRoster
from services.chat.router import Router
from services.chat.statuses import Status
from services.chat.store import Store
from shared.addresses import Server, User
from shared.config import Config
from shared.errors import LocalProtocolError, UnexpectedMessage
from shared.events import Identity
from shared.framing import Frame
from shared.link import Link
from shared.messages import MESSAGES, decode, pb
from shared.service_base import ServiceBase
from shared.timer import Timer

Result = pb.ConnectResponse


@dataclass(frozen=True, slots=True)
class Opened:
    """What there is once the server's name is known."""

    store: Store
    mailbox: DiskMailbox
    router: Router


class ChatService(ServiceBase):
    """Chat for the users of one server."""

    feature: ClassVar[str] = MESSAGES
    section: ClassVar[str] = "chat"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.roster = LocalRoster()
        self._timer = Timer(self._timer_fired)
        self._open: Opened | None = None

    @property
    def router(self) -> Router:
        """There is one as soon as anybody can connect."""
        if self._open is None:
            raise LocalProtocolError("the chat process has no name yet, and so no mailbox")
        return self._open.router

    async def listen(self) -> None:
        """Open the mailbox of our name before anybody is let in."""
        if self._open is None:
            self._open = self._open_mailbox()
        await super().listen()

    def _open_mailbox(self) -> Opened:
        """What waits from before goes on waiting. ConfigError where the file cannot be used."""
        settings = self.config.chat
        directory = Path(self.config.data_dir) / self.server_id
        store = Store(directory, kept=self._kept, not_kept=self._not_kept)
        mailbox = DiskMailbox(
            store,
            limit=settings.mailbox_messages,
            limit_bytes=settings.mailbox_bytes,
            next_id=store.next_id,
            loaded=self._loaded,
        )
        router = Router(
            self.server_id,
            self.roster,
            mailbox,
            ack_timeout=settings.ack_timeout,
            custody_delay=settings.custody_delay,
            count=self._count,
            look_for=lambda _server_id: self.discover_now(),
        )
        for destination, count, size in store.counts():
            mailbox.found_at_start(destination, count, size)
        self.roster.remember(store.known())
        router.recall(store.settled(), store.waiting(), store.owed())
        self.log.info("mailbox_opened", messages=len(mailbox))
        return Opened(store, mailbox, router)

    def _close_mailbox(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            opened.store.close()

    async def stand_by(self) -> None:
        """The mailbox is the other process's now."""
        await super().stand_by()
        self._close_mailbox()

    def _kept(self, items: list[Item]) -> None:
        if self._open is not None:
            self.router.kept(items)

    def _not_kept(self, items: list[Item]) -> None:
        if self._open is not None:
            self.log.error("mailbox_write_failed", messages=len(items), error=self._open.store.error)
            self.router.not_kept(items)

    def _loaded(self, destination: Destination) -> None:
        if self._open is not None:
            self.router.loaded(destination, self._now())
            self._set_timer()

    def adopt(self, server_id: str) -> None:
        """Another name has a mailbox of its own."""
        self._close_mailbox()
        self.roster = LocalRoster()
        super().adopt(server_id)

    async def stop(self) -> None:
        """Stop the clock, then end as any service."""
        self._timer.cancel()
        await super().stop()
        self._close_mailbox()

    async def set_server_list_and_connect(self, server_list: Sequence[Server]) -> None:
        """Connect, and know whom messages may be for."""
        await super().set_server_list_and_connect(server_list)
        for server in server_list:
            self._know(server.server_id)

    def _know(self, destination: Destination) -> None:
        """Remember for good whom messages may be for."""
        if self._open is not None and self.roster.remember([destination]):
            self._open.store.know(destination)

    # Who comes and goes ---------------------------------------------------------------------------

    def admit_client(self, identity: Identity) -> pb.ConnectResponse.Result:
        """A client uses MESSAGES only at its user's home server."""
        if identity.user is None or identity.user.server_id != self.server_id:
            return Result.UNKNOWN_ERROR
        return super().admit_client(identity)

    def subscriber_connected(self, link: Link) -> None:
        """What waits for the user goes out."""
        user = _user(link)
        self._know(user)
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
        self._know(link.peer_id)
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
        if self._open is not None:
            self._timer.set(self.router.next_timeout())

    def _timer_fired(self) -> None:
        if self._open is None:
            return
        self.router.handle_timeout(self._now())
        self._set_timer()

    def _count(self, scope: str, status: int) -> None:
        self.metrics.messages.labels(scope, Status.Status.Name(status).lower()).inc()

    def status(self) -> dict[str, object]:
        """Adds how many messages wait."""
        waiting = len(self._open.mailbox) if self._open is not None else 0
        return super().status() | {"waiting_messages": waiting}


def _user(link: Link) -> User:
    user = link.identity.user
    if user is None:
        raise TypeError(f"{link} is no client's")
    return user
