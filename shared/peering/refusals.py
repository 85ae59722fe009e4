"""When an existing server that refuses our dials is dialled again. Pure; times are seconds, monotonic.

Each refused dial costs such a server a thread, and what it refuses for, a dead link of ours, lasts for minutes.
"""

from __future__ import annotations

from collections import deque
from typing import Final

ONCE_MORE: Final = 3.0
"""Seconds from the first refused dial to the next: the server may be about to forget what it had."""
FIRST: Final = 10.0
LONGEST: Final = 300.0
"""Seconds from each refused dial after that to the next: at first, doubled each time, and at most."""
MOST: Final = 2
"""Refused dials in any FIRST seconds, whatever happens meanwhile."""
AFTER_ITS_OWN: Final = 0.2
"""Seconds from our HANGUP to a server that dialled us until we dial it: it knows one link at a time."""


class Refusals:
    """The refusals of one server."""

    def __init__(self) -> None:
        self._count = 0
        self._latest: deque[float] = deque(maxlen=MOST)
        self.until = 0.0
        """Before this it is not dialled."""

    def refused(self, now: float) -> None:
        """A dial was refused."""
        self._latest.append(now)
        self._wait(now, min(FIRST * 2.0 ** min(self._count - 1, 16), LONGEST) if self._count else ONCE_MORE)
        self._count += 1

    def has_dialled(self, now: float) -> None:
        """It dialled us: it has begun again, or lost what it had, and may take a dial now."""
        self._count = 0
        self._wait(now, AFTER_ITS_OWN)

    def _wait(self, now: float, seconds: float) -> None:
        self.until = now + seconds
        if len(self._latest) == MOST:
            self.until = max(self.until, self._latest[0] + FIRST)

    def accepted(self) -> None:
        """A dial became a link."""
        self._count = 0
        self._latest.clear()
        self.until = 0.0
