"""What authors are told, here and at other servers, and what is remembered of it. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from services.chat.mailbox import Destination, Item, Mailbox
from services.chat.roster import Roster
from shared.addresses import User
from shared.messages import encode, pb

Status = pb.ChatMessageResponse.DeliveryStatus
INTERIM: Final = frozenset({Status.USER_AWAY, Status.OTHER_SERVER_TIMEOUT})
"""A final status follows these."""
FINAL: Final = frozenset(Status.Status.values()) - INTERIM

REMEMBERED: Final = 50_000
"""Messages by which a re-sent one is recognised."""
OWED: Final = 10_000
"""Statuses kept for an author, or a server, that cannot be told now; and how many of those there may be."""

Key = tuple[User, int, User]


class Memory:
    """The messages seen lately and their present status; None: none yet. Snowflake 0 is nobody's number."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._seen: OrderedDict[Key, int | None] = OrderedDict()

    def knows(self, key: Key) -> bool:
        """Whether this message came before."""
        return key in self._seen

    def status(self, key: Key) -> int | None:
        """What its author was told last."""
        return self._seen.get(key)

    def note(self, key: Key, status: int | None) -> None:
        """Remember a message and its status, and forget the oldest."""
        if key[1] == 0:
            return
        self._seen[key] = status
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)


class Statuses:
    """Tells authors: our own users at their clients, others through their server."""

    def __init__(
        self,
        server_id: str,
        roster: Roster,
        mailbox: Mailbox,
        memory: Memory,
        count: Callable[[str, int], None],
    ) -> None:
        self._server_id = server_id
        self._roster = roster
        self._mailbox = mailbox
        self._memory = memory
        self._count = count
        self._owed: dict[Destination, deque[bytes]] = {}

    def tell(self, item: Item, status: int) -> None:
        """Tell an item's author its status; what has a final one needs to be kept no longer."""
        item.told = status
        self._memory.note(item.key, status)
        self._count("local" if item.recipient.server_id == self._server_id else "remote", status)
        self.answer(item.author, item.snowflake, item.recipient, status)
        if status in FINAL:
            self._mailbox.over(item, status)

    def tell_when_safe(self, item: Item, status: int) -> None:
        """Tell an interim status, which says that a message is kept, as soon as that is true."""
        if item.is_safe:
            self.tell_once(item, status)
        else:
            item.pending = status

    def tell_once(self, item: Item, status: int) -> None:
        """Tell an interim status, unless the author has it already, or a final one that came another way."""
        if item.told != status and self._memory.status(item.key) not in FINAL:
            self.tell(item, status)

    def repeat(self, item: Item) -> None:
        """A message came again: its author hears the present status again, if there is one."""
        status = self._memory.status(item.key)
        if status is not None:
            self.answer(item.author, item.snowflake, item.recipient, status)

    def answer(self, author: User, snowflake: int, recipient: User | None, status: int) -> None:
        """Send a status to an author, or keep it until they can be told."""
        message = pb.ChatMessageResponse(messageSnowflake=snowflake)
        entry = message.statuses.add(status=Status.Status.Name(status))
        if recipient is not None:
            entry.user.CopyFrom(recipient.to_pb())
        local = author.server_id == self._server_id
        if not local:
            message.author.CopyFrom(author.to_pb())
        self._send(author if local else author.server_id, encode("MESSAGE_ACK", message))

    def _send(self, destination: Destination, raw: bytes) -> None:
        if isinstance(destination, User):
            sinks = self._roster.clients(destination)
        else:
            server = self._roster.server(destination)
            sinks = () if server is None else (server.sink,)
        for sink in sinks:
            sink.send(raw)
        if not sinks:
            self._mailbox.owe(destination, raw)
            self.owe(destination, raw)

    def owe(self, destination: Destination, raw: bytes) -> None:
        """Remember a status that is to be told later."""
        self._owed.setdefault(destination, deque(maxlen=OWED)).append(raw)
        if len(self._owed) > OWED:
            del self._owed[next(iter(self._owed))]

    def deliver_owed(self, destination: Destination) -> None:
        """Tell what could not be told while an author, or their server, was away."""
        owed = self._owed.pop(destination, ())
        for raw in owed:
            self._send(destination, raw)
        if owed:
            self._mailbox.paid(destination)
