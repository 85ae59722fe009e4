"""One timer for whoever knows when it is due next: it is never moved at each read, only brought forward.

It remembers its own time: uvloop's handle for a time that has passed already has none. What is due in the distant
future waits on a wheel with all the others, and not with a handle of its own in the loop: ten thousand links that
are silent are looked at in a few turns, and cost the loop nothing until then.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

DISTANT: Final = 60.0
"""Seconds from now on from which a second later is as good."""
FIRED_BATCH: Final = 50
"""Timers of the wheel that fire in one turn of the loop: others have their turns, too."""


def clock(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """The loop's seconds, fine enough to measure with: uvloop's own are whole milliseconds, once a turn."""
    return time.monotonic if type(loop).__module__.startswith("uvloop") else loop.time


class Timer:
    """Calls `fired()` no later than the earliest time it was set to; `fired` sets it again.

    A second later where that is more than DISTANT seconds away.
    """

    __slots__ = ("_fired", "_handle", "due")

    def __init__(self, fired: Callable[[], None]) -> None:
        self._fired = fired
        self._handle: asyncio.Handle | _Timers | None = None
        self.due = 0.0
        """When it fires, or fired last (the loop's seconds)."""

    def set(self, due: float | None) -> None:
        """Fire at `due` (the loop's seconds) or, where it is set already, before; None asks for nothing."""
        if due is None or (self._handle is not None and self.due <= due):
            return
        self.cancel()
        self.due = due
        loop = asyncio.get_running_loop()
        if due - loop.time() > DISTANT:
            self._handle = _wheel(loop).put(self, due, loop)
        else:
            self._handle = loop.call_at(due, self.fire)

    def cancel(self) -> None:
        """Do not fire."""
        if isinstance(self._handle, _Timers):
            self._handle.discard(self)
        elif self._handle is not None:
            self._handle.cancel()
        self._handle = None

    def close(self) -> None:
        """Never fire again, and let go of whom it would call: the two hold each other."""
        self.cancel()
        self._fired = _nobody

    def fire(self) -> None:
        """Called by the loop and the wheel when the time has come."""
        self._handle = None
        self._fired()


def _nobody() -> None:
    """Stands for a function that is gone."""


class _Timers(set[Timer]):
    """The timers that are due in one second."""


class _Wheel:
    """Timers due in the distant future, by whole seconds, with one handle in the loop for each such second."""

    def __init__(self) -> None:
        self._seconds: dict[int, _Timers] = {}

    def put(self, timer: Timer, due: float, loop: asyncio.AbstractEventLoop) -> _Timers:
        """Have it fire within the second after `due`."""
        second = math.ceil(due)
        timers = self._seconds.get(second)
        if timers is None:
            timers = self._seconds[second] = _Timers()
            loop.call_at(second, self._turn, second, loop)
        timers.add(timer)
        return timers

    def _turn(self, second: int, loop: asyncio.AbstractEventLoop) -> None:
        """Fire some of those whose second has come, then the others; an error in one holds up nobody else."""
        timers = self._seconds[second]
        try:
            for _ in range(min(FIRED_BATCH, len(timers))):
                if not timers:  # one that fired has cancelled the others
                    break
                timers.pop().fire()
        finally:
            if timers:
                loop.call_soon(self._turn, second, loop)
            else:
                del self._seconds[second]


_wheels: WeakKeyDictionary[asyncio.AbstractEventLoop, _Wheel] = WeakKeyDictionary()


def _wheel(loop: asyncio.AbstractEventLoop) -> _Wheel:
    """The wheel of a loop; it knows no loop itself, so that a loop can go."""
    wheel = _wheels.get(loop)
    if wheel is None:
        wheel = _wheels[loop] = _Wheel()
    return wheel
