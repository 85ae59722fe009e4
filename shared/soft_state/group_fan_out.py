"""An entry for a group becomes one for each member: in turn with all else, however many there are. Pure.

Of what is said while an earlier event is still copied to the members, or was just now, only the newest is: the
larger a group, the less often it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from parley.shared.addresses import Group, User
from parley.shared.runtime.steps import Queue, Steps, Task

PAUSE: Final = 0.0005
"""Seconds for each member until the next event of the same author for the same group is copied."""


class GroupFanOut:
    """`copy` is a step for each member; `done` is called where all were told. Times are seconds, monotonic."""

    def __init__(
        self,
        queue: Queue,
        now: Callable[[], float],
        is_over: Callable[[float], bool],
        *,
        call_later: Callable[..., Any],
        copy: Callable[[User, Group], Iterator[None]],
        done: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._now = now
        self._is_over = is_over
        self._call_later = call_later
        self._copy = copy
        self._done = done
        self._is_asked_again: dict[tuple[User, Group], bool] = {}
        """The author and group of each entry that is being copied, or rests, and whether there is news since."""

    def __len__(self) -> int:
        return len(self._is_asked_again)

    def ask(self, author: User, group: Group) -> None:
        """Have what an author says to a group told to its members."""
        if (author, group) in self._is_asked_again:
            self._is_asked_again[author, group] = True
        else:
            self._begin(author, group)

    def _begin(self, author: User, group: Group) -> None:
        self._is_asked_again[author, group] = False
        steps = Steps(self._queue, self._now, self._is_over, lambda _size: None)
        steps.add(self._steps(author, group))

    def _steps(self, author: User, group: Group) -> Task:
        yield
        count = 0
        try:
            for _ in self._copy(author, group):
                count += 1
                yield
            self._done()
        finally:
            self._call_later(PAUSE * count, self._rested, author, group)

    def _rested(self, author: User, group: Group) -> None:
        if self._is_asked_again.pop((author, group)):
            self._begin(author, group)
