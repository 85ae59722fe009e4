"""The delivery of a message that we sent: its statuses, each member's for a group, and the final one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from parley.client.authors.status_judgement import StatusAssurance
from parley.shared.addresses import Group, Recipient, User
from parley.shared.wire.messages import pb

Status = pb.ChatMessageResponse.DeliveryStatus
DELIVERED: Final = "DELIVERED"
INTERIM: Final = frozenset({"USER_AWAY", "OTHER_SERVER_TIMEOUT"})
"""Statuses that another one follows."""


class Delivery:
    """One message that we sent, and what we were told of it."""

    def __init__(self, message: pb.ChatMessage) -> None:
        self.message = message
        self.recipient: Recipient = (
            Group.of(message.group) if message.WhichOneof("recipient") == "group" else User.of(message.user)
        )
        self.statuses: list[str] = []
        """Every status heard, in order; for a group, of all its members."""
        self.members: dict[User, str] = {}
        """A group's members, and the last status of each. What follows a final one is final, too."""
        self.final: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """The final status, once it is known. For a group: DELIVERED when every member has the message, else the
        first other final status of a member, or that of the group itself."""
        self.first_status: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done with the first status, an interim one, too; for a group, when itself or each member has one."""
        self.is_history_off = False
        """Whether the group's server told that no server keeps the message."""
        self._is_complete = False
        self._assurances: dict[tuple[type, Recipient], StatusAssurance] = {}

    @property
    def snowflake(self) -> int:
        """The message's number."""
        return self.message.messageSnowflake

    @property
    def is_kept(self) -> bool:
        """Whether it waits for somebody, and nobody else's status is a failure."""
        last = list(self.members.values()) or self.statuses[-1:]  # a group's server may be away: its own, then
        return not self.final.done() and bool(last) and INTERIM.union({DELIVERED}).issuperset(last)

    def assurance_of(self, whose: Recipient) -> StatusAssurance:
        """The worth of the last status that was heard of the recipient, or of a member of the group."""
        return self._assurances.get((type(whose), whose), StatusAssurance.UNSIGNED)

    def note_assurance(self, whose: Recipient, assurance: StatusAssurance) -> None:
        """The worth of the status that is heard next."""
        self._assurances[type(whose), whose] = assurance

    def add_statuses(self, ack: pb.ChatMessageResponse) -> list[tuple[Recipient, str]]:
        """Note what a MESSAGE_ACK tells: whose status it is, and which. `final` is set when it is known."""
        heard = [(self.whose(entry, ack), _name(entry.status)) for entry in ack.statuses]
        self._is_complete = self._is_complete or ack.complete
        for whose, status in heard:
            self.statuses.append(status)
            if whose is self.recipient:  # a member may have the group's name: equality does not tell them apart
                self._end(status)
            elif isinstance(whose, User) and self._is_news(whose, status):
                self.members[whose] = status
        has_status = self._is_complete or any(whose is self.recipient for whose, _ in heard)
        if heard and has_status and not self.first_status.done():
            self.first_status.set_result(None)
        if self._is_complete and self.members and not INTERIM.intersection(self.members.values()):
            self._end(next((each for each in self.members.values() if each != DELIVERED), DELIVERED))
        return heard

    def _is_news(self, member: User, status: str) -> bool:
        """Whether it may replace what was heard before: no interim status follows a final one."""
        return status not in INTERIM or self.members.get(member, status) in INTERIM

    def whose(self, entry: pb.ChatMessageResponse.DeliveryStatus, ack: pb.ChatMessageResponse) -> Recipient:
        """The recipient itself, or a member of the group. A server that is no Parley may name nobody."""
        user = User.of(entry.user)
        if isinstance(self.recipient, User):
            return self.recipient
        names_the_group = not user.is_complete or user.is_same(User(*self.recipient))
        return self.recipient if names_the_group and not ack.HasField("group") else user

    def _end(self, status: str) -> None:
        if status not in INTERIM and not self.final.done():
            self.final.set_result(status)
            if not self.first_status.done():
                self.first_status.set_result(None)


def without_forged(
    delivery: Delivery, ack: pb.ChatMessageResponse, worth: Sequence[StatusAssurance]
) -> list[tuple[Recipient, str]]:
    """Take forged statuses out of a MESSAGE_ACK, and note the others' worth; whose they were, and which.

    A member's is made UNKNOWN_STATUS: the group's server may say that it has told all, and that one it has not.
    """
    forged, kept = [], []
    for entry, assurance in zip(ack.statuses, worth, strict=True):
        whose = delivery.whose(entry, ack)
        if assurance is not StatusAssurance.FORGED:
            delivery.note_assurance(whose, assurance)
            kept.append(entry)
            continue
        forged.append((whose, _name(entry.status)))
        if isinstance(delivery.recipient, Group) and whose is not delivery.recipient:
            entry.status = Status.UNKNOWN_STATUS
            kept.append(entry)
    if len(kept) < len(ack.statuses):
        remaining = pb.ChatMessageResponse(statuses=kept)
        ack.ClearField("statuses")
        ack.statuses.extend(remaining.statuses)
    return forged


def without_false_certainty(delivery: Delivery, ack: pb.ChatMessageResponse) -> None:
    """Take the refusal of a message for UNKNOWN_STATUS that was lost with a link before it had any status.

    Whoever had it then may have sent it on, and a process that was started since does not know of that.
    """
    if not delivery.statuses:
        for entry in ack.statuses:
            if entry.status == Status.OTHER_ERROR and delivery.whose(entry, ack) is delivery.recipient:
                entry.status = Status.UNKNOWN_STATUS


def _name(status: int) -> str:
    """The status' name; a number that we do not know is a status that we do not know."""
    return Status.Status.Name(status) if status in Status.Status.values() else "UNKNOWN_STATUS"
