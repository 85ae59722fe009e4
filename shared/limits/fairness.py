"""Fair turns: work that is more than a turn allows waits here, and goes on a slice at a time. Pure.

Whoever has little waits for nobody who has much: a link with a short read is before all that have had a slice
already. Among these each has the same time: who took more than a slice is passed by until that is made up for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

LARGE_EVERY: Final = 4
"""Of so many slices one is for who has much, however many there are who have little."""
MOST_OWED: Final = 0.05
"""Seconds for which nobody is passed by longer."""


class Work(Protocol):
    """Work that can go on later: of a link, of a fan-out."""

    def go_on(self) -> bool:
        """Do a slice of it; whether there is more."""


class Account(Protocol):
    """The account of a turn's costs: turn.py."""

    is_reading: bool

    def begin_round(self, now: float) -> None:
        """Another round."""

    def begin(self, now: float) -> None:
        """Another slice."""

    def end(self) -> None:
        """Write what was sent."""


class RoundRobin:
    """Calls each work in turn, for a round in each turn of the loop. Times are seconds, monotonic."""

    def __init__(
        self,
        turn: Account,
        call_soon: Callable[[Callable[[], None]], Any],
        now: Callable[[], float],
        round_: float,
        slice_: float,
    ) -> None:
        self._turn = turn
        self._call_soon = call_soon
        self._now = now
        self._round = round_
        self._slice = slice_
        self._small: dict[Work, None] = {}
        self._large: dict[Work, float] = {}
        """The seconds that each took beyond its slices."""
        self._is_scheduled = False
        self._picked = 0

    def __len__(self) -> int:
        return len(self._small) + len(self._large)

    def add(self, work: Work, *, is_small: bool = False) -> None:
        """Have a work go on; one that is here already keeps its place."""
        if work not in self._large and work not in self._small:
            if is_small:
                self._small[work] = None
            else:
                self._large[work] = 0.0
        self._schedule()

    def discard(self, work: Work) -> None:
        """A piece of work has nothing more to do."""
        self._small.pop(work, None)
        self._large.pop(work, None)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._run)

    def _run(self) -> None:
        """One round; at least one slice."""
        self._is_scheduled = False
        now = self._now()
        until = now + self._round
        try:
            while (picked := self._pick()) is not None:
                now = self._slice_of(*picked, now)
                if now >= until:
                    break
        finally:
            self._turn.begin_round(self._now())
            if self._small or self._large:
                self._schedule()

    def _pick(self) -> tuple[Work, float] | None:
        """The work that is next, taken out of the queue, and the time that it owes."""
        self._picked += 1
        if self._small and not (self._large and self._picked % LARGE_EVERY == 0):
            work = next(iter(self._small))
            del self._small[work]
            return work, 0.0
        while self._large:
            work, owed = next(iter(self._large.items()))
            del self._large[work]
            if owed < self._slice:
                return work, owed
            self._large[work] = owed - self._slice
        return None

    def _slice_of(self, work: Work, owed: float, began: float) -> float:
        """Give it a slice; the time after that."""
        self._turn.begin(began)
        self._turn.is_reading = True
        try:
            more = work.go_on()
        finally:
            self._turn.end()
        now = self._now()
        if more:
            self._large[work] = min(max(0.0, owed + now - began - self._slice), MOST_OWED)
        return now
