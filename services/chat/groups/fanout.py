"""Messages to groups become a copy for each member: each author's in order, those of several in turn. Pure.

Another server has as many authors as it likes. So they share TURNS, and what all of them may have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from parley.shared.addresses import User
from parley.shared.runtime.steps import Steps, Task

HELD_AT: Final = 16
"""Fan-outs of one author from which on their clients are not listened to."""
MOST_OF_AUTHOR, BYTES_OF_AUTHOR = 1000, 16 * 1024 * 1024
"""Fan-outs of one author that are not done yet, and bytes of their messages: others are refused."""
MOST, BYTES = 20_000, 64 * 1024 * 1024
"""The same of all authors. Nobody, and no other server, has more than is left."""
OF_SERVERS: Final = 0.75
"""The part of it that all other servers together may have."""
TURNS: Final = 16
"""So many authors of another server are copied for beside each other; nobody can choose who shares theirs."""

_Source = User | tuple[str, int]
"""Our user, or some of another server's."""


class Fanouts:
    """Each author's messages to groups, in order; those of several authors in turn."""

    def __init__(self, make: Callable[[Callable[[int], None]], Steps], released: Callable[[User], None]) -> None:
        """`make` makes Steps, given what hears of each task done; `released` hears of authors who may go on."""
        self._make = make
        self._released = released
        self.sources: dict[_Source, Steps] = {}
        self._counts: Counter[str] = Counter()
        """Fan-outs by server; those of our own users' under no name."""
        self._sizes: Counter[str] = Counter()
        self._count = self._size = 0

    def __len__(self) -> int:
        return self._count

    def add(self, author: User, origin: str, task: Task, size: int) -> bool:
        """Do it in its turn; False where there is no room. `origin`: the author's server; empty for our users."""
        source = (origin, hash(author) % TURNS) if origin else author
        steps = self.sources.get(source)
        count, bytes_ = (len(steps), steps.size) if steps is not None else (0, 0)
        if count >= MOST_OF_AUTHOR or bytes_ + size > BYTES_OF_AUTHOR:
            return False
        if origin:
            if not self._has_room_for_servers(size):
                return False
            count, bytes_ = self._counts[origin], self._sizes[origin]
        if count >= MOST - self._count or bytes_ + size > BYTES - self._size:
            return False
        if steps is None:
            steps = self.sources[source] = self._make(lambda size: self._task_done(source, origin, size))
        self._note(origin, 1, size)
        steps.add(task, size)
        return True

    def _has_room_for_servers(self, size: int) -> bool:
        count, bytes_ = self._count - self._counts[""], self._size - self._sizes[""]
        return count < MOST * OF_SERVERS and bytes_ + size <= BYTES * OF_SERVERS

    def _note(self, origin: str, number: int, size: int) -> None:
        self._count += number
        self._size += size
        self._counts[origin] += number
        self._sizes[origin] += size
        if not self._counts[origin]:
            del self._counts[origin], self._sizes[origin]

    def is_busy(self, author: User, origin: str) -> bool:
        """Whether something is not done yet that comes before what another server sends of this author's."""
        return (origin, hash(author) % TURNS) in self.sources

    def holds(self, author: User) -> bool:
        """Whether so much of one of our authors is not done yet that nothing more is to be read of them."""
        return len(self.sources.get(author, ())) >= HELD_AT

    def wake(self) -> None:
        """The disk is not behind any more."""
        for steps in self.sources.values():
            steps.wake()

    def _task_done(self, source: _Source, origin: str, size: int) -> None:
        self._note(origin, -1, -size)
        left = len(self.sources[source])
        if not left:
            del self.sources[source]
        if left == HELD_AT - 1 and isinstance(source, User):
            self._released(source)
