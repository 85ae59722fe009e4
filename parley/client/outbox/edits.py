"""Edits and deletions of one's own messages: which of them may be changed, and by which revision. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from parley.shared.addresses import Recipient, User
from parley.shared.errors import ParleyError
from parley.shared.trust.authors import conversation_of, signed_content
from parley.shared.wire.messages import pb

REMEMBERED: Final = 10_000
"""Messages whose last revision is remembered."""
MOST: Final = (1 << 32) - 1
"""The highest revision that fits the field."""


class NotEditable(ParleyError):
    """A message cannot be changed; one sentence for people."""


class Revisions:
    """The revisions that this client gave. They go up at all devices of a person, whose clocks nearly agree."""

    def __init__(self) -> None:
        self._last: OrderedDict[int, int] = OrderedDict()

    def next(self, message: pb.ChatMessage, now: float) -> int:
        """The revision for another edit: the seconds since the message was written, or the last one and 1.

        `now`: Unix time. Another device's later edit so has a higher one, though neither was told of the other.
        """
        seconds = int(now - (message.messageSnowflake >> 22) / 1000)
        found = min(max(self._last.get(message.messageSnowflake, 0) + 1, seconds, 1), MOST)
        self._last[message.messageSnowflake] = found
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return found


def edited_in(message: pb.ChatMessage, edit: pb.Edit, author: User) -> Recipient:
    """Fill in which message an edit is of; the conversation it goes to.

    Raises:
        NotEditable: the message is not the author's, or is an edit itself.

    """
    if not author.is_same(User.of(message.author)):
        raise NotEditable(f"only {User.of(message.author)} can change that message")
    if message.WhichOneof("content") in ("edit", "live_location"):
        raise NotEditable("an edit, or a place, cannot be changed; change the message itself")
    edit.target, edit.content = message.messageSnowflake, signed_content(message)
    return conversation_of(message)
