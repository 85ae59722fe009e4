"""The recipient of a typing event or a location: everyone, a user, a group, or a member of a group. Pure."""

from __future__ import annotations

from typing import NamedTuple

from parley.shared.addresses import Group, User, parse_recipient
from parley.shared.wire.messages import pb


class Audience(NamedTuple):
    """A user, a group, or (both) that user as a member of that group; neither: everyone."""

    user: User | None = None
    group: Group | None = None

    def __str__(self) -> str:
        return " in ".join(str(name) for name in self if name is not None) or "everyone"

    @property
    def is_complete(self) -> bool:
        """Whether no name in it is missing or absurdly long."""
        return all(name.is_complete for name in self if name is not None)

    @property
    def is_group(self) -> bool:
        """Whether it is a whole group, whose members have to be asked for."""
        return self.user is None and self.group is not None

    @property
    def is_member(self) -> bool:
        """Whether it is a user as a member of a group."""
        return self.user is not None and self.group is not None

    @classmethod
    def to(cls, name: str | User | Group | None) -> Audience:
        """A user, a whole group, or everyone. ConfigError where a text is none of their names."""
        name = parse_recipient(name) if isinstance(name, str) else name
        return cls(None, name) if isinstance(name, Group) else cls(name, None)

    @classmethod
    def of_location(cls, location: pb.LiveLocation) -> Audience | None:
        """The payload's audience; None where it names nobody, or half of somebody."""
        match location.WhichOneof("recipient"):
            case "user":
                found = cls(User.of(location.user), None)
            case "group":
                found = cls(None, Group.of(location.group))
            case "userOfGroup":
                found = cls._member(location.userOfGroup)
            case _:
                return None
        return found if found.is_complete else None

    @classmethod
    def of_typing(cls, event: pb.TypingEvent) -> Audience | None:
        """The payload's audience, EVERYONE where it names none; None where it names half of somebody."""
        match event.WhichOneof("recipient"):
            case "to_user":
                found = cls(User.of(event.to_user), None)
            case "to_group":
                found = cls(None, Group.of(event.to_group))
            case "to_member":
                found = cls._member(event.to_member)
            case _:
                return EVERYONE
        return found if found.is_complete else None

    @classmethod
    def _member(cls, message: pb.UserOfGroup) -> Audience:
        return cls(User.of(message.user), Group.of(message.group))

    def write_location(self, location: pb.LiveLocation) -> None:
        """Make it the payload's audience."""
        if self.user is not None and self.group is not None:
            location.userOfGroup.CopyFrom(self._to_member())
        elif self.user is not None:
            location.user.CopyFrom(self.user.to_pb())
        elif self.group is not None:
            location.group.CopyFrom(self.group.to_pb())

    def write_typing(self, event: pb.TypingEvent) -> None:
        """Make it the payload's audience."""
        event.ClearField("recipient")
        if self.user is not None and self.group is not None:
            event.to_member.CopyFrom(self._to_member())
        elif self.user is not None:
            event.to_user.CopyFrom(self.user.to_pb())
        elif self.group is not None:
            event.to_group.CopyFrom(self.group.to_pb())

    def _to_member(self) -> pb.UserOfGroup:
        if self.user is None or self.group is None:
            raise TypeError(f"{self} is no member of a group")
        return pb.UserOfGroup(user=self.user.to_pb(), group=self.group.to_pb())


EVERYONE = Audience()
"""Typing that names nobody is told to everyone, as existing clients expect."""
