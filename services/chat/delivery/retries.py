"""Retries: a message that a side did not take is offered again while the link stands: when, how often. Pure.

A client acknowledges a message when it has it, shown or saved. A client that could not (a full disk, a closed
terminal) says nothing, and may be able to a minute later. So a message that is unanswered after `ack_timeout` is
written to the same links once more, and again after twice that, and twice that, up to LONGEST. Clients recognise
what comes again, and so do servers that are Parleys: one of them may have refused a copy for a group because it
did not know yet that the message is its own user's.

Nothing is offered to a link while something that was written to it is still in flight: a client that sleeps or
stands in a radio shadow would get all of it several times at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from parley.services.chat.message.life import Envelope
from parley.services.chat.roster import ChatLink

LONGEST: Final = 320.0
"""Seconds between two offers, at most."""
SLACK: Final = 1000
"""Retries of messages that were answered meanwhile, held at most beyond as many as are unanswered."""


class Retry(NamedTuple):
    """One that is due: heaps compare the first two."""

    deadline: float
    """Seconds, monotonic; it counts while the envelope has the same."""
    number: int
    envelope: Envelope
    delay: float
    """Seconds since the one before."""

    @property
    def counts(self) -> bool:
        """Whether the envelope is still unanswered, and was not sent in another way meanwhile."""
        return self.envelope.due == self.deadline


class Retries:
    """Messages that have not been answered within `ack_timeout`."""

    def __init__(self, ack_timeout: float) -> None:
        self._first = ack_timeout
        self._due: list[Retry] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, envelope: Envelope, now: float, *, immediately: bool) -> None:
        """An envelope was not answered in time: offer it now or later, and again until it is answered."""
        delay = 0.0 if immediately else self._first
        self._put(envelope, now + delay, delay)

    def _put(self, envelope: Envelope, due: float, delay: float) -> None:
        envelope.retry(due)
        heappush(self._due, Retry(due, next(self._numbers), envelope, delay))

    def due(self) -> Iterable[float]:
        """When `handle_timeout` must be called."""
        return [self._due[0].deadline] if self._due else ()

    def handle_timeout(self, now: float) -> None:
        """Write what is due to those of its links that have all that was written before."""
        ready: dict[ChatLink, bool] = {}
        while self._due and self._due[0].deadline <= now:
            offer = heappop(self._due)
            if not offer.counts:
                continue
            offered = False
            for link in offer.envelope.sent_to:
                if not offer.envelope.in_pieces and ready.setdefault(link, link.has_arrived) and link.writable:
                    link.send(offer.envelope.raw)
                    offered = True
            delay = offer.delay if not offered and offer.delay else max(2 * offer.delay, self._first)
            self._put(offer.envelope, now + min(delay, LONGEST), min(delay, LONGEST))

    def drop_answered(self, unanswered: int) -> None:
        """At the end of a batch: forget those that count no more."""
        while self._due and not self._due[0].counts:
            heappop(self._due)
        if len(self._due) > 2 * unanswered + SLACK:
            self._due = [offer for offer in self._due if offer.counts]
            heapify(self._due)
