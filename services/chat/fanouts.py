"""Messages to groups become a copy for each member: each author's in order, those of several in turn. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.addresses import User
from shared.steps import Steps, Task

HELD_AT: Final = 16
"""Fan-outs of one author from which on their clients are not listened to."""
MOST_OF_AUTHOR, BYTES_OF_AUTHOR = 1000, 16 * 1024 * 1024
"""Fan-outs of one author that are not done yet, and bytes of their messages: others are refused."""
MOST, BYTES = 20_000, 64 * 1024 * 1024
"""The same of all authors."""


class Fanouts:
    """Each author's messages to groups, in order; those of several authors in turn."""

    def __init__(self, make: Callable[[Callable[[int], None]], Steps], released: Callable[[User], None]) -> None:
        """`make` makes Steps, given what hears of each task done; `released` hears of authors who may go on."""
        self._make = make
        self._released = released
        self.authors: dict[User, Steps] = {}
        self._count = self._size = 0

    def __len__(self) -> int:
        return self._count

    def add(self, author: User, task: Task, size: int) -> bool:
        """Do it in its turn; False where there is no room."""
        steps = self.authors.get(author)
        if self._count >= MOST or self._size + size > BYTES:
            return False
        if steps is not None and (len(steps) >= MOST_OF_AUTHOR or steps.size + size > BYTES_OF_AUTHOR):
            return False
        if steps is None:
            steps = self.authors[author] = self._make(lambda size: self._task_done(author, size))
        self._count += 1
        self._size += size
        steps.add(task, size)
        return True

    def holds(self, author: User) -> bool:
        """Whether so much of an author's is not done yet that nothing more is to be read of them."""
        return len(self.authors.get(author, ())) >= HELD_AT

    def wake(self) -> None:
        """The disk is not behind any more."""
        for steps in self.authors.values():
            steps.wake()

    def _task_done(self, author: User, size: int) -> None:
        self._count -= 1
        self._size -= size
        left = len(self.authors[author])
        if not left:
            del self.authors[author]
        if left == HELD_AT - 1:
            self._released(author)
