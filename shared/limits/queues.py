"""A queue with so many places, which origins (addresses, other servers) share, each served in its turn. Pure.

Alone, an origin may have all places. Where there is none left, one that has fewer than another gets the place of
that one's newest; so many names of one origin are worth no more than one. Whoever comes is served behind one
of each other origin, and not behind all that these have asked for.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedQueue(Generic[T]):
    """The work that waits, and that is being done, by origin."""

    def __init__(self, most: int) -> None:
        """`most`: the places."""
        self._most = most
        self._queued: dict[Hashable, deque[T]] = {}
        """The origin that is next stands first."""
        self._counts: Counter[Hashable] = Counter()
        """The places of each: what waits, and what was taken and is not done."""
        self._all = 0

    def __len__(self) -> int:
        return self._all

    def add(self, origin: Hashable, work: T) -> T | None:
        """Have it wait; what has no place (any more): this one, or another one that gives it up; None: all have."""
        displaced = None
        if self._all >= self._most:
            largest = max(self._queued, key=self._counts.__getitem__, default=origin)
            if self._counts[largest] <= self._counts[origin] + 1:
                return work
            displaced = self._queued[largest].pop()
            self._leave(largest)
            self.done(largest)
        self._queued.setdefault(origin, deque()).append(work)
        self._counts[origin] += 1
        self._all += 1
        return displaced

    def take(self, may_go: Callable[[T], bool] = lambda _work: True) -> tuple[Hashable, T] | None:
        """The next one, of the first origin whose oldest may go; None: none may. It has its place until `done`."""
        for origin, queued in self._queued.items():
            if may_go(queued[0]):
                work = queued.popleft()
                del self._queued[origin]
                if queued:
                    self._queued[origin] = queued
                return origin, work
        return None

    def done(self, origin: Hashable) -> None:
        """One of an origin needs its place no longer."""
        self._all -= 1
        self._counts[origin] -= 1
        if not self._counts[origin]:
            del self._counts[origin]

    def oldest(self, key: Callable[[T], float]) -> float | None:
        """The least of what `key` says of each origin's oldest; None: nothing waits."""
        return min((key(queued[0]) for queued in self._queued.values()), default=None)

    def clear(self) -> None:
        """Nothing waits any more; what was taken is still to be done."""
        for origin, queued in self._queued.items():
            for _ in queued:
                self.done(origin)
        self._queued.clear()

    def _leave(self, origin: Hashable) -> None:
        if not self._queued[origin]:
            del self._queued[origin]
