"""Statuses that authors are told, here and at other servers, and what is remembered of them. Pure."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from parley.services.chat.deduplication.recent import REMEMBERED, RecentMessages
from parley.services.chat.hooks import Hooks
from parley.services.chat.message.group_statuses import ExpectedStatuses
from parley.services.chat.message.life import MEMORY, SAFE, Envelope
from parley.services.chat.message.model import Destination
from parley.services.chat.message.owed_statuses import OwedStatuses
from parley.services.chat.roster import ChatLink, Roster
from parley.services.chat.shared_copies.answers import AnswersTogether
from parley.services.chat.shared_copies.in_flight import SharedCopy
from parley.services.chat.storage.mailbox import Mailbox
from parley.shared.addresses import Group, Recipient, User
from parley.shared.compiled import core
from parley.shared.errors import MalformedMessage
from parley.shared.trust.authors import are_whole, proof_fields
from parley.shared.wire.framing import FrameReader, encode_frame, read_datagram
from parley.shared.wire.messages import decode, pb

UNCONFIRMED: Final = 100
"""Final statuses of one link that are told again if it turns out to be dead."""

Status = pb.ChatMessageResponse.DeliveryStatus
INTERIM: Final = frozenset({Status.USER_AWAY, Status.OTHER_SERVER_TIMEOUT})
"""A final status follows these."""
FINAL: Final = frozenset(Status.Status.values()) - INTERIM
_DELIVERED: Final = Status.DELIVERED
LEFT_OUT: Final = 16_384
"""Messages of which it is remembered that no server keeps them."""
NUMBERED: Final = 16_384
"""Messages to groups of which the number is remembered, for their statuses."""
_BESIDE_STATUSES: Final = [
    field.name for field in pb.ChatMessageResponse.DESCRIPTOR.fields if field.name != "statuses"
]
_HISTORY_OFF: Final = pb.ChatMessageResponse(historyOff=True).SerializeToString()


class _Gathered:
    """The statuses of one message's copies that are to be told at once."""

    __slots__ = ("envelopes", "group", "message", "passed_on", "recipients")

    def __init__(self, of: Envelope | SharedCopy, message: pb.ChatMessageResponse) -> None:
        self.message = message
        self.group = of.group
        self.recipients: list[Recipient] = []
        self.envelopes: list[Envelope] = []
        """Those copies that have an envelope each."""
        self.passed_on: list[bytes] = []
        """Statuses behind those of `message`, which nobody signed: encoded, as they came."""


class Statuses:
    """Tells authors: our own users at their clients, others through the server that gave us their message.

    The statuses of a group message's copies are gathered until `flush`: one MESSAGE_ACK tells several.
    """

    def __init__(
        self,
        server_id: str,
        roster: Roster,
        mailbox: Mailbox,
        owed: OwedStatuses,
        hooks: Hooks,
    ) -> None:
        self._server_id = server_id
        self._roster = roster
        self._mailbox = mailbox
        self._owed = owed
        self._count = hooks.count
        self._delivered = hooks.delivered
        self._delivered_together = hooks.delivered_together
        self._sign = hooks.sign
        self._collect = hooks.collect
        self._now = hooks.now
        self._done: list[Envelope] = []
        """Messages that were delivered in this turn: told at its end, so that it costs little."""
        stored_keys, delivered_keys = mailbox.state.stored_keys, mailbox.state.delivered_keys
        self.recent = RecentMessages(mailbox.find, REMEMBERED, stored_keys, delivered_keys)
        self._gathered: dict[tuple[Destination, User, int], _Gathered] = {}
        self.together: Final = AnswersTogether()
        self._left_out: OrderedDict[tuple[User, int, Group], None] = OrderedDict()
        """Messages to groups that no server keeps: their authors' servers and clients are told so."""
        self._numbers: OrderedDict[tuple[User, int, Group], int] = OrderedDict()
        """The latest messages to groups, with the numbers that the groups' servers gave them."""
        self._state = mailbox.state
        self.expected = ExpectedStatuses(lambda: hooks.limited("messages", "statuses"))

    def report(self, envelope: Envelope, status: int, proof: bytes | None = None) -> None:
        """Tell an envelope's author its status; what has a final one needs to be kept no longer.

        `proof`: the field in which whoever gave the status signed it (shared/trust/authors.py), which is passed on;
        empty: nobody did; None: we give it ourselves.
        """
        proof = self._sign(envelope, status) if proof is None else proof
        is_final = status in FINAL
        if self._collect is not None:
            self._collect.note(envelope, status)
        if is_final:
            envelope.ended(status)
        else:
            envelope.reported(status)
        self.recent.note(envelope.key, status)
        scope = "local" if envelope.recipient[1] == self._server_id else "remote"
        self._count(scope, status)
        if status == _DELIVERED:
            self._done.append(envelope)
            if scope == "local":
                self._mailbox.delivered(envelope)
        if envelope.group is not None:
            self._gather(envelope, status, proof)
        else:
            # An interim status need not be owed: the origin keeps the message until it has one, and asks again.
            for_certain = is_final and envelope.durability is not MEMORY
            self._report_one(envelope, status, for_certain=for_certain, proof=proof)
        if is_final and envelope.durability is not MEMORY:
            self._mailbox.over(envelope, status)

    def report_late(self, envelope: Envelope, status: int, proof: bytes = b"") -> None:
        """Tell what another server says of a message that it has had for some time: nothing of it is kept here."""
        if self._collect is not None:
            self._collect.note_late(envelope, status)
        envelope.reported(status)
        self.recent.note(envelope.key, status)
        self._count("remote", status)
        if envelope.group is not None:
            self._gather(envelope, status, proof)
        else:
            self._report_one(envelope, status, for_certain=True, proof=proof)

    def report_when_safe(self, envelope: Envelope, status: int) -> None:
        """Tell an interim status, which says that a message is kept, as soon as that is true."""
        if envelope.durability is SAFE:
            self.report_once(envelope, status)
        else:
            envelope.promise(status)

    def report_once(self, envelope: Envelope, status: int, proof: bytes | None = None) -> None:
        """Tell an interim status, unless the author has it already, or a final one that came another way."""
        last = envelope.last_status
        if last != status and last not in FINAL and self.recent.status(envelope.key) not in FINAL:
            self.report(envelope, status, proof)

    def report_unconfirmed(self, envelope: Envelope) -> None:
        """Tell, once, that one which goes on is neither confirmed nor kept: whatever comes of it is told, too."""
        if envelope.last_status not in FINAL:
            status = Status.UNKNOWN_STATUS
            if self._collect is not None:
                self._collect.note(envelope, status)
            envelope.reported(status)
            self._count("local" if envelope.recipient.server_id == self._server_id else "remote", status)
            if envelope.group is not None:
                self._gather(envelope, status)
            else:
                self._report_one(envelope, status)

    def repeat(self, envelope: Envelope) -> None:
        """A message came again: its author hears the present status again, if there is one."""
        status = self.recent.status(envelope.key)
        if status is not None and self._collect is not None:
            self._collect.note_again(envelope, status)
        if status is not None and envelope.group is not None:
            self._gather(envelope, status)
        elif status is not None:
            self._report_one(envelope, status)

    def refuse(self, author: User, snowflake: int, recipient: Recipient | None, status: int) -> None:
        """Answer one of our clients for what is no message to anybody."""
        self._send(author, _ack(None, snowflake, recipient, status))

    # Groups --------------------------------------------------------------------------------------

    def leave_out(self, author: User, snowflake: int, group: Group) -> None:
        """No server is to keep this message to a group: its statuses say so, and the archive takes none of it."""
        self._left_out[author, snowflake, group] = None
        if len(self._left_out) > LEFT_OUT:
            self._left_out.popitem(last=False)
        if self._collect is not None:
            self._collect.leave_out(author, snowflake, group)

    def numbered(self, author: User, snowflake: int, group: Group, number: int) -> None:
        """The group's server gave this message its number: its statuses say so, and the archive goes by it."""
        self._numbers[author, snowflake, group] = number
        if len(self._numbers) > NUMBERED:
            self._numbers.popitem(last=False)
        if self._collect is not None:
            self._collect.numbered(author, snowflake, group, number)

    def _number_of(self, envelope: Envelope | SharedCopy) -> int:
        group = envelope.group or envelope.recipient
        if not isinstance(group, Group):
            return 0
        number = self._numbers.get((envelope.author, envelope.snowflake, group), 0)
        if (
            number
            or isinstance(envelope, SharedCopy)
            or envelope.group is None
            or group.server_id != self._server_id
            or not envelope.raw
        ):
            return number
        return _message(envelope.raw).groupNumber  # a copy that waited when the last process ended

    def _is_left_out(self, envelope: Envelope | SharedCopy) -> bool:
        group = envelope.group or envelope.recipient
        key = envelope.author, envelope.snowflake, group
        return isinstance(group, Group) and key in self._left_out

    def expect(self, author: User, snowflake: int, group: Group, members: Sequence[User]) -> None:
        """The message is complete, and its author told so, when each of these members has a status."""
        self.expected.add(author, (snowflake, group), members)

    def report_delivered(self, shared: SharedCopy, members: Sequence[User], ack: pb.ChatMessageResponse) -> None:
        """Tell that so many members of a shared copy have it; `ack`, which is used up, says so of nobody else."""
        if self._collect is not None and not shared.is_noted:
            shared.is_noted = True
            self._collect.note(shared.copy_for(members[0]), _DELIVERED)
        note, key_of = self.recent.note, shared.missing.pop
        for member in members:
            note(key_of(member), _DELIVERED)
        self._delivered_together(shared.arrived, len(members))
        gathered = self._gathered_of(shared)
        if ack.proofs:
            _fill(gathered.message)
            _add_proofs(gathered.message, ack)
            gathered.message.statuses.extend(ack.statuses)
        else:
            gathered.passed_on.append(_statuses_alone(ack))
        gathered.recipients.extend(members)

    def _gathered_of(self, of: Envelope | SharedCopy) -> _Gathered:
        key = of.reply_to, of.author, of.snowflake
        gathered = self._gathered.get(key)
        if gathered is None:
            group = (of.group or Group("", "")).to_pb()
            message = pb.ChatMessageResponse(messageSnowflake=of.snowflake, group=group)
            if of.origin:
                message.author.CopyFrom(of.author.to_pb())
            message.historyOff = self._is_left_out(of)
            message.groupNumber = self._number_of(of)
            gathered = self._gathered[key] = _Gathered(of, message)
        return gathered

    def _gather(self, envelope: Envelope, status: int, proof: bytes = b"") -> None:
        gathered = self._gathered_of(envelope)
        message = gathered.message
        if proof:
            _fill(message)
            message.MergeFromString(proof)
        message.statuses.add(user=_user(envelope.recipient), status=Status.Status.Name(status))
        gathered.recipients.append(envelope.recipient)
        gathered.envelopes.append(envelope)

    def comes_for_many(self, origin: str, author: User, snowflake: int, group: Group, members: int) -> None:
        """A message came that is for so many members here: say so at once; their statuses are told together."""
        self.together.came((origin, author, snowflake), members)
        coming = pb.ChatMessageResponse(messageSnowflake=snowflake, author=author.to_pb(), group=group.to_pb())
        if (server := self._roster.linked(origin)) is not None:
            server.link.send(encode_frame("MESSAGE_ACK", coming.SerializeToString()))

    def flush(self) -> None:
        """Tell what was gathered in this turn, but for what waits for more of the same message."""
        if self._done:
            done, self._done = self._done, []
            self._delivered(done)
        if not self._gathered:
            return
        gathered, self._gathered = self._gathered, {}
        now = self._now() if self.together.missing else 0.0
        for key, each in gathered.items():  # in the order in which they came: an author's list has that order
            if self.together.missing and not self.together.may_go(key, len(each.recipients), now):
                self._gathered[key] = each
            else:
                self._tell(key, each)

    def _tell(self, key: tuple[Destination, User, int], gathered: _Gathered) -> None:
        (reply_to, author, snowflake), message = key, gathered.message
        if gathered.group is not None:  # whether these were the last members without a status
            message.complete = self.expected.note(author, (snowflake, gathered.group), gathered.recipients)
        passed_on = b"".join(gathered.passed_on)
        if message.proofs:
            message.MergeFromString(passed_on)
            passed_on = b""
            _fill(message)
        is_certain = any(each.durability is not MEMORY and each.last_status in FINAL for each in gathered.envelopes)
        self._send(reply_to, message.SerializeToString() + passed_on, for_certain=is_certain)

    def taken_by_group(self, envelope: Envelope) -> None:
        """Another server has a message to one of its groups."""
        if self._collect is not None:
            self._collect.note(envelope, Status.USER_AWAY)

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

    def link_lost(self, user: User, link: ChatLink, *, cleanly: bool) -> None:
        """Owe again the statuses that a broken link was given last, unless another client had them, too."""
        unconfirmed = self._state.unconfirmed_statuses.pop(link, ())
        if not cleanly and not self._roster.clients(user):
            frames = FrameReader(sys.maxsize).feed(b"".join(unconfirmed))
            for frame in frames[-UNCONFIRMED:]:
                self._owed.owe(user, frame.payload)

    # Sending -----------------------------------------------------------------------------------------

    def _report_one(
        self, envelope: Envelope, status: int, *, for_certain: bool = False, proof: bytes = b""
    ) -> None:
        rest = tail(envelope.author if envelope.origin else None, envelope.recipient, status) + proof
        if self._left_out and self._is_left_out(envelope):
            rest += _HISTORY_OFF
        if self._numbers and (number := self._number_of(envelope)):
            rest += pb.ChatMessageResponse(groupNumber=number).SerializeToString()
        reply_to = envelope.reply_to
        if links := self._links_to(reply_to, for_certain=for_certain):
            self._write(reply_to, links, status_frame(envelope.snowflake, rest), is_final=status in FINAL)
        else:
            self._owed.owe(reply_to, _number(envelope.snowflake) + rest)

    def _send(self, destination: Destination, payload: bytes, *, for_certain: bool = False) -> None:
        """Tell now where that will do; else note it as owed, which tells as soon as somebody is there."""
        if links := self._links_to(destination, for_certain=for_certain):
            self._write(destination, links, encode_frame("MESSAGE_ACK", payload))
        else:
            self._owed.owe(destination, payload)

    def _links_to(self, destination: Destination, *, for_certain: bool) -> Sequence[ChatLink]:
        """Where a status is told now; nowhere: it has to be owed."""
        if isinstance(destination, User):
            return self._roster.clients(destination)
        server = self._roster.linked(destination)
        return () if server is None or (for_certain and server.confirms) else (server.link,)

    def _write(
        self, destination: Destination, links: Sequence[ChatLink], raw: bytes, *, is_final: bool = False
    ) -> None:
        for link in links:
            link.send(raw)
            if is_final and isinstance(destination, User):
                unconfirmed = self._state.unconfirmed_statuses.get(link)
                if unconfirmed is None:
                    unconfirmed = self._state.unconfirmed_statuses[link] = []
                elif len(unconfirmed) >= UNCONFIRMED:
                    del unconfirmed[0]
                unconfirmed.append(raw)


def _message(raw: bytes) -> pb.ChatMessage:
    try:
        return decode(read_datagram(raw), pb.ChatMessage)
    except MalformedMessage:
        return pb.ChatMessage()


def _statuses_alone(ack: pb.ChatMessageResponse) -> bytes:
    """The statuses of an acknowledgement, encoded, and nothing else of it: less work than to copy each."""
    for name in _BESIDE_STATUSES:
        ack.ClearField(name)
    ack.DiscardUnknownFields()
    return ack.SerializeToString()


def _fill(message: pb.ChatMessageResponse) -> None:
    """Have as many proofs as statuses: those in between were signed by nobody."""
    for _ in range(len(message.statuses) - len(message.proofs)):
        message.proofs.add()


def _add_proofs(message: pb.ChatMessageResponse, ack: pb.ChatMessageResponse) -> None:
    """Add the proofs of all statuses of another acknowledgement; one that has not the shape of one is left out."""
    if are_whole(ack):
        message.proofs.extend(ack.proofs)
        return
    for proof in proof_fields(ack):
        if proof:
            message.MergeFromString(proof)
        else:
            message.proofs.add()


def _ack(author: User | None, snowflake: int, recipient: Recipient | None, status: int) -> bytes:
    """A MESSAGE_ACK's payload: its number, and behind it what many have in common."""
    return _number(snowflake) + tail(author, recipient, status)


def _number(snowflake: int) -> bytes:
    return pb.ChatMessageResponse(messageSnowflake=snowflake).SerializeToString()


def status_frame_pure(snowflake: int, rest: bytes) -> bytes:
    """The frame of a MESSAGE_ACK of that number; `rest`: its payload behind the number."""
    return encode_frame("MESSAGE_ACK", _number(snowflake) + rest)


status_frame: Callable[[int, bytes], bytes] = status_frame_pure if core is None else core.status_frame


@lru_cache(maxsize=1 << 12)
def tail(author: User | None, recipient: Recipient | None, status: int) -> bytes:
    """The part of a MESSAGE_ACK's payload after the number."""
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
