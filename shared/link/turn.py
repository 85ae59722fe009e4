"""When sent frames go out, and what a turn may cost: the account of one loop.

Frames go out at the end of the read in which they were sent, or of the turn of the loop. uvloop itself gathers the
writes to a connection in one turn, so a write at the end of each read costs no system call of its own; waiting for
the turn's end with `call_soon` would cost a whole turn more, and so latency.

    account   has                                              when it is used up
    slice     bytes read, bytes produced (for any link), time  the link's other bytes go to its backlog
    round     the time of all reads that are handled as they   bytes that come are queued, and served in turn
              come, until the loop has paused                  (shared/limits/fairness.py)

Messages between people who are online are not timed: their slice is the bytes in which they are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from parley.shared.compiled import core
from parley.shared.limits.bounds import SEND_LIMIT, TURN, Bounds
from parley.shared.limits.fairness import RoundRobin
from parley.shared.runtime.timer import clock

__all__ = ["SEND_LIMIT", "TURN", "Bounds", "Loop", "PureTurn", "Turn", "turn_of"]


class Flushed(Protocol):
    """Something that has bytes to write: a link."""

    def flush(self) -> None:
        """Write it."""


class Turn:
    """One loop's account. The compiled core has the same class (shared/core/io/turn.c)."""

    __slots__ = (
        "_bounds", "_call_soon", "_is_busy", "_links", "_round_began", "_until", "held", "is_reading", "last",
        "look", "produced",
    )  # fmt: skip

    def __init__(self, call_soon: Callable[[Callable[[], None]], Any], bounds: Bounds) -> None:
        self._call_soon = call_soon
        self._bounds = bounds
        self._links: list[Flushed] = []
        self._round_began = self._until = 0.0
        self._is_busy = False
        self.last = 0.0
        """When something was done last (the loop's seconds)."""
        self.produced = 0
        """Bytes sent in this slice."""
        self.held = 0
        """Bytes that links were given to hold since the last look."""
        self.look: Callable[[], None] | None = None
        """Looks at all buffers."""
        self.is_reading = False
        """Whether a read is handled: who sets it calls `end` then."""

    def is_busy(self, now: float) -> bool:
        """Whether this round is used up: what comes has to be queued, until there is another."""
        if not self._is_busy:
            if now - self.last > self._bounds.pause:
                self._round_began = now
            self._is_busy = now - self._round_began > self._bounds.round
        return self._is_busy

    def begin_round(self, now: float) -> None:
        """Begin a round: bytes are handled as they come again."""
        self._is_busy = False
        self._round_began = self.last = now

    def begin(self, now: float) -> None:
        """A slice begins."""
        self._until = now + self._bounds.slice
        self.produced = 0

    def is_over(self, now: float) -> bool:
        """Whether the slice is used up."""
        return now >= self._until or self.produced >= self._bounds.produced

    def flush_later(self, link: Flushed) -> None:
        """Flush a link at the end of the read, or, outside of one, of this turn of the loop."""
        if self.is_reading:
            self._links.append(link)
        else:
            self._call_soon(link.flush)

    def end(self) -> None:
        """The read is handled: write, whatever one of them meets."""
        self.is_reading = False
        if self.held > self._bounds.look:
            self.held = 0
            if self.look is not None:
                self._call_soon(self.look)
        links = self._links
        if not links:
            return
        self._links = []
        if len(links) == 1:
            links[0].flush()
            return
        with ExitStack() as stack:
            for link in reversed(links):
                stack.callback(link.flush)


PureTurn = Turn
if not TYPE_CHECKING and core is not None:
    Turn = core.Turn


class Loop(NamedTuple):
    """The state that one loop's links share."""

    turn: Turn
    queue: RoundRobin


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Loop] = WeakKeyDictionary()


def turn_of(loop: asyncio.AbstractEventLoop, bounds: Bounds | None = None) -> Loop:
    """A loop's account and queue: there is one of each. `bounds` are those that whoever asks first sets."""
    found = _loops.get(loop)
    if found is None:
        bounds = bounds or Bounds()
        turn = Turn(loop.call_soon, bounds)
        found = _loops[loop] = Loop(turn, RoundRobin(turn, loop.call_soon, clock(loop), bounds.round, bounds.slice))
    return found
