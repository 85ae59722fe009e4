"""The groups of this server, their members, and the copies that a message to a group becomes. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, KeysView, Sequence
from dataclasses import dataclass
from typing import Final

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Key
from parley.services.chat.storage.bodies import Body, Copy, head_of
from parley.shared.addresses import Group, User
from parley.shared.wire.messages import pb

BYTES: Final = 1024 * 1024
"""Of a group's members' names: whoever asks is told all of them in one message."""
FORMER: Final = 20_000
"""So many former members of groups are remembered; those who left the longest ago are forgotten."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How many groups there may be, members in them all, and groups that one user is in.

    `share` of the first two is what all from one source may have: an address, or another server.
    """

    groups: int = 1_000_000
    members: int = 100_000_000
    of_user: int = 1_000_000
    share: float = 1.0


class Groups:
    """Groups of at most `limit` members; a group is there while somebody is in it."""

    def __init__(
        self, limit: int, caps: Caps | None = None, source: Callable[[User], str] = lambda user: user.server_id
    ) -> None:
        self._limit = limit
        self._caps = caps or Caps()
        self._source = source
        self._members: dict[str, dict[User, None]] = {}
        self._sizes: Counter[str] = Counter()
        """Bytes of each group's members' names."""
        self._former: OrderedDict[tuple[str, User], None] = OrderedDict()
        self._former_of: dict[str, dict[User, None]] = {}
        self._spoken: set[str] = set()
        """Groups that something was sent to: who leaves one is remembered."""
        self._makers: dict[str, str] = {}
        """Group → where the one came from who made it."""
        self._made: Counter[str] = Counter()
        self._of_user: Counter[User] = Counter()
        self._of_source: Counter[str] = Counter()
        self._joining: Counter[User] = Counter()
        """The users of whom a membership is being written."""
        self._all_joining = 0
        self.memberships = 0
        """Members of all groups."""
        self._history_off: set[str] = set()
        """Groups of whose messages no server keeps anything."""
        self._snapshots: dict[str, tuple[User, ...]] = {}
        self._encoded: dict[str, bytearray] = {}
        """Group → its members as GroupMembers has them: a user who joins is told all."""

    def __len__(self) -> int:
        return len(self._members)

    @property
    def former_count(self) -> int:
        """The number of former members that are remembered."""
        return len(self._former)

    def members(self, group_id: str) -> KeysView[User]:
        """The members, in the order in which they came; none: there is no such group."""
        return self._members.get(group_id, {}).keys()

    def members_now(self, group_id: str) -> tuple[User, ...]:
        """The same as they are now: who joins or leaves later changes nothing of it."""
        if group_id not in self._members:
            return ()
        if (snapshot := self._snapshots.get(group_id)) is None:
            snapshot = self._snapshots[group_id] = tuple(self.members(group_id))
        return snapshot

    def encoded_members(self, group_id: str) -> bytearray:
        """The same as the field `user` of a GroupMembers."""
        encoded = self._encoded.get(group_id)
        if encoded is None:
            encoded = self._encoded[group_id] = bytearray(_encode(self.members(group_id)))
        return encoded

    def former(self, group_id: str) -> KeysView[User]:
        """The last `limit` former members: messages sent to them before are still to be answered for."""
        return self._former_of.get(group_id, {}).keys()

    # Who may change it -----------------------------------------------------------------------------

    def admin(self, group_id: str) -> User | None:
        """The member who may change the group: the one who has been in it the longest. None: it is not there."""
        return next(iter(self._members.get(group_id, ())), None)

    def is_history_off(self, group_id: str) -> bool:
        """Whether no server keeps what is written in the group."""
        return group_id in self._history_off

    def set_history(self, group_id: str, *, is_off: bool) -> bool:
        """Note that; False: there is no such group any more."""
        self._history_off.discard(group_id)
        if is_off and group_id in self._members:
            self._history_off.add(group_id)
        return group_id in self._members

    # Who may join ---------------------------------------------------------------------------------

    def is_full(self, group_id: str) -> bool:
        """Whether nobody else can join."""
        return len(self.members(group_id)) >= self._limit or self._sizes[group_id] >= BYTES

    def has_room(self, group_id: str, user: User) -> bool:
        """Whether there may be one member more of all groups, and if it has none, one group more."""
        caps, source, joining = self._caps, self._source(user), self._all_joining
        return (
            self._of_user[user] + self._joining[user] < caps.of_user
            and self.memberships + joining < caps.members
            and self._of_source[source] + joining < max(1, caps.members * caps.share)
            and (
                group_id in self._members
                or (
                    len(self) + joining < caps.groups
                    and self._made[source] + joining < max(1, caps.groups * caps.share)
                )
            )
        )

    def joins(self, user: User) -> None:
        """Somebody is about to join: it counts before it is on disk."""
        self._joining[user] += 1
        self._all_joining += 1

    def joined(self, user: User) -> None:
        """A membership is on disk, or could not be written."""
        self._joining[user] -= 1
        self._all_joining -= 1
        if not self._joining[user]:
            del self._joining[user]

    # Who is in ------------------------------------------------------------------------------------

    def add(self, group_id: str, user: User) -> None:
        """Somebody joined."""
        self._forget_former(group_id, user)
        self._snapshots.pop(group_id, None)
        members = self._members.get(group_id)
        if members is None:
            members = self._members[group_id] = {}
            self._makers[group_id] = self._source(user)
            self._made[self._makers[group_id]] += 1
        if user in members:
            return
        if (encoded := self._encoded.get(group_id)) is not None:
            encoded += _encode([user])
        members[user] = None
        self._count(group_id, user, 1)

    def remove(self, group_id: str, user: User) -> list[tuple[str, User]]:
        """Somebody left; the last one ends the group. Returns who of those that left is remembered no longer."""
        members = self._members.get(group_id, {})
        if user not in members:
            return []
        self._encoded.pop(group_id, None)
        self._snapshots.pop(group_id, None)
        del members[user]
        self._count(group_id, user, -1)
        gone = self.note_former(group_id, user) if self.remembers_former(group_id) else []
        if not members:
            self._end(group_id)
        return gone

    def _end(self, group_id: str) -> None:
        del self._members[group_id]
        self._spoken.discard(group_id)
        self._history_off.discard(group_id)
        self._sizes.pop(group_id, None)
        maker = self._makers.pop(group_id)
        self._made[maker] -= 1
        if not self._made[maker]:
            del self._made[maker]

    def _count(self, group_id: str, user: User, sign: int) -> None:
        self.memberships += sign
        self._sizes[group_id] += sign * (len(user.user_id.encode()) + len(user.server_id.encode()) + 8)
        for counter, key in ((self._of_user, user), (self._of_source, self._source(user))):
            counter[key] += sign  # type: ignore[index] # each has its own kind of key
            if not counter[key]:  # type: ignore[index]
                del counter[key]

    # Who was in -----------------------------------------------------------------------------------

    def spoke(self, group_id: str) -> None:
        """Something was sent to a group's members."""
        if group_id in self._members:
            self._spoken.add(group_id)

    def remembers_former(self, group_id: str) -> bool:
        """Whether whoever leaves has to be remembered: something was sent to them that is to be answered for."""
        return group_id in self._spoken

    def note_former(self, group_id: str, user: User) -> list[tuple[str, User]]:
        """Somebody left; returns who of those that left is remembered no longer."""
        self._former[group_id, user] = None
        of_group = self._former_of.setdefault(group_id, {})
        of_group[user] = None
        gone = [(group_id, next(iter(of_group)))] if len(of_group) > self._limit else []
        if len(self._former) > FORMER:
            gone.append(next(iter(self._former)))
        for each in gone:
            self._forget_former(*each)
        return gone

    def _forget_former(self, group_id: str, user: User) -> None:
        if (group_id, user) in self._former:
            del self._former[group_id, user]
            del self._former_of[group_id][user]
            if not self._former_of[group_id]:
                del self._former_of[group_id]


def _encode(members: Iterable[User]) -> bytes:
    return pb.GroupMembers(user=[member.to_pb() for member in members]).SerializeToString()


def body_of(message: pb.ChatMessage, *, history_off: bool) -> Body:
    """All of a group message but whom it is for."""
    shared = pb.ChatMessage()
    shared.CopyFrom(message)
    shared.ClearField("recipient")
    shared.ClearField("members")
    shared.historyOff = history_off
    return Body(shared.SerializeToString())


def copies(
    message: pb.ChatMessage,
    group: Group,
    members: Sequence[User],
    keys: Sequence[Key],
    original: Envelope,
    *,
    history_off: bool = False,
) -> Iterator[Copy]:
    """A group message's copies, one for each of these members. protobuf merges fields in any order.

    `history_off`: they tell their servers to keep nothing of it. The author does not decide that. The number of
    the message in the group is in `message` already.
    """
    body = body_of(message, history_off=history_off)
    author, snowflake = User.of(message.author), message.messageSnowflake
    return (
        Copy(
            author,
            snowflake,
            member,
            key=key,
            origin=original.origin,
            arrived=original.arrived,
            is_retried_by_origin=original.is_retried_by_origin,
            group=group,
            head=head_of(member, group, body),
            body=body,
        )
        for member, key in zip(members, keys, strict=True)
    )
