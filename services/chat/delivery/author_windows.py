"""Authors whose messages to other servers wait for many answers: they are not listened to for a moment. Pure.

A link between two servers carries all that their people write, and the answers, in order. One author can write
faster than answers are handled, where each message has to be kept there: then what everybody else writes stands
behind thousands of these answers. So who has MOST unanswered messages is listened to again once half of them are
answered. That takes milliseconds; no longer than PATIENCE is it held against an author that a server is slow.

Messages count that the fast path handed over, that were not answered soon, or that are sent behind many: mostly
there are none. The fast path looks here, too: of an author who is counted, or was held a moment ago, it takes no
more than completes MOST, where it would take a whole read of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from parley.services.chat.message.life import Envelope
from parley.shared.addresses import User

MOST: Final = 64
"""Unanswered messages of one author."""
AGAIN: Final = 16
"""So many more, and an author is held once more: over a link that was opened meanwhile, say."""
MANY: Final = 256
"""Messages in flight to a server: each that is sent behind so many counts."""
PATIENCE: Final = 1.0
"""Seconds for which a message counts."""


class AuthorWindows:
    """Counts them. `hold` and `release` are an author's links; `limited` hears of each time when one is held."""

    def __init__(
        self, hold: Callable[[User], None], release: Callable[[User], None], limited: Callable[[], None]
    ) -> None:
        self._hold = hold
        self._release = release
        self._limited = limited
        self.of: Final[dict[User, dict[Envelope, float]]] = {}
        """Each author's unanswered messages, in order, and when each began to count (seconds, monotonic)."""
        self._held: dict[User, None] = {}
        self._lately: dict[User, float] = {}
        """Authors who were held, until when that is remembered: they stay in `of` until then."""
        self.look_at = 0.0
        """When `handle_timeout` must be called, for those who are held, or were; 0: nobody is."""

    def add(self, envelope: Envelope, now: float) -> None:
        """A message of one of our users, to another server, is in flight; one counts once."""
        author = envelope.author
        mine = self.of.get(author)
        if mine is None:
            mine = self.of[author] = {}
        if envelope in mine:
            return
        mine[envelope] = now
        if len(mine) >= MOST and len(mine) % AGAIN == 0 and self._count(author, now) >= MOST:
            if author not in self._held:
                self._limited()
                self.look_at = self.look_at or now + PATIENCE
            self._held[author] = None
            self._lately[author] = now + PATIENCE
            self._hold(author)

    def remove(self, envelope: Envelope) -> None:
        """It is in flight no more."""
        author = envelope.author
        mine = self.of.get(author)
        if mine is None or mine.pop(envelope, None) is None:
            return
        if author in self._held and len(mine) <= MOST // 2:
            self._let_go(author)
        self._tidy(author)

    def _count(self, author: User, now: float) -> int:
        """How many of an author's count still; the others are forgotten."""
        mine = self.of.get(author, {})
        while mine and next(iter(mine.values())) + PATIENCE <= now:
            del mine[next(iter(mine))]
        self._tidy(author)
        return len(mine)

    def _tidy(self, author: User) -> None:
        """Forget an author of whom nothing counts, and who was not held lately."""
        if author not in self._lately and not self.of.get(author, True):
            del self.of[author]

    def _let_go(self, author: User) -> None:
        del self._held[author]
        self._release(author)

    def handle_timeout(self, now: float) -> None:
        """Listen again to those whose messages count no more."""
        if now < self.look_at:
            return
        self.look_at = now + PATIENCE / 4
        for author in list(self._held):
            if self._count(author, now) <= MOST // 2:
                self._let_go(author)
        for author in [author for author, until in self._lately.items() if until <= now]:
            if author not in self._held:
                del self._lately[author]
                self._tidy(author)
        if not self._lately:
            self.look_at = 0.0
