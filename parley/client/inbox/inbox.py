"""Received messages: verified, each given to the application once and in order, then acknowledged.

A forged message, and one that its device passed long ago, are answered as not taken: they come no more, and who
wrote such a one in earnest hears of it. Nothing of them is given to the application as its author's. One whose
number is known was taken before, by this program or by the one before a restart: it is acknowledged once more.
One that the application had and did not acknowledge comes again, however many later ones it took meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from parley.client.authors.author_keys import AuthorKeys
from parley.client.authors.judgement import FORGED, keys_in
from parley.client.authors.signer import Signer
from parley.client.authors.verification import Verification
from parley.client.inbox.message import Chat, Message
from parley.client.inbox.readers import FAILED, Callback, Messages, OnMessage
from parley.client.inbox.received import ReceivedMessages
from parley.client.inbox.revisions import ReceivedRevisions
from parley.client.inbox.unacknowledged import Unacknowledged
from parley.client.trust.received_numbers import ReceivedNumbers
from parley.shared.addresses import User
from parley.shared.link.link import Link
from parley.shared.telemetry.logs import Log
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.replays import Order, sender_of
from parley.shared.wire.messages import encode, pb

Status = pb.ChatMessageResponse.DeliveryStatus

DROPPED: Final = 10_000
"""Messages that the application had and did not take, which are known when they come again."""


@dataclass(slots=True)
class Refused:
    """How many things came to a client that were not whose they said they are."""

    forged: int = 0
    """Messages that no device of their author's signed."""
    replayed: int = 0
    """Messages that their device passed long ago."""
    statuses: int = 0
    """Statuses that nobody gave who may."""


class Owner(Chat, Protocol):
    """The feature whose messages these are."""

    user: User
    link: Link | None
    log: Log

    @property
    def device(self) -> PrivateKey | None:
        """The key by which statuses are signed; None: they are not."""


@dataclass(frozen=True, slots=True)
class Application:
    """Where messages go. `call` calls a function of it, and returns FAILED where it raised."""

    on_message: OnMessage | None
    is_read: bool
    """Whether `messages()` reads them."""
    on_edit: Callable[[pb.ChatMessage], None] | None
    on_forged: Callable[[pb.ChatMessage], None]
    on_replayed: Callable[[pb.ChatMessage], None]
    call: Callable[..., object]


class Inbox:
    """One user's received messages."""

    def __init__(
        self,
        owner: Owner,
        application: Application,
        signer: Signer,
        keys: AuthorKeys,
        numbers: ReceivedNumbers,
        refused: Refused,
    ) -> None:
        self._owner = owner
        self._application = application
        self._signer = signer
        self._keys = keys
        self._verification = Verification(keys, self._judged)
        self._received_before = ReceivedMessages()
        self._dropped_before = ReceivedMessages(DROPPED)
        """Messages that the application did not take: it may have taken later ones, and has not passed these."""
        self._revisions = ReceivedRevisions()
        self._numbers = numbers
        self._refused = refused
        self._being_verified: set[bytes] = set()
        self._unacknowledged = Unacknowledged(self._handled, lambda each: self._dropped_before.add(each.key))
        if application.on_message is not None:
            Callback(self._unacknowledged, application.on_message, application.call, owner.log)

    @property
    def is_read(self) -> bool:
        """Whether anybody reads messages: what comes for nobody waits at the server."""
        return self._application.is_read or self._application.on_message is not None

    def messages(self, *, acknowledges: bool) -> Messages:
        """Read them from now on; `acknowledges`: each when the next is asked for."""
        return Messages(self._unacknowledged, acknowledges=acknowledges)

    def received(self, message: pb.ChatMessage) -> None:
        """Hand it on once, and acknowledge it each time: an acknowledgement may have been lost."""
        key = self._received_before.key(message)
        if self._received_before.has(key):
            self._acknowledge(message)
        elif self.is_read and not self._is_at_work_on(key):
            if key:
                self._being_verified.add(key)
            if not self._verification.add(message, key):
                self._being_verified.discard(key)
                self._owner.log.warning("message_dropped", reason="too many wait to be verified")

    def _is_at_work_on(self, key: bytes) -> bool:
        return self._unacknowledged.has(key) or key in self._being_verified

    def _judged(self, message: pb.ChatMessage, key: bytes) -> None:
        """Its author is as well known as can be."""
        self._being_verified.discard(key)
        if message.assurance == FORGED:
            self._forged(key, message)
            return
        if (order := self._order(key, message)) is not Order.NEW:
            self._replayed(key, message, order)
            return
        for key_of_author in keys_in(message):
            self._keys.wrote(User.of(message.author), key_of_author)
        if message.WhichOneof("content") == "edit":
            self._edited(key, message)
            return
        if not self._unacknowledged.put(Message(message, key, self._owner, self._unacknowledged)):
            self._owner.log.warning("message_dropped", reason="too many are not acknowledged")
        else:
            self._revisions.came(message)

    def _edited(self, key: bytes, message: pb.ChatMessage) -> None:
        """An edit is no message to be answered: who does not ask for edits is not given it.

        Nor is anybody given what the message that it changes said already when it came.
        """
        on_edit = self._application.on_edit if not self._revisions.knows(message) else None
        if on_edit is not None and self._application.call(on_edit, message) is FAILED:
            self._dropped_before.add(key)
            return
        self._handled(Message(message, key, self._owner, self._unacknowledged))

    def _order(self, key: bytes, message: pb.ChatMessage) -> Order:
        """The place of its number among those of its device; of what is not signed nothing is known."""
        if not message.HasField("proof") or self._dropped_before.has(key):
            return Order.NEW
        return self._numbers.order(sender_of(message), message.messageSnowflake)

    def _forged(self, key: bytes, message: pb.ChatMessage) -> None:
        self._refused.forged += 1
        self._owner.log.warning("message_forged", author_server=message.author.serverId)
        self._application.call(self._application.on_forged, message)
        self._received_before.add(key)
        self._acknowledge(message, Status.OTHER_ERROR)

    def _replayed(self, key: bytes, message: pb.ChatMessage, order: Order) -> None:
        self._received_before.add(key)
        if order is Order.KNOWN:
            self._acknowledge(message)
            return
        self._refused.replayed += 1
        self._owner.log.warning("message_replayed", author_server=message.author.serverId)
        self._application.call(self._application.on_replayed, message)
        self._acknowledge(message, Status.OTHER_ERROR)

    # Acknowledgements ------------------------------------------------------------------------------------

    def _handled(self, received: Message) -> None:
        message = received.content
        self._received_before.add(received.key)
        if message.HasField("proof"):
            self._numbers.note(sender_of(message), message.messageSnowflake)
        self._acknowledge(message)

    def _acknowledge(self, message: pb.ChatMessage, status: Status.Status = Status.DELIVERED) -> None:
        link, device = self._owner.link, self._owner.device
        if link is None:
            return
        ack = pb.ChatMessageResponse(messageSnowflake=message.messageSnowflake, author=message.author)
        ack.statuses.add(user=self._owner.user.to_pb(), status=status)
        if status == Status.DELIVERED and message.HasField("proof") and device is not None:
            self._signer.answer(device, message, ack, time.time())
        link.send(encode("MESSAGE_ACK", ack))

    def close(self) -> None:
        """Drop what waits: over the next link it comes again."""
        self._unacknowledged.close()
        self._verification.close()
        self._being_verified.clear()
