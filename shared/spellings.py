"""How servers spell their names: a message that spells one otherwise is corrected where it comes in. Pure.

Tables and look-ups behind that are exact, and what goes on to a server has its name as it spells it itself: an
existing one knows no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import Final, TypeVar

from google.protobuf.message import Message

from parley.shared.addresses import User
from parley.shared.names import fold
from parley.shared.wire.messages import pb

_V = TypeVar("_V")
MOST: Final = 20_000
"""Names that are known; those beyond are taken as they are spelt."""


class Spellings:
    """The names of our own server and of all that we know. The first spelling of one stays."""

    def __init__(self) -> None:
        self.exact: set[str] = set()
        """Names that are spelt as their servers spell them: what is at one of these need not be corrected."""
        self._by_fold: dict[str, str] = {}

    def learn(self, server_ids: Iterable[str]) -> None:
        """These are spelt so."""
        for server_id in server_ids:
            if server_id in self.exact or len(self.exact) >= MOST or not server_id:
                continue
            if self._by_fold.setdefault(fold(server_id), server_id) == server_id:
                self.exact.add(server_id)

    def learn_own(self, server_id: str) -> None:
        """Ours comes before any other spelling of it."""
        before = self._by_fold.pop(fold(server_id), "")
        self.exact.discard(before)
        self.learn([server_id])

    def of(self, server_id: str) -> str:
        """How that server spells its name, as far as it is known."""
        return server_id if server_id in self.exact else self._by_fold.get(fold(server_id), server_id)

    def user(self, user: User) -> User:
        """The same user at a server that is spelt as it spells itself."""
        server_id = self.of(user.server_id)
        return user if server_id == user.server_id else User(user.user_id, server_id)

    def correct(self, message: Message) -> bool:
        """Correct all names of servers in a payload; whether there was anything to correct."""
        corrected = False
        for name in _names(message):
            if name.serverId not in self.exact and (spelt := self.of(name.serverId)) != name.serverId:
                name.serverId = spelt
                corrected = True
        return corrected


_ONE: Final[dict[str, tuple[str, ...]]] = {
    "ChatMessage": ("author", "user", "group", "userOfGroup", "members"),
    "ChatMessageResponse": ("author", "group"),
    "JoinGroup": ("group", "user"),
    "LeaveGroup": ("group", "user"),
    "QueryGroupMembers": ("group", "user"),
    "ChangeGroup": ("group", "user"),
    "GroupMembers": ("group", "asker"),
    "ChangeBlock": ("user",),
    "QueryHistory": ("user", "group"),
    "ClearHistory": ("user", "group"),
    "ReadReceipt": ("user", "group"),
    "UserOfGroup": ("user", "group"),
    "MembersOfGroup": ("group",),
    "DeliveryStatus": ("user",),
    "TypingEvent": ("user", "to_user", "to_group", "to_member"),
    "LiveLocation": ("author", "user", "group", "userOfGroup"),
    "ExtendedLiveLocation": ("live_location",),
}
"""Payload → the fields in which people and groups are named."""
_MANY: Final[dict[str, tuple[str, ...]]] = {
    "ChatMessageResponse": ("statuses",),
    "GroupMembers": ("user", "admins"),
    "QueryUsersResponse": ("users",),
    "TypingEvents": ("typing_events", "stopped"),
    "LiveLocations": ("extended_live_locations",),
}
"""… and those that repeat."""


def _names(message: Message) -> Iterator[pb.User | pb.Group]:
    """Everybody whom a payload names."""
    if isinstance(message, (pb.User, pb.Group)):
        yield message
        return
    kind = message.DESCRIPTOR.name
    for field in _ONE.get(kind, ()):
        if message.HasField(field):
            yield from _names(getattr(message, field))
    for field in _MANY.get(kind, ()):
        for each in getattr(message, field):
            yield from _names(each)


class ByName(MutableMapping[str, _V]):
    """A table by the names of servers, however they are spelt; its keys are spelt as they were first."""

    def __init__(self) -> None:
        self._values: dict[str, _V] = {}
        self._spelt: dict[str, str] = {}

    def __getitem__(self, server_id: str) -> _V:
        return self._values[fold(server_id)]

    def __setitem__(self, server_id: str, value: _V) -> None:
        key = fold(server_id)
        self._spelt.setdefault(key, server_id)
        self._values[key] = value

    def __delitem__(self, server_id: str) -> None:
        key = fold(server_id)
        del self._values[key]
        del self._spelt[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spelt.values())

    def __len__(self) -> int:
        return len(self._values)
