"""Reads the statuses of a MESSAGE_ACK, which may be of many members of a group. Pure.

A group's server reads one for each member of each message. The compiled core does the same
(shared/core/fast_path/read_statuses.c), and says None where it has to be read here.
"""

from __future__ import annotations

from collections.abc import Callable

from parley.shared.addresses import User
from parley.shared.compiled import core
from parley.shared.wire.messages import pb

StatusesByUser = list[tuple[User | None, int]]
"""Users, None where a status names nobody, and their statuses: as numbers, also those that this version has not."""


def user_of(status: pb.ChatMessageResponse.DeliveryStatus) -> User | None:
    """The user whose status this is; None: it names nobody."""
    named = User.of(status.user)
    return named if named[0] or named[1] or status.HasField("user") else None


def statuses_of(ack: pb.ChatMessageResponse, most: int) -> StatusesByUser:
    """The first statuses of an acknowledgement, `most` of them."""
    return [(user_of(each), each.status) for each in ack.statuses[:most]]


_Read = Callable[[bytes, int, type[User]], StatusesByUser | None]
_compiled: _Read | None = None if core is None else core.read_statuses


def read_statuses(payload: bytes, ack: pb.ChatMessageResponse, most: int) -> StatusesByUser:
    """The same of one that was read from a payload."""
    found: StatusesByUser | None = None if _compiled is None else _compiled(payload, most, User)
    return statuses_of(ack, most) if found is None else found
