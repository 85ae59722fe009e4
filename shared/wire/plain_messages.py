"""Plain messages: a text from one user to another, read without a protobuf object for each. Pure.

Most messages are alike but for their number and their text, also those that the fast path leaves, as their
recipient is away. What stands before the text, the *head*, names author and recipient, and is the same for all that
one writes to the other: it is read once as any message is, and known from then on. The compiled core then reads
number and key of a message in one step (shared/core/fast_path/plain.c); without it, and of any other shape, none is
plain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from parley.shared.addresses import User
from parley.shared.compiled import core
from parley.shared.wire.messages import pb

if TYPE_CHECKING:
    from parley.shared.wire.framing import Frame
    from parley.shared.wire.message_keys import MessageKeys

HEADS: Final = 1 << 12
"""Heads that are known at a time; beyond it all are read again."""

Plain = tuple[User, User, int, bytes]
"""Author, recipient, number and key of a message."""


class PlainMessages:
    """Reads those of users here. Whether an author may speak, and the recipient is spelt right, the router asks."""

    def __init__(self, keys: MessageKeys) -> None:
        self._keys = keys
        self._known: dict[bytes, tuple[User, User, bytes]] = {}

    def read(self, user: User, frame: Frame) -> Plain | None:
        """A message over a link of this user's; None: it is not plain, or is the first of its kind."""
        if core is None:
            return None
        found: Plain | bytes | None = core.read_plain(frame, self._known, self._keys.multipliers)
        if isinstance(found, bytes):
            self._learn(user, found)
            return None
        return found

    def _learn(self, user: User, head: bytes) -> None:
        """Know what stands before the text of a message, unless it names another author."""
        try:
            message = pb.ChatMessage.FromString(head)
        except DecodeError:
            return
        author, recipient = User.of(message.author), User.of(message.user)
        if author != user or not recipient.is_complete:
            return
        if len(self._known) >= HEADS:
            self._known.clear()
        # The user is the link's: all that it sends shares that name, and its hash.
        self._known[head] = user, recipient, self._keys.pair(user, recipient, None)
