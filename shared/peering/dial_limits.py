"""How often a process dials, and how many places at once: whoever announces must not make it dial others' machines.

One dial at a time goes to an address, and MOST are under way in all. An address where nobody ever answered as a
server does is left alone for longer and longer, up to LONGEST seconds, however many servers are announced there.
Those that did answer go first, then those heard in answer to a request of ours, then those that were only
claimed; to each class less room is open, so that the next never waits for all of the one below it.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from parley.shared.addresses import Endpoint
from parley.shared.runtime.backoff import Backoff

MOST: Final = 8
ROOM: Final = (MOST, 6, 4)
"""Dials that may be under way for one of each class to begin: known, answered, claimed."""
LONGEST: Final = 60.0
REMEMBERED: Final = 4096
"""Addresses of which it is known how their dials went."""


def _later_half(_low: float, high: float) -> float:
    return random.uniform(high / 2, high)  # noqa: S311 - a jitter


@dataclass(slots=True)
class _Record:
    """How the dials to an address went; what was only claimed there is counted apart from what answered us."""

    is_good: bool = False
    backoffs: dict[bool, Backoff] = field(default_factory=dict)
    until: dict[bool, float] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Turn:
    endpoint: Endpoint
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Dials:
    """The dials of one process."""

    def __init__(self, shortest: float) -> None:
        """`shortest`: seconds, at most, for which an address is left alone after its first failure."""
        self._shortest = shortest
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._busy: set[str] = set()
        self._queue: list[_Turn] = []

    def may(self, endpoint: Endpoint) -> bool:
        """Whether an address is to be dialled now, and not left alone."""
        record = self._records.get(endpoint.host)
        if record is None or record.is_good:
            return True
        return asyncio.get_running_loop().time() >= record.until.get(endpoint.answered, 0.0)

    @asynccontextmanager
    async def turn(self, endpoint: Endpoint) -> AsyncIterator[None]:
        """Wait until a place may be dialled; inside it is being dialled."""
        if not self._is_open(endpoint):
            mine = _Turn(endpoint)
            self._queue.append(mine)
            try:
                await mine.turn
            except asyncio.CancelledError:
                self._give_up(mine)
                raise
        else:
            self._busy.add(endpoint.host)
        try:
            yield
        finally:
            self._release(endpoint)

    def ended(self, endpoint: Endpoint, *, well: bool) -> None:
        """How a dial went; `well`: somebody there speaks as a server does."""
        record = self._records.setdefault(endpoint.host, _Record())
        self._records.move_to_end(endpoint.host)
        if len(self._records) > REMEMBERED:
            self._records.popitem(last=False)
        if well:
            record.is_good = True
        elif not record.is_good:
            which = endpoint.answered
            backoff = record.backoffs.setdefault(which, Backoff(self._shortest, LONGEST, _later_half))
            record.until[which] = asyncio.get_running_loop().time() + backoff.next_delay()

    # Turns -------------------------------------------------------------------------------------

    def _rank(self, endpoint: Endpoint) -> int:
        record = self._records.get(endpoint.host)
        if record is not None and record.is_good:
            return 0
        return 1 if endpoint.answered else 2

    def _is_open(self, endpoint: Endpoint) -> bool:
        return endpoint.host not in self._busy and len(self._busy) < ROOM[self._rank(endpoint)]

    def _release(self, endpoint: Endpoint) -> None:
        self._busy.discard(endpoint.host)
        while (following := self._next()) is not None:
            self._queue.remove(following)
            self._busy.add(following.endpoint.host)
            following.turn.set_result(None)

    def _next(self) -> _Turn | None:
        """The first that waits of the best class that may begin; one that is done was cancelled just now."""
        able = [each for each in self._queue if not each.turn.done() and self._is_open(each.endpoint)]
        return min(able, key=lambda each: self._rank(each.endpoint), default=None)

    def _give_up(self, mine: _Turn) -> None:
        """A dial was cancelled, perhaps when its turn had come."""
        if mine in self._queue:
            self._queue.remove(mine)
        else:
            self._release(mine.endpoint)
