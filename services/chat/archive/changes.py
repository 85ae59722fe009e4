"""Changes of the archive that somebody asks for: clear a conversation, remove old days, erase a person. Pure."""

from __future__ import annotations

from msgspec import Struct

from parley.shared.addresses import Group, Recipient


class Clear(Struct, frozen=True, tag=True):
    """Remove one person's own copy of a conversation, or of all."""

    user_id: str
    other: tuple[str, str] | None = None
    """The name and server of whom it is with; None: all conversations."""
    is_group: bool = False


class Prune(Struct, frozen=True, tag=True):
    """Remove all days but the latest one and so many before it."""

    days: float


class Erase(Struct, frozen=True, tag=True):
    """Remove all that is kept for one person."""

    user_id: str


Change = Clear | Prune | Erase


def clearing(user_id: str, other: Recipient | None) -> Clear:
    """Clear a person's conversation with a user or a group; None: all of theirs."""
    if other is None:
        return Clear(user_id)
    return Clear(user_id, (other[0], other[1]), is_group=isinstance(other, Group))
