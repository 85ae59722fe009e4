"""How a MESSAGE for several members of a group looks: who goes into one, how it is written and read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.wire.framing import encode_frame
from parley.shared.wire.messages import pb
from parley.shared.wire.pieces import WHOLE

MEMBERS: Final = 256
"""Members that one is for, at most."""
NAMES: Final = 16 * 1024
"""Bytes of their names."""
LARGEST: Final = WHOLE - NAMES
"""Bytes of a body that goes so: what is larger goes to each in pieces, which hold up nobody."""
MOST: Final = 1024
"""Members that are taken from another server in one: more are refused whole."""
_NAME: Final = 4
"""Bytes of a name's tag and length."""
_OF_CHARACTER: Final = 4
"""Bytes of a character, at most."""


def portions(members: Sequence[User]) -> Iterator[Sequence[User]]:
    """Members of one server, divided among as few frames as may be, in their order."""
    for start in range(0, len(members), MEMBERS):
        some = members[start : start + MEMBERS]
        most = sum(map(len, [user_id for user_id, _server_id in some])) * _OF_CHARACTER + len(some) * _NAME
        if most <= NAMES:
            yield some
        else:
            yield from _short(some)


def _short(members: Sequence[User]) -> Iterator[list[User]]:
    """Members with long names, by the bytes of these."""
    portion: list[User] = []
    size = 0
    for member in members:
        own = len(member.user_id.encode()) + _NAME
        if portion and size + own > NAMES:
            yield portion
            portion, size = [], 0
        portion.append(member)
        size += own
    yield portion


def encode_shared(members: Iterable[User], group: Group, body: bytes) -> bytes:
    """The frame for these members; protobuf merges fields in any order."""
    names = pb.MembersOfGroup(group=group.to_pb(), userIds=[user_id for user_id, _server_id in members])
    return encode_frame("MESSAGE", pb.ChatMessage(members=names).SerializeToString() + body)


def is_shared(message: pb.ChatMessage) -> bool:
    """Whether a MESSAGE is for several members of a group. One that names a recipient, too, is for that alone."""
    return message.HasField("members") and message.WhichOneof("recipient") is None


def read_members(message: pb.ChatMessage, server_id: str) -> tuple[list[User], Group]:
    """The members that it is for, who are users of `server_id`, each once, and their group.

    Raises:
        UnexpectedMessage: there are too many, or none, or one that nobody can be called.

    """
    named, group = message.members.userIds, Group.of(message.members.group)
    if len(named) > MOST:
        raise UnexpectedMessage(f"a message for {len(named)} members of {group} at once", "too_large")
    members = [User(user_id, server_id) for user_id in dict.fromkeys(named)]
    if not members or not group.is_complete or not all(member.is_complete for member in members):
        raise UnexpectedMessage(f"a message for members of {group} whom nobody can be called", "no_recipient")
    return members, group
