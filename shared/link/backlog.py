"""Bytes that were read of a link and wait: for its turn, for room, or because it sends more than it may.

A link that has more than a turn allows (turn.py) is queued, and goes on in turn with all others (fairness.py).
While anything of it waits, little more is read. A client that asks and does not read the answers is not listened
to until it does. This holds for clients only: two servers that do so to each other would wait for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from parley.shared.limits.fairness import RoundRobin
from parley.shared.link.io import LinkIO, Owner
from parley.shared.link.session import Session
from parley.shared.link.turn import TURN, Loop, Turn
from parley.shared.telemetry.tallies import Counts
from parley.shared.wire.framing import Frame

SMALL: Final = 4096
"""Bytes of a read that waits for nobody who has more."""
ANSWERS: Final = 256 * 1024
"""Bytes of answers in a full buffer from which on its reader is not listened to."""


class LinkBacklog(LinkIO):
    """The bytes of one link that wait. Link is a subclass."""

    __slots__ = ("_answered", "_backlog", "_is_held", "_is_lost", "_is_reading", "_queue", "_resting", "is_pausing")

    def __init__(
        self,
        owner: Owner,
        session: Session,
        loop: Loop,
        now: Callable[[], float],
        received: Counts | None,
        sent: Counts | None,
    ) -> None:
        super().__init__(owner, session, loop.turn, now, received, sent)
        self._queue: RoundRobin = loop.queue
        self._backlog = b""
        self._is_reading = True
        self._is_lost = False
        """Whether the connection is gone, and what came over it is still to be handled."""
        self._is_held = False
        self.is_pausing = False
        """Whether nothing more is listened to for now: it is held, or rests."""
        self._resting: asyncio.TimerHandle | None = None
        self._answered = 0
        """Bytes of answers since the buffer had room."""

    # For whoever handles messages ------------------------------------------------------------

    @property
    def had_its_turn(self) -> bool:
        """Whether what follows has to wait: ask after each frame that takes long."""
        if self.is_pausing or self._turn.is_over(self._now()):
            return True
        return self._answered >= ANSWERS and self._is_full

    @property
    def turn(self) -> Turn:
        """The account of what its slice costs."""
        return self._turn

    @property
    def heard_at(self) -> float:
        """When the other side gave its last sign of life (seconds, monotonic)."""
        return self.session.reader.fed_at

    @property
    def unread(self) -> int:
        """Bytes that came and were not handled: of a frame that is not whole, and of what waits."""
        return self.session.held + len(self._backlog)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count the frames that are sent over this link meanwhile as answers, which were asked for."""
        if self._queued == 0 and self.writable:
            self._answered = 0
        before = self._queued
        yield
        self._answered += self._queued - before

    def answer(self, raw: bytes) -> None:
        """Send what was asked for, and count it."""
        if self._queued == 0 and self.writable:
            self._answered = 0
        self._answered += len(raw)
        self.send(raw)

    def rest(self, seconds: float) -> None:
        """Listen to nothing more for so long."""
        if self._resting is None and self._transport is not None:
            self._resting = asyncio.get_running_loop().call_later(seconds, self._rested)
            self._has_backlog = self.is_pausing = True
            self._stop_reading()

    def hold(self) -> None:
        """Listen to nothing more until `release`: what was asked for is not done yet."""
        self._is_held = self._has_backlog = self.is_pausing = True
        self._stop_reading()

    def release(self) -> None:
        """Listen again: what was asked for is done."""
        if self._is_held:
            self._is_held = False
            self.is_pausing = self._resting is not None
            self._wait()

    def _rested(self) -> None:
        self._resting = None
        self.is_pausing = self._is_held
        self.session.note_alive(self._now())
        self._wait()

    # Waiting -----------------------------------------------------------------------------------

    @property
    def _has_to_wait(self) -> bool:
        return self.is_pausing or self._is_full

    @property
    def _is_full(self) -> bool:
        """Whether this client asks, and does not read."""
        if self._answered < ANSWERS or self.writable or self._transport is None:
            return False
        return not (self.session.dialled or self.session.identity.server_id)

    def _read_on(self, data: bytes) -> None:
        """Handle TURN bytes now; the rest waits, and so do the bytes that come meanwhile."""
        self.bytes_received += len(data)
        if self.session.is_closed:
            return
        waits, self._backlog = self._has_backlog, self._backlog + data
        now = self._now()
        if not waits and not self._turn.is_busy(now):
            self._turn.begin(now)
            self._feed()
        self._wait(is_small=not waits and len(data) <= SMALL)

    def _hold(self, frames: list[Frame]) -> None:
        """The owner has no more time for these now."""
        self.session.put_back(frames)
        self._is_plain = False
        self._wait()

    def _wait(self, *, is_small: bool = False) -> None:
        """Wait for a turn, if anything has to; else read on."""
        if not self._backlog and not self.session.has_more:
            self._caught_up()
            return
        self._has_backlog = True
        if self.session.has_more or len(self._backlog) > TURN:
            self._stop_reading()
        if not self._has_to_wait:
            self._queue.add(self, is_small=is_small)

    def go_on(self) -> bool:
        """Take a slice of what waits; whether there is more."""
        if self._has_to_wait:
            return False
        try:
            if self.session.has_more:
                self._perform()
            elif self._backlog:
                self._feed()
        except Exception:
            self._break_off()
            raise
        if self._backlog or self.session.has_more:
            return not self._has_to_wait
        self._caught_up()
        return False

    def _feed(self) -> None:
        data, self._backlog = self._backlog[:TURN], self._backlog[TURN:]
        self.receive(data)

    def _break_off(self) -> None:
        """An error of ours: without its timer a link would stand for ever. It is dialled again."""
        self._drop_backlog()
        self.session.close()
        if self._transport is not None:
            self._transport.abort()
        elif self._is_lost:
            self._is_lost = False
            self._end()

    def _stop_reading(self) -> None:
        if self._is_reading and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()

    def _caught_up(self) -> None:
        """Nothing waits any more."""
        if self.is_pausing:
            return
        self._has_backlog = False
        if not self._is_reading and self._transport is not None and not self._transport.is_closing():
            self._is_reading = True
            self._transport.resume_reading()
        if self._is_lost:
            self._is_lost = False
            self._end()

    def _drop_backlog(self) -> None:
        """The link is over: what waits is not handled any more."""
        self._backlog = b""
        self._has_backlog = False
        self._queue.discard(self)
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
            self.is_pausing = self._is_held

    def _end(self) -> None:
        """The connection is gone, and all that came over it was handled."""
        raise NotImplementedError
