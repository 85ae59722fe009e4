"""Chat for one user: send and hear what became of it; receive and acknowledge."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import ClassVar

from client.feature_base import FeatureBase
from shared.addresses import User
from shared.config import Config
from shared.discovery import DiscoveryService
from shared.framing import Frame
from shared.link import Link
from shared.messages import MESSAGES, decode, encode, pb
from shared.snowflake import MAKERS, Snowflakes

Status = pb.ChatMessageResponse.DeliveryStatus
INTERIM = frozenset({Status.USER_AWAY, Status.OTHER_SERVER_TIMEOUT})

REMEMBERED = 10_000
"""Received messages by which a duplicate is recognised."""


class Delivery:
    """One message that we sent, and what we were told of it."""

    def __init__(self, message: pb.ChatMessage) -> None:
        self.message = message
        self.statuses: list[str] = []
        """Every status heard, in order; the last one holds."""
        self.final: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """The final status, once it is known."""

    @property
    def snowflake(self) -> int:
        """The message's number."""
        return self.message.messageSnowflake


class ChatFeature(FeatureBase):
    """Chat for one user.

    `on_message` is called with each message received, once; when it returns, the message is acknowledged.
    `on_status(delivery, status)` is called with each status of a message that we sent.
    """

    feature: ClassVar[str] = MESSAGES
    home_only: ClassVar[bool] = True

    def __init__(
        self,
        user: str | User = "",
        config: Config | None = None,
        *,
        on_message: Callable[[pb.ChatMessage], None] = lambda _message: None,
        on_status: Callable[[Delivery, str], None] = lambda _delivery, _status: None,
        discovery: DiscoveryService | None = None,
    ) -> None:
        super().__init__(user, config, discovery=discovery)
        self._on_message = on_message
        self._on_status = on_status
        self._snowflakes = Snowflakes(secrets.randbelow(MAKERS))
        self._outbox: dict[int, Delivery] = {}
        self._seen: dict[tuple[User, int], None] = {}

    @property
    def outbox(self) -> list[Delivery]:
        """What we sent that has no final status yet, in order."""
        return list(self._outbox.values())

    def send(self, recipient: str | User, text: str) -> Delivery:
        """Send a text to USER@SERVER. It goes out now or on the next connection, until a status is heard."""
        to = recipient if isinstance(recipient, User) else User.parse(recipient)
        message = pb.ChatMessage(
            messageSnowflake=self._snowflakes.next(time.time()),
            author=self.user.to_pb(),
            user=to.to_pb(),
            textContent=text,
        )
        delivery = Delivery(message)
        self._outbox[delivery.snowflake] = delivery
        if self.link is not None:
            self.link.send(encode("MESSAGE", message))
        return delivery

    def link_opened(self, link: Link) -> None:
        """What has no final status yet goes out again, in order; a server answers what it has with its status."""
        super().link_opened(link)
        for delivery in self._outbox.values():
            link.send(encode("MESSAGE", delivery.message))

    def handle_message(self, frame: Frame) -> bool:
        """A message for us, or a status of one of ours."""
        if frame.name == "MESSAGE":
            self._received(decode(frame, pb.ChatMessage))
        elif frame.name == "MESSAGE_ACK":
            self._answered(decode(frame, pb.ChatMessageResponse))
        else:
            return False
        return True

    def _received(self, message: pb.ChatMessage) -> None:
        """Show it once, and acknowledge it each time: an acknowledgement may have been lost."""
        key = User.of(message.author), message.messageSnowflake
        if key not in self._seen:
            self._on_message(message)
            self._remember(key)
        ack = pb.ChatMessageResponse(messageSnowflake=message.messageSnowflake)
        ack.statuses.add(user=self.user.to_pb(), status=Status.DELIVERED)
        if self.link is not None:
            self.link.send(encode("MESSAGE_ACK", ack))

    def _remember(self, key: tuple[User, int]) -> None:
        if key[1] == 0:
            return
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _answered(self, ack: pb.ChatMessageResponse) -> None:
        delivery = self._outbox.get(ack.messageSnowflake)
        if delivery is None:
            return
        for entry in ack.statuses:
            status = Status.Status.Name(entry.status)
            delivery.statuses.append(status)
            if entry.status not in INTERIM:
                self._outbox.pop(delivery.snowflake, None)
                if not delivery.final.done():
                    delivery.final.set_result(status)
            self._on_status(delivery, status)
