"""When what is sent goes out: at the end of the read that is handled, or of the turn of the loop.

uvloop itself gathers what is written to a connection in one turn, so a write at the end of each read costs no
system call of its own; waiting for the turn's end with `call_soon` would cost a whole turn more, and so latency.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from shared.compiled import core


class Flushed(Protocol):
    """What has something to write: a link."""

    def flush(self) -> None:
        """Write it."""


class Turn:
    """What one loop's links have to write. The compiled core has the same class (shared/core/link.c)."""

    __slots__ = ("_call_soon", "_links", "is_reading")

    def __init__(self, call_soon: Callable[[Callable[[], None]], Any]) -> None:
        self._call_soon = call_soon
        self._links: list[Flushed] = []
        self.is_reading = False
        """Whether a read is handled: who sets it calls `end` then."""

    def flush_later(self, link: Flushed) -> None:
        """Flush a link at the end of the read, or, outside of one, of this turn of the loop."""
        if self.is_reading:
            self._links.append(link)
        else:
            self._call_soon(link.flush)

    def end(self) -> None:
        """The read is handled: write, whatever one of them meets."""
        self.is_reading = False
        links, self._links = self._links, []
        with ExitStack() as stack:
            for link in reversed(links):
                stack.callback(link.flush)


if not TYPE_CHECKING and core is not None:
    Turn = core.Turn

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turn] = WeakKeyDictionary()


def turn_of(loop: asyncio.AbstractEventLoop) -> Turn:
    """A loop's turn: there is one."""
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = Turn(loop.call_soon)
    return turn
