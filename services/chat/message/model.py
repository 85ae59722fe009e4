"""A message's destination, pair and key, and its name in other servers' statuses. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from parley.shared.addresses import Group, Recipient, User

if TYPE_CHECKING:
    from parley.services.chat.message.life import Envelope

Destination = User | str
"""A user of this server, or another server's serverId."""

Key = bytes
"""By which a message is recognised when it comes again (message_keys.py); empty: by nothing."""


Pair = tuple[User, Recipient]
"""Author and recipient: what one sent to the other stays in order, whatever happens."""


class Name(NamedTuple):
    """The name of a message in other servers' statuses, which identify it by nothing else."""

    author: User
    snowflake: int
    recipient: Recipient
    kind: int
    """TO_USER, COPY or TO_GROUP: a user may be called like a group."""


class HandedOver(NamedTuple):
    """A message that another server has, as far as it is known here."""

    key: Key
    status: int
    """The status that its author was told last."""


TO_USER: Final = 0
COPY: Final = 1
TO_GROUP: Final = 2
"""Kinds of messages: for a user; a copy for a member of a group; for a group of another server."""


def kind_of(recipient: Recipient, group: Group | None) -> int:
    """The kind of a message to somebody, as a copy for a member of a group if there is one."""
    return TO_GROUP if isinstance(recipient, Group) else COPY if group is not None else TO_USER


def name_of(envelope: Envelope) -> Name:
    """The name that another server's statuses have for an envelope."""
    return Name(
        envelope.author, envelope.snowflake, envelope.recipient, kind_of(envelope.recipient, envelope.group)
    )
