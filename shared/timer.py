"""One timer for whoever knows when it is due next: it is never moved at each read, only brought forward.

It remembers its own time: uvloop's handle for a time that has passed already has none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def clock(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """The loop's seconds, fine enough to measure with: uvloop's own are whole milliseconds, once a turn."""
    return time.monotonic if type(loop).__module__.startswith("uvloop") else loop.time


class Timer:
    """Calls `fired()` no later than the earliest time it was set to; who is called sets it anew."""

    def __init__(self, fired: Callable[[], None]) -> None:
        self._fired = fired
        self._handle: asyncio.Handle | None = None
        self._due = 0.0

    def set(self, due: float | None) -> None:
        """Fire at `due` (the loop's seconds) or, where it is set already, before; None asks for nothing."""
        if due is None or (self._handle is not None and self._due <= due):
            return
        self.cancel()
        self._due = due
        self._handle = asyncio.get_running_loop().call_at(due, self._fire)

    def cancel(self) -> None:
        """Do not fire."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._fired()
