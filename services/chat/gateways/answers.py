"""Reads a MESSAGE_ACK of an existing server: what it says of one of its users, if it says anything. Pure.

The server fills in who acknowledged. What it says of anybody else is about a claim, and means nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from parley.services.chat.message.statuses import FINAL, INTERIM, Status
from parley.shared.addresses import User
from parley.shared.dialects.dialect import PLAIN_CLIENT
from parley.shared.dialects.rewriting import read_status
from parley.shared.spellings import Spellings
from parley.shared.wire.messages import pb

NOT_A_CLIENTS: Final = frozenset({Status.USER_NOT_FOUND, Status.OTHER_SERVER_NOT_FOUND})
"""Statuses that no recipient's client says: their server does, of somebody who is not there just now."""


class Answer(NamedTuple):
    """The final status of a message."""

    user: User
    """The recipient."""
    snowflake: int
    status: int


def of_client(server_id: str, ack: pb.ChatMessageResponse, spellings: Spellings) -> Answer | None:
    """Read what came over a gateway: a client's acknowledgement, which may count DELIVERED as 1 or 2."""
    answer = of_server(server_id, ack, spellings)
    if answer is None:
        return None
    status = read_status(PLAIN_CLIENT, answer.status)
    return None if status in NOT_A_CLIENTS else answer._replace(status=status)


def of_server(server_id: str, ack: pb.ChatMessageResponse, spellings: Spellings) -> Answer | None:
    """Read what came over a server's own link: what it says itself, but for what is not its last word."""
    if not ack.statuses:
        return None
    user, status = spellings.user(User.of(ack.statuses[0].user)), ack.statuses[0].status
    if user.server_id != server_id or status in INTERIM:
        return None
    return Answer(user, ack.messageSnowflake, status if status in FINAL else Status.UNKNOWN_STATUS)
