"""Messages to groups at other servers that may have been taken there, before their numbers are known. Pure.

A group's order is its server's, which tells an author the number of a message with its first answer. Where the
link breaks before that, and nothing can be kept, the author is told UNKNOWN_STATUS; a client that sends it again
has the answer then. In its author's list it would stand where it was written, and in all others where it was
numbered: so it waits for its number.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from parley.services.chat.message.life import Envelope

MOST: Final = 1024
"""Messages that wait; of more, the oldest has no number."""
LARGEST: Final = 16 * 1024
"""Bytes of one: what is larger does not wait."""
PATIENCE: Final = 60.0
"""Seconds after which one has no number, at the next message to a group."""


class Unnumbered:
    """They wait by their keys, the oldest first."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, Envelope] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, key: bytes, envelope: Envelope) -> bool:
        """Have one wait; False: it is too large."""
        if envelope.size <= LARGEST:
            self._held.setdefault(key, envelope)
        return key in self._held

    def pop(self, key: bytes) -> Envelope | None:
        """Take one that waits no longer, if it did."""
        return self._held.pop(key, None)

    def overdue(self, now: float) -> Iterator[Envelope]:
        """Take those that have waited for too long, and what is too many."""
        while self._held:
            key, oldest = next(iter(self._held.items()))
            if len(self._held) < MOST and oldest.arrived + PATIENCE > now:
                return
            del self._held[key]
            yield oldest
