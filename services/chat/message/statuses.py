"""What authors are told, here and at other servers, and what is remembered of it. Pure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from parley.services.chat.deduplication.recent import REMEMBERED, Memory
from parley.services.chat.message.group_statuses import Expected
from parley.services.chat.message.owed_statuses import Debts
from parley.services.chat.roster import Roster, Sink
from parley.services.chat.storage.mailbox import Destination, Item, Mailbox
from parley.shared.addresses import Group, Recipient, User
from parley.shared.wire.framing import FrameReader, encode_frame
from parley.shared.wire.messages import pb

UNHEARD: Final = 100
"""Final statuses of one link that are told again if it turns out to be dead."""

Status = pb.ChatMessageResponse.DeliveryStatus
INTERIM: Final = frozenset({Status.USER_AWAY, Status.OTHER_SERVER_TIMEOUT})
"""A final status follows these."""
FINAL: Final = frozenset(Status.Status.values()) - INTERIM


class Statuses:
    """Tells authors: our own users at their clients, others through the server that gave us their message.

    The statuses of a group message's copies are gathered until `flush`: one MESSAGE_ACK tells several.
    """

    def __init__(
        self,
        server_id: str,
        roster: Roster,
        mailbox: Mailbox,
        debts: Debts,
        count: Callable[[str, int], None],
        delivered: Callable[[list[Item]], None] = lambda _items: None,
        limited: Callable[[str, str], None] = lambda _what, _where: None,
    ) -> None:
        self._server_id = server_id
        self._roster = roster
        self._mailbox = mailbox
        self._debts = debts
        self._count = count
        self._delivered = delivered
        self._done: list[Item] = []
        """What was delivered in this turn: told at its end, so that it costs little."""
        self.memory = Memory(mailbox.find, REMEMBERED)
        self._gathered: dict[tuple[Destination, User, int], tuple[pb.ChatMessageResponse, list[Item]]] = {}
        self.unheard: dict[Sink, list[bytes]] = {}
        """Frames of final statuses told to one of our clients since it was last heard: its link may be dead."""
        self.expected = Expected(lambda: limited("messages", "statuses"))

    def tell(self, item: Item, status: int) -> None:
        """Tell an item's author its status; what has a final one needs to be kept no longer."""
        item.told, is_final = status, status in FINAL
        self.memory.note(item.key, status)
        scope = "local" if item.recipient[1] == self._server_id else "remote"
        self._count(scope, status)
        if status == Status.DELIVERED:
            self._done.append(item)
            if scope == "local":
                self._mailbox.delivered(item)
        if item.group is not None:
            self._gather(item, status)
        else:
            # Of an interim one the other server hears again: it keeps the message until it has heard.
            self._tell_one(item, status, for_certain=item.is_saved and is_final)
        if is_final:
            self._mailbox.over(item, status)

    def tell_late(self, item: Item, status: int) -> None:
        """Tell what another server says of a message that it has had for some time: nothing of it is kept here."""
        item.told = status
        self.memory.note(item.key, status)
        self._count("remote", status)
        if item.group is not None:
            self._gather(item, status)
        else:
            self._tell_one(item, status, for_certain=True)

    def tell_when_safe(self, item: Item, status: int) -> None:
        """Tell an interim status, which says that a message is kept, as soon as that is true."""
        if item.is_safe:
            self.tell_once(item, status)
        else:
            item.pending = status

    def tell_once(self, item: Item, status: int) -> None:
        """Tell an interim status, unless the author has it already, or a final one that came another way."""
        if item.told != status and item.told not in FINAL and self.memory.status(item.key) not in FINAL:
            self.tell(item, status)

    def tell_unconfirmed(self, item: Item) -> None:
        """Tell, once, that one which goes on is neither confirmed nor kept: whatever comes of it is told, too."""
        if item.told not in FINAL:
            item.told = Status.UNKNOWN_STATUS
            self._count("local" if item.recipient.server_id == self._server_id else "remote", item.told)
            if item.group is not None:
                self._gather(item, item.told)
            else:
                self._tell_one(item, item.told)

    def repeat(self, item: Item) -> None:
        """A message came again: its author hears the present status again, if there is one."""
        status = self.memory.status(item.key)
        if status is not None and item.group is not None:
            self._gather(item, status)
        elif status is not None:
            self._tell_one(item, status)

    def refuse(self, author: User, snowflake: int, recipient: Recipient | None, status: int) -> None:
        """Answer one of our clients for what is no message to anybody."""
        self._send(author, _ack(None, snowflake, recipient, status))

    # Groups --------------------------------------------------------------------------------------

    def expect(self, author: User, snowflake: int, group: Group, members: Sequence[User]) -> None:
        """The message is complete, and its author told so, when each of these members has a status."""
        self.expected.add(author, (snowflake, group), members)

    def _gather(self, item: Item, status: int) -> None:
        key = item.hears, item.author, item.snowflake
        if key not in self._gathered:
            group = (item.group or Group("", "")).to_pb()
            message = pb.ChatMessageResponse(messageSnowflake=item.snowflake, group=group)
            if item.origin:
                message.author.CopyFrom(item.author.to_pb())
            self._gathered[key] = message, []
        message, items = self._gathered[key]
        message.statuses.add(user=_user(item.recipient), status=Status.Status.Name(status))
        items.append(item)

    def flush(self) -> None:
        """Tell what was gathered in this turn."""
        if self._done:
            done, self._done = self._done, []
            self._delivered(done)
        while self._gathered:
            (hears, _author, _snowflake), (message, items) = self._gathered.popitem()
            message.complete = self._is_complete(items)
            self._send(
                hears,
                message.SerializeToString(),
                for_certain=any(item.is_saved and item.told in FINAL for item in items),
            )

    def _is_complete(self, items: Sequence[Item]) -> bool:
        """Whether these were the last members without a status."""
        first = items[0]
        if first.group is None:
            return False
        recipients = (item.recipient for item in items)
        return self.expected.told(first.author, (first.snowflake, first.group), recipients)

    def relay(self, ack: pb.ChatMessageResponse) -> None:
        """Tell one of our users what another server says of its group's members."""
        author = User.of(ack.author)
        passed = pb.ChatMessageResponse()
        passed.CopyFrom(ack)
        passed.ClearField("receipt")
        for entry in passed.statuses:
            if entry.status not in FINAL and entry.status not in INTERIM:
                entry.status = Status.UNKNOWN_STATUS
            self._count("remote", entry.status)
        passed.ClearField("author")
        self._send(author, passed.SerializeToString())

    # Clients' links ------------------------------------------------------------------------------

    def heard_from(self, sink: Sink) -> None:
        """A client's link lives: what it was told before has come."""
        self.unheard.pop(sink, None)

    def link_lost(self, user: User, sink: Sink, *, cleanly: bool) -> None:
        """What a link that died without a word was told last is owed, unless another client heard it, too."""
        unheard = self.unheard.pop(sink, ())
        if not cleanly and not self._roster.clients(user):
            frames = FrameReader(sys.maxsize).feed(b"".join(unheard))
            for frame in frames[-UNHEARD:]:
                self._debts.owe(user, frame.payload)

    # Sending -----------------------------------------------------------------------------------------

    def _tell_one(self, item: Item, status: int, *, for_certain: bool = False) -> None:
        author = item.author if item.origin else None
        payload = _ack(author, item.snowflake, item.recipient, status)
        self._send(item.hears, payload, for_certain=for_certain, is_final=status in FINAL)

    def _send(
        self, destination: Destination, payload: bytes, *, for_certain: bool = False, is_final: bool = False
    ) -> None:
        """Tell now where that will do; else note it as owed, which tells as soon as somebody is there."""
        if isinstance(destination, User):
            sinks: Sequence[Sink] = self._roster.clients(destination)
        else:
            server = self._roster.server(destination)
            sinks = () if server is None or (for_certain and server.confirms) else (server.sink,)
        if not sinks:
            self._debts.owe(destination, payload)
            return
        raw = encode_frame("MESSAGE_ACK", payload)
        for sink in sinks:
            sink.send(raw)
            if is_final and isinstance(destination, User):
                unheard = self.unheard.get(sink)
                if unheard is None:
                    unheard = self.unheard[sink] = []
                elif len(unheard) >= UNHEARD:
                    del unheard[0]
                unheard.append(raw)


def _ack(author: User | None, snowflake: int, recipient: Recipient | None, status: int) -> bytes:
    """A MESSAGE_ACK's payload: its number, and behind it what many have in common."""
    return pb.ChatMessageResponse(messageSnowflake=snowflake).SerializeToString() + tail(author, recipient, status)


@lru_cache(maxsize=1 << 12)
def tail(author: User | None, recipient: Recipient | None, status: int) -> bytes:
    """What follows the number in a MESSAGE_ACK's payload."""
    message = pb.ChatMessageResponse()
    entry = message.statuses.add(status=Status.Status.Name(status))
    if recipient is not None:
        entry.user.CopyFrom(_user(recipient))
    if author is not None:
        message.author.CopyFrom(author.to_pb())
    return message.SerializeToString()


def _user(recipient: Recipient) -> pb.User:
    """A group stands in a status as a user of its name: the protocol has no other place for it."""
    return pb.User(userId=recipient[0], serverId=recipient[1])
