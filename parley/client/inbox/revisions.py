"""Messages that came with their newest text, because they were changed while they waited. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from parley.shared.addresses import Recipient, User
from parley.shared.trust.authors import conversation_of
from parley.shared.wire.messages import pb

REMEMBERED: Final = 10_000
"""Messages; then the oldest is forgotten, and an edit of it is told as any other."""


class ReceivedRevisions:
    """Which revision each of the last of these messages came with."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[User, Recipient, int], int] = OrderedDict()

    def came(self, message: pb.ChatMessage) -> None:
        """A message is shown; if it was changed while it waited, its edits up to that one are known."""
        if not message.HasField("revised"):
            return
        self._known[_which(message, message.messageSnowflake)] = message.revised.revision
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def knows(self, message: pb.ChatMessage) -> bool:
        """Whether the message that an edit changes came with its text, or with a later one."""
        edit = message.edit
        return not edit.deletes and edit.revision <= self._known.get(_which(message, edit.target), 0)


def _which(message: pb.ChatMessage, number: int) -> tuple[User, Recipient, int]:
    return User.of(message.author), conversation_of(message), number
