"""A shared copy that came from a group's server becomes a copy for each member here. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from parley.services.chat.groups.groups import copies
from parley.services.chat.message.life import Envelope
from parley.services.chat.shared_copies.frames import read_members
from parley.services.chat.storage.bodies import Copy
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.wire.message_keys import MessageKeys
from parley.shared.wire.messages import pb


class Incoming:
    """One of them: who is to have a copy, of which group."""

    def __init__(
        self, message: pb.ChatMessage, raw: bytes, group: Group, members: list[User], original: Envelope
    ) -> None:
        self.message = message
        self.size = len(raw)
        self.group = group
        self.members = members
        self.original = original
        """The message as its author sent it to the group, without its bytes."""

    def copies(self, keys: MessageKeys) -> Iterable[Copy]:
        """A copy for each member, made one by one."""
        author, message = self.original.author, self.message
        each = keys.of_each(author, self.members, self.group, message)
        return copies(message, self.group, self.members, each, self.original, history_off=message.historyOff)


def read_shared(
    message: pb.ChatMessage, raw: bytes, server_id: str, our_server_id: str, arrived: float, *, is_retried: bool
) -> Incoming:
    """Read what `server_id` sent for members here.

    Raises:
        UnexpectedMessage: the group is not of that server, nobody wrote it, or it is for nobody here or too many.

    """
    members, group = read_members(message, our_server_id)
    author = User.of(message.author)
    if group.server_id != server_id or not author.is_complete:
        raise UnexpectedMessage(f"{server_id} speaks for {group} and {author}", "foreign_user")
    original = Envelope(
        author,
        message.messageSnowflake,
        group,
        b"",
        origin=server_id,
        arrived=arrived,
        is_retried_by_origin=is_retried,
    )
    return Incoming(message, raw, group, members, original)
