"""The path to one destination, and its lanes: ready, active, suspect or held (lanes.py says why). Pure."""

from __future__ import annotations

from typing import Final

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Pair
from parley.services.chat.roster import ChatLink
from parley.shared.wire.pieces import Sending, Whole, Window

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds until what was lost is tried again; twice as many each time."""
NO_ROOM_WAIT: Final = 5.0
"""Seconds until a server is asked again that had no room."""
GAP: Final = 60.0
"""Seconds without a link that count as time in which something did not pass; what is beyond does not."""


class Lane:
    """The messages of one pair that wait, and the one that is in flight in pieces."""

    __slots__ = ("begun", "best", "head", "is_kept", "not_before", "pair", "sending")

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.head: Envelope | None = None
        """The message that travels in pieces, or will."""
        self.sending: Sending | None = None
        self.begun: Envelope | None = None
        """The message that was at its head last, over this link or the one before."""
        self.best = 0
        """So many bytes of that were there at most."""
        self.not_before = 0.0
        """When the other side, which had no room, is asked again."""
        self.is_kept = False
        """Whether all that was sent before the lane began is on disk, or on its way there."""

    def begin(self, envelope: Envelope) -> None:
        """An envelope travels in pieces."""
        if self.begun is not envelope:
            self.begun, self.best = envelope, 0
        self.head, self.not_before = envelope, 0.0
        envelope.pieces(begin=True)

    def stop(self) -> None:
        """The transfer is over, or on no link any more."""
        if self.head is not None:
            self.head.pieces(begin=False)
        self.head = self.sending = None


class Path:
    """All lanes to one destination."""

    def __init__(self) -> None:
        self.lanes: dict[Pair, Lane] = {}
        self.ready: dict[Pair, Lane] = {}
        self.active: dict[Pair, Lane] = {}
        self.suspects: dict[Pair, Lane] = {}
        self.held: dict[Pair, Lane] = {}
        self.sendings: dict[Whole, Lane] = {}
        self.link: ChatLink | None = None
        """Where what is active goes."""
        self.window = Window()
        self.stuck: dict[Envelope, float] = {}
        """A message that was lost unanswered → since when it has not passed."""
        self.look_at = 0.0
        """When the first of them may have been stuck for too long."""
        self.trying: Envelope | None = None
        """The suspect that was sent whole, and is not answered yet."""
        self.failures = 0
        self.retry_at = 0.0
        """When the next suspect may be tried."""
        self.ask_at = 0.0
        """When a server that had no room is asked again."""
        self.has_passed = False
        """Whether anything that was suspect got further over this link."""
        self.lost_at: float | None = None
        self.wake: float | None = None
        """When it is to be looked after."""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.lanes and not self.stuck and self.trying is None

    def move(self, lane: Lane, to: dict[Pair, Lane]) -> None:
        """Put a lane behind the others that are as far."""
        for each in (self.ready, self.active, self.suspects, self.held):
            each.pop(lane.pair, None)
        to[lane.pair] = lane

    def may_try(self, now: float) -> bool:
        """Whether the next suspect's turn has come."""
        is_free = self.trying is None or self.trying.due <= now
        return is_free and now >= self.retry_at

    def failed(self, now: float) -> None:
        """Something was lost, and came no further than before."""
        self.failures += 1
        self.retry_at = now + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self.failures - 1, 16))

    def passed(self) -> None:
        """Something that was suspect passes."""
        self.failures, self.retry_at, self.has_passed = 0, 0.0, True

    def connected(self, now: float) -> None:
        """There is a link: what could not be tried without one was not stuck for so long."""
        if self.lost_at is not None and now > self.lost_at + GAP:
            away = now - self.lost_at - GAP
            self.stuck = {envelope: since + away for envelope, since in self.stuck.items()}
        self.lost_at, self.has_passed = None, False

    def lost(self, link: ChatLink, envelopes: list[Envelope], now: float, *, cleanly: bool) -> None:
        """A link was lost with these unanswered: nothing is on its way there, and what failed is tried later."""
        if self.trying is not None and self.trying in envelopes:
            self.trying = None
            if not cleanly:
                self.failed(now)
        if link is self.link:
            self._stop_all(now, cleanly=cleanly)

    def _stop_all(self, now: float, *, cleanly: bool) -> None:
        had_begun = bool(self.sendings)
        self.link = None
        self.window.lost(now)
        self.sendings.clear()
        for lane in list(self.active.values()):
            lane.stop()
            self.move(lane, self.ready)
        if had_begun and not cleanly and not self.has_passed:
            self.failed(now)

    def finish(self, lane: Lane) -> None:
        """A lane's head is there, or given up: what follows may go."""
        self.halt(lane)
        lane.stop()
        self.move(lane, self.ready)

    def halt(self, lane: Lane) -> None:
        """Send nothing more of a lane's head for now."""
        if lane.sending is not None:
            lane.sending.stop()
            self.sendings.pop(lane.sending.whole, None)
            lane.sending = None

    def next_wake(self, now: float) -> float | None:
        """When it is to be looked after, or None: now where something has been stuck for too long."""
        times = [max(self.look_at, now)] if self.stuck else []
        if self.active and self.ask_at > now:
            times.append(self.ask_at)
        if self.suspects and self.retry_at > now:
            times.append(self.retry_at)
        elif self.suspects and self.trying is not None and self.trying.due > now:
            times.append(self.trying.due)
        return min(times, default=None)
