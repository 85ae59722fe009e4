"""Copies of our own users' messages that another server's group brings, and that we do not know (yet). Pure.

A group's server may speak for one of our users only with a message that we gave it. One that we do not know is made
up; or it was on its way when we died, a moment after it came, and its author is about to send it again: so it is
held for that, and then taken in its place. Held or not, it stays unanswered, and an honest server offers it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Key
from parley.shared.addresses import User

MOST: Final = 256
"""Copies that are held; then the oldest goes."""
MOST_BYTES: Final = 4 * 1024 * 1024
"""The same in bytes."""


class UnverifiedCopies:
    """Holds copies until their originals are known."""

    def __init__(self) -> None:
        self.held: dict[Key, tuple[Envelope, Key]] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self.held)

    def hold(self, copy: Envelope, original: Key) -> None:
        """Hold a copy of a message that we do not know by its key."""
        if not copy.key or copy.key in self.held:
            return
        self.held[copy.key] = copy, original
        self._size += copy.size
        while len(self.held) > MOST or self._size > MOST_BYTES:
            self._let_go(next(iter(self.held)))

    def known(self, author: User, is_known: Callable[[Key], bool]) -> list[Envelope]:
        """A user sent something: the copies of theirs that are known by now, in the order in which they came."""
        found = [copy for copy, original in self.held.values() if copy.author == author and is_known(original)]
        for copy in found:
            self._let_go(copy.key)
        return found

    def _let_go(self, key: Key) -> None:
        copy, _original = self.held.pop(key)
        self._size -= copy.size
