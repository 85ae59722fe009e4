"""Steps of TLS handshakes that wait for a slice: each address has one at a time, however many it shakes hands with.

A step costs as much as hundreds of messages, and a stranger has it for a few bytes. When a round is used up
(turn.py), the next steps wait here, behind whoever has a message (fairness.py): a thousand strangers who come
together delay nobody who is linked, and nobody who comes from another address.
"""

from __future__ import annotations

import asyncio
from typing import Protocol
from weakref import WeakKeyDictionary

from parley.shared.limits.fairness import RoundRobin
from parley.shared.link.turn import turn_of
from parley.shared.runtime.timer import clock


class Handshake(Protocol):
    """A connection whose handshake waits."""

    def go_on(self) -> None:
        """Take its next step."""


class _OfAddress:
    """The handshakes of one address that wait: work that goes on one at a time."""

    def __init__(self, of: dict[str, _OfAddress], address: str) -> None:
        self._of = of
        self._address = address
        self.queued: dict[Handshake, None] = {}

    def go_on(self) -> bool:
        """Have the first one take its step; whether there are more."""
        first = next(iter(self.queued))
        self.discard(first)
        first.go_on()
        return bool(self.queued)

    def discard(self, handshake: Handshake) -> None:
        """One waits no longer."""
        self.queued.pop(handshake, None)
        if not self.queued:
            self._of.pop(self._address, None)


class Handshakes:
    """One loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._now = clock(loop)
        self._turn, queue = turn_of(loop)
        self._queue: RoundRobin = queue
        self._of: dict[str, _OfAddress] = {}

    def may_go_on(self) -> bool:
        """Whether there is time for a step now; else it has to `wait`."""
        return not self._turn.is_busy(self._now())

    def went_on(self) -> None:
        """A step was taken: the round knows."""
        self._turn.last = self._now()

    def wait(self, handshake: Handshake, address: str) -> None:
        """Have it go on in a slice of its address."""
        of = self._of.get(address)
        if of is None:
            of = self._of[address] = _OfAddress(self._of, address)
        of.queued[handshake] = None
        self._queue.add(of)

    def discard(self, handshake: Handshake, address: str) -> None:
        """Its connection is gone."""
        of = self._of.get(address)
        if of is not None:
            of.discard(handshake)
            if not of.queued:
                self._queue.discard(of)


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Handshakes] = WeakKeyDictionary()


def handshakes() -> Handshakes:
    """Those of the running loop."""
    loop = asyncio.get_running_loop()
    found = _loops.get(loop)
    if found is None:
        found = _loops[loop] = Handshakes(loop)
    return found
