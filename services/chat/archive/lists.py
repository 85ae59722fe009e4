"""The lists that a message belongs to: each person has one for each other user or group. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from parley.services.chat.archive.entries import RECEIVED, SENT
from parley.shared.addresses import Group, Recipient, User
from parley.shared.errors import MalformedMessage
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, pb

RECEIVED_LINE: Final = -1
"""In place of the status of a line: the person received that message."""


class Conversation(NamedTuple):
    """One person's conversation with a user or a group; `person` is a userId of this server."""

    person: str
    is_group: bool
    name: str
    server_id: str

    @property
    def other(self) -> Recipient:
        """The user or the group."""
        kind = Group if self.is_group else User
        return kind(self.name, self.server_id)


def conversation(person: str, other: Recipient) -> Conversation:
    """The conversation of a person with a user or a group."""
    return Conversation(person, isinstance(other, Group), *other)


def message_of(frame: bytes) -> pb.ChatMessage | None:
    """The message of a MESSAGE entry's bytes; None: there is none that can be read."""
    try:
        return decode(read_datagram(frame), pb.ChatMessage)
    except (MalformedMessage, ValueError):
        return None


def group_of(message: pb.ChatMessage) -> Group | None:
    """The group that a message is to, as itself or as a copy."""
    which = message.WhichOneof("recipient")
    if which == "group":
        return Group.of(message.group)
    return Group.of(message.userOfGroup.group) if which == "userOfGroup" else None


def conversations_of(message: pb.ChatMessage) -> dict[int, Conversation]:
    """The conversations that a message belongs to, by the mark with which it does."""
    author, group = User.of(message.author), group_of(message)
    if group is not None:
        member = message.userOfGroup.user.userId
        return {SENT: conversation(author.user_id, group), RECEIVED: conversation(member, group)}
    user = User.of(message.user)
    return {SENT: conversation(author.user_id, user), RECEIVED: conversation(user.user_id, author)}
