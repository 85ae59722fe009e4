"""Back-pressure: how much is to be written to disk and is not yet, and of which authors. Pure.

The disk takes its time, and what waits for it is in memory. While that is much, whoever has a good part of it is
not listened to, and all others are: their own few messages wait for no more than UNWRITTEN others. Servers are
listened to in any case: what is on its way from one has an end at its own window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from parley.services.chat.message.life import Envelope
from parley.shared.addresses import User

UNWRITTEN: Final = 10_000
"""Messages from which on authors of many wait, and no more copies are made of messages to groups."""
OF_AUTHOR: Final = 100
"""Messages that are many of one author."""


class Held(Protocol):
    """A client's link."""

    def hold(self) -> None:
        """Listen to nothing more."""

    def release(self) -> None:
        """Go on."""


class BackPressure:
    """Counts them. `links_of` are an author's; `limited` hears of each time when an author has to wait."""

    def __init__(
        self,
        links_of: Callable[[User], Iterable[Held]] = lambda _author: (),
        limited: Callable[[], None] = lambda: None,
    ) -> None:
        self._links_of = links_of
        self._limited = limited
        self._count = 0
        self._of: dict[User, int] = {}
        self._held: dict[User, None] = {}

    def __len__(self) -> int:
        return self._count

    @property
    def is_behind(self) -> bool:
        """Whether the disk has much to write."""
        return self._count >= UNWRITTEN

    def add(self, envelope: Envelope) -> None:
        """An envelope is to be written."""
        self._count += 1
        if envelope.origin:
            return
        count = self._of[envelope.author] = self._of.get(envelope.author, 0) + 1
        if self.is_behind and count % OF_AUTHOR == 0:
            self._hold(envelope.author)

    def remove(self, envelopes: Iterable[Envelope]) -> None:
        """Envelopes were written, or could not be."""
        for envelope in envelopes:
            self._count -= 1
            if not envelope.origin:
                self._of[envelope.author] -= 1
                if not self._of[envelope.author]:
                    del self._of[envelope.author]
        if self._held and self._count <= UNWRITTEN // 2:
            held, self._held = self._held, {}
            for author in held:
                for link in self._links_of(author):
                    link.release()

    def _hold(self, author: User) -> None:
        if author not in self._held:
            self._limited()
        self._held[author] = None
        for link in self._links_of(author):
            link.hold()
