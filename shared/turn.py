"""When what is sent goes out: at the end of the read that is handled, or of the turn of the loop.

uvloop itself gathers what is written to a connection in one turn, so a write at the end of each read costs no
system call of its own; waiting for the turn's end with `call_soon` would cost a whole turn more, and so latency.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary


class Turn:
    """What one loop's links have to write."""

    __slots__ = ("_call_soon", "_flushes", "is_reading")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._flushes: list[Callable[[], None]] = []
        self.is_reading = False
        """Whether a read is handled: who sets it calls `end` then."""

    def flush_later(self, flush: Callable[[], None]) -> None:
        """Call `flush` at the end of the read, or, outside of one, of this turn of the loop."""
        if self.is_reading:
            self._flushes.append(flush)
        else:
            self._call_soon(flush)

    def end(self) -> None:
        """The read is handled: write."""
        self.is_reading = False
        if self._flushes:
            flushes, self._flushes = self._flushes, []
            for flush in flushes:
                flush()


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turn] = WeakKeyDictionary()


def turn_of(loop: asyncio.AbstractEventLoop) -> Turn:
    """A loop's turn: there is one."""
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = Turn(loop)
    return turn
