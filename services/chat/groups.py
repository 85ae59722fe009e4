"""Who is in which group of this server, and the copies that a message to a group becomes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Sequence

from services.chat.bodies import Body, Copy, head_of
from services.chat.mailbox import Item, Key
from shared.addresses import Group, User
from shared.messages import pb


class Groups:
    """Groups of at most `limit` members; a group is there while somebody is in it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._members: dict[str, dict[User, None]] = {}
        self._former: dict[str, dict[User, None]] = {}
        self._snapshots: dict[str, tuple[User, ...]] = {}
        self._encoded: dict[str, bytearray] = {}
        """Their members as GroupMembers has them: whoever joins is told all."""

    def members(self, group_id: str) -> KeysView[User]:
        """The members, in the order in which they came; none: there is no such group."""
        return self._members.get(group_id, {}).keys()

    def members_now(self, group_id: str) -> tuple[User, ...]:
        """The same as they are now: who joins or leaves later changes nothing of it."""
        if (snapshot := self._snapshots.get(group_id)) is None:
            snapshot = self._snapshots[group_id] = tuple(self.members(group_id))
        return snapshot

    def encoded_members(self, group_id: str) -> bytearray:
        """The same as the field `members` of a GroupMembers."""
        encoded = self._encoded.get(group_id)
        if encoded is None:
            encoded = self._encoded[group_id] = bytearray(_encode(self.members(group_id)))
        return encoded

    def former(self, group_id: str) -> KeysView[User]:
        """Who left, the last `limit` of them: what was sent to them before is still to be answered for."""
        return self._former.get(group_id, {}).keys()

    def is_full(self, group_id: str) -> bool:
        """Whether nobody else can join."""
        return len(self.members(group_id)) >= self._limit

    def add(self, group_id: str, user: User) -> None:
        """Somebody joined."""
        self._former.get(group_id, {}).pop(user, None)
        self._snapshots.pop(group_id, None)
        members = self._members.setdefault(group_id, {})
        encoded = self._encoded.get(group_id)
        if encoded is not None and user not in members:
            encoded += _encode([user])
        members[user] = None

    def remove(self, group_id: str, user: User) -> None:
        """Somebody left; the last one ends the group."""
        members = self._members.get(group_id, {})
        self._encoded.pop(group_id, None)
        self._snapshots.pop(group_id, None)
        if user in members:
            del members[user]
            former = self._former.setdefault(group_id, {})
            former[user] = None
            if len(former) > self._limit:
                del former[next(iter(former))]
        if not members:
            self._members.pop(group_id, None)


def _encode(members: Iterable[User]) -> bytes:
    return pb.GroupMembers(members=[member.to_pb() for member in members]).SerializeToString()


def copies(
    message: pb.ChatMessage, group: Group, members: Sequence[User], keys: Sequence[Key], origin: str
) -> Iterator[Item]:
    """What a message to a group becomes: one for each of these members. protobuf merges fields in any order."""
    shared = pb.ChatMessage()
    shared.CopyFrom(message)
    shared.ClearField("recipient")
    body = Body(shared.SerializeToString())
    author, snowflake = User.of(message.author), message.messageSnowflake
    return (
        Copy(
            author,
            snowflake,
            member,
            key=key,
            origin=origin,
            group=group,
            head=head_of(member, group, body),
            body=body,
        )
        for member, key in zip(members, keys, strict=True)
    )
