"""Decides when a message in flight, unanswered, is written to disk, and in which order. Pure.

Theory of operation. Nearly every message is answered within milliseconds, and needs no disk. So each is watched
from when it was sent, and is written only where no answer came:

    state                   until                            then
    watched                 `delay` after it was sent        written; or about to be answered
    about to be answered    ANSWERING_FACTOR × `delay`       written; sooner if its destination stops answering
    written                                                  a crash of this process does not lose it

A message is *about to be answered* where its destination answered another one within the last `delay`. Without
that, a burst that takes a little longer than `delay` would be written to disk, which makes all slower, so that
more is written.

What could not be written (a full disk) is tried again at once, and then every `retry` seconds, with all that is in
flight to the same destination, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush, merge
from operator import itemgetter
from typing import Final

from parley.services.chat.message.in_flight import InFlight
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination
from parley.services.chat.storage.mailbox import Kept

ANSWERING_FACTOR: Final = 10
"""So many times `delay` has the answer of who answers just now; the fast path is given the same."""

Watched = tuple[float, Destination, Envelope]
"""When it is to be written, where it is on its way to, what it is."""


class PersistTimer:
    """Watches what was sent: `delay` seconds each, ANSWERING_FACTOR times that where the destination answers.

    Of one destination the earlier are written before the later. What could not be written is tried again at once,
    and then every `retry` seconds.
    """

    def __init__(
        self,
        in_flight: Mapping[Destination, InFlight],
        *,
        delay: float,
        retry: float,
        save: Callable[[Destination, Envelope], Kept],
        save_all: Callable[[Destination], None],
    ) -> None:
        """`save` writes one message, once; `save_all` all that is on its way to a destination, in order."""
        self._in_flight = in_flight
        self._delay = delay
        self._retry = retry
        self._save = save
        self._save_all = save_all
        self._watched: deque[Watched] = deque()
        self._about_to_be_answered: list[tuple[float, int, Destination, Envelope]] = []
        """A heap: what was due and is for destinations that answer just now, until when it may wait."""
        self._answering: set[Destination] = set()
        """These destinations; whether they still answer is looked at again at `_look_again`."""
        self._look_again = 0.0
        self._not_saved: set[Destination] = set()
        """Where something could not be written: it has to be, before anything that is later."""
        self._save_again = 0.0

    def watch(self, destination: Destination, envelope: Envelope, sent: float) -> None:
        """An envelope was sent just now."""
        self._watched.append((sent + self._delay, destination, envelope))

    def watch_earlier(self, sent: Iterable[Watched]) -> None:
        """These were sent at these times, in order: before others that are watched already, perhaps."""
        earlier = [(at + self._delay, destination, envelope) for at, destination, envelope in sent]
        if earlier and self._watched:
            self._watched = deque(merge(self._watched, earlier, key=itemgetter(0)))
        else:
            self._watched.extend(earlier)

    def not_saved(self, destination: Destination) -> None:
        """Something on its way there could not be written."""
        self._not_saved.add(destination)

    def is_behind(self, destination: Destination) -> bool:
        """Whether something on its way there could not be written, and has not been tried again."""
        return destination in self._not_saved

    def saving_all(self, destination: Destination) -> None:
        """All that is on its way there is being written."""
        self._not_saved.discard(destination)

    def drop_answered(self, *, is_idle: bool) -> None:
        """Forget answered messages that have come to the front; `is_idle`: nothing is in flight."""
        watched = self._watched
        while watched and not watched[0][2].due:
            watched.popleft()
        if is_idle:
            self._about_to_be_answered.clear()
            self._answering.clear()

    # Time ----------------------------------------------------------------------------------------------

    def due(self) -> list[float]:
        """When `handle_timeout` must be called."""
        due = [self._watched[0][0]] if self._watched else []
        if self._answering:
            due.append(self._look_again)
        if self._not_saved:
            due.append(self._save_again)
        return due

    def handle_timeout(self, now: float) -> None:
        """Write what was not answered soon; it is about to be answered where its destination answers just now."""
        if self._not_saved and self._save_again <= now:
            self._save_again = now + self._retry
            for destination in list(self._not_saved):
                self._save_all(destination)
        for destination in [each for each in self._answering if not self._is_answering(each, now)]:
            self._answering.discard(destination)
            for envelope in list(self._in_flight[destination].envelopes) if destination in self._in_flight else ():
                self._write(destination, envelope)
        while self._about_to_be_answered and self._about_to_be_answered[0][0] <= now:
            _until, _number, destination, envelope = heappop(self._about_to_be_answered)
            self._write(destination, envelope)
        while self._watched and self._watched[0][0] <= now:
            due, destination, envelope = self._watched.popleft()
            until = due + (ANSWERING_FACTOR - 1) * self._delay
            if envelope.is_in_flight and until > now and self._is_answering(destination, now):
                heappush(self._about_to_be_answered, (until, envelope.id, destination, envelope))
                self._answering.add(destination)
            else:
                self._write(destination, envelope)
        self._look_again = now + self._delay / 2

    def _is_answering(self, destination: Destination, now: float) -> bool:
        in_flight = self._in_flight.get(destination)
        return in_flight is not None and len(in_flight) > 0 and self.has_answered(destination, now)

    def has_answered(self, destination: Destination, now: float) -> bool:
        """Whether a destination answered anything a moment ago."""
        in_flight = self._in_flight.get(destination)
        return in_flight is not None and in_flight.answered_at + self._delay > now

    def _write(self, destination: Destination, envelope: Envelope) -> None:
        """Unless it was answered meanwhile."""
        if envelope.is_in_flight and destination in self._not_saved:
            self._save_all(destination)
        elif envelope.is_in_flight:
            self._save(destination, envelope)
