"""Work that is asked for often and done at most once per interval: at once after a quiet time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Throttle:
    """Calls `run()` soon after `ask()`, but never sooner than `interval` seconds after the last time."""

    def __init__(self, interval: float, run: Callable[[], None]) -> None:
        self._interval = interval
        self._run = run
        self._handle: asyncio.TimerHandle | None = None
        self._next = 0.0

    def ask(self) -> None:
        """Have it done; asking again before it is changes nothing."""
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._handle = loop.call_at(max(loop.time(), self._next), self._fire)

    def ask_later(self) -> None:
        """Have it done one interval from now."""
        self._next = asyncio.get_running_loop().time() + self._interval
        self.ask()

    def cancel(self) -> None:
        """Do not do what was asked for."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._next = asyncio.get_running_loop().time() + self._interval
        self._run()
