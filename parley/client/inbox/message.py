"""A received message as a program reads, answers and acknowledges it."""

from __future__ import annotations

from typing import Protocol

from parley.client.outbox.deliveries import Delivery
from parley.shared.addresses import Group, Recipient, User
from parley.shared.wire.messages import pb


class Chat(Protocol):
    """The chat feature that received a message."""

    async def send_written(self, recipient: Recipient, text: str) -> Delivery:
        """Send a text, and wait until it was written to a link."""


class Acknowledgements(Protocol):
    """The table of the messages that are not acknowledged yet."""

    def acknowledge(self, message: Message, /) -> None:
        """A message is done with; one that was acknowledged before stays so."""


class Message:
    """One received message. `content` is all of it, as the library has it everywhere."""

    __slots__ = ("_acknowledgements", "_chat", "content", "key")

    def __init__(self, content: pb.ChatMessage, key: bytes, chat: Chat, acknowledgements: Acknowledgements) -> None:
        """`key`: by what it is recognised when it comes again; empty: by nothing."""
        self.content = content
        self.key = key
        self._chat = chat
        self._acknowledgements = acknowledgements

    def __repr__(self) -> str:
        return f"<Message {self.content.messageSnowflake} of {self.author} in {self.conversation}>"

    @property
    def text(self) -> str:
        """Its text; empty where it is a document or a location."""
        return self.content.textContent

    @property
    def document(self) -> pb.Document | None:
        """Its file: `filename`, `mimeType` and `data`, at most 2 MiB; None: it has none."""
        return self.content.document if self.content.HasField("document") else None

    @property
    def author(self) -> User:
        """The user who wrote it, as far as `assurance` says."""
        return User.of(self.content.author)

    @property
    def conversation(self) -> Recipient:
        """The group that it was sent to, or its author: where an answer goes."""
        which = self.content.WhichOneof("recipient")
        if which == "userOfGroup":
            return Group.of(self.content.userOfGroup.group)
        return Group.of(self.content.group) if which == "group" else self.author

    @property
    def assurance(self) -> pb.ChatMessage.Assurance:
        """How its author is known: ChatMessage.SIGNED, UNSIGNED, UNPROVEN, MISSING or REVOKED."""
        return self.content.assurance

    async def reply(self, text: str) -> Delivery:
        """Send a text to the conversation, and wait until it was written to the link; its delivery.

        The link carries the answer before this message's acknowledgement: a server that has the second has the
        first. While there is no link, or the server does not read, it waits. `await delivery.final` tells what
        became of it.

        Raises:
            FrameTooLarge: more than `link.payload_limit`; nothing is sent.

        """
        return await self._chat.send_written(self.conversation, text)

    async def ack(self) -> None:
        """Acknowledge it: its author is told DELIVERED, and it comes no more. A second time does nothing."""
        self._acknowledgements.acknowledge(self)
