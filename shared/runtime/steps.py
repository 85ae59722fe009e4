"""Long work is done a step at a time, and holds up nobody: fan-outs, say, and results of the disk. Pure.

A *task* is a generator: it is sent the time (seconds, monotonic) for each step, and does a little each. Tasks of
one `Steps` are done one after another; whose turn it is among several, and how long it is, is fairness.py's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Final, Protocol

Task = Generator[None, float, None]

LOOK_EVERY: Final = 4
"""Steps between two looks at the clock."""


class Queue(Protocol):
    """Where one waits for one's turn: fairness.py."""

    def add(self, work: Steps) -> None:
        """Have it go on."""


def run(task: Task, now: float) -> None:
    """Do all of it at once."""
    next(task, None)
    while next_step(task, now):
        pass


def next_step(task: Task, now: float) -> bool:
    """Whether there may be another."""
    try:
        task.send(now)
    except StopIteration:
        return False
    return True


class Steps:
    """Tasks, one after another. `is_over` tells when to stop; `done` hears the size of each that is done."""

    def __init__(
        self,
        queue: Queue,
        now: Callable[[], float],
        is_over: Callable[[float], bool],
        done: Callable[[int], None],
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_behind`: whether to wait until `go_on` is asked for again by `wake`."""
        self._queue = queue
        self._now = now
        self._is_over = is_over
        self._done = done
        self._is_behind = is_behind
        self._tasks: deque[tuple[Task, int]] = deque()
        self.size = 0
        """Bytes of what is not done yet."""

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: Task, size: int = 0) -> None:
        """Do this behind all others."""
        next(task, None)
        self._tasks.append((task, size))
        self.size += size
        self._queue.add(self)

    def wake(self) -> None:
        """Look again: work that was behind may not be so any more."""
        if self._tasks:
            self._queue.add(self)

    def go_on(self) -> bool:
        """Do what a turn allows; whether there is more to do now."""
        now, steps = self._now(), 0
        while self._tasks and not self._is_behind():
            steps += 1
            if steps % LOOK_EVERY == 0:
                now = self._now()
                if self._is_over(now):
                    return True
            self._step(now)
        return False

    def _step(self, now: float) -> None:
        task, size = self._tasks[0]
        goes_on = False
        try:
            goes_on = next_step(task, now)
        finally:
            if not goes_on:  # done, or there was an error of ours: the others go on
                self._tasks.popleft()
                self.size -= size
                self.wake()
                self._done(size)
