"""The lists that a message belongs to: each person has one for each other user or group. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from parley.services.chat.archive.entries import RECEIVED, SENT, Entry
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


def message_of(entry: Entry) -> pb.ChatMessage | None:
    """The message of a MESSAGE entry; None: there is none that can be read."""
    try:
        return decode(read_datagram(entry.data), pb.ChatMessage)
    except (MalformedMessage, ValueError):
        return None


def group_of(message: pb.ChatMessage) -> Group | None:
    """The group that a message is to, as itself or as a copy."""
    which = message.WhichOneof("recipient")
    if which == "group":
        return Group.of(message.group)
    return Group.of(message.userOfGroup.group) if which == "userOfGroup" else None


def lines_of(entry: Entry, message: pb.ChatMessage) -> Iterator[tuple[Conversation, int]]:
    """The conversations that get a line of a MESSAGE entry, and that line's status."""
    author, group = User.of(message.author), group_of(message)
    if group is not None:
        if entry.marks & SENT:
            yield conversation(author.user_id, group), entry.status
        if entry.marks & RECEIVED:
            yield conversation(message.userOfGroup.user.userId, group), RECEIVED_LINE
        return
    user = User.of(message.user)
    if entry.marks & SENT:
        yield conversation(author.user_id, user), entry.status
    if entry.marks & RECEIVED and not (entry.marks & SENT and author == user):
        yield conversation(user.user_id, author), RECEIVED_LINE
