"""What is on its way and not answered soon is written to disk: when, and in which order. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush, merge
from operator import itemgetter
from typing import Final

from parley.services.chat.message.in_flight import Outbound
from parley.services.chat.storage.mailbox import Destination, Item, Kept

PATIENCE: Final = 10
"""So many times `delay` has the answer of who answers just now (shared/core/items.c has the same)."""

Watched = tuple[float, Destination, Item]
"""When it is to be written, where it is on its way to, what it is."""


class Custody:
    """Watches what was sent: `delay` seconds each, PATIENCE times as long where the destination answers just now.

    Of one destination the earlier are written before the later. What could not be written is tried again at once,
    and then every `retry` seconds.
    """

    def __init__(
        self,
        outbound: Mapping[Destination, Outbound],
        *,
        delay: float,
        retry: float,
        save: Callable[[Destination, Item], Kept],
        save_all: Callable[[Destination], None],
    ) -> None:
        """`save` writes one message, once; `save_all` all that is on its way to a destination, in order."""
        self._outbound = outbound
        self._delay = delay
        self._retry = retry
        self._save = save
        self._save_all = save_all
        self._watched: deque[Watched] = deque()
        self._about_to_be_answered: list[tuple[float, int, Destination, Item]] = []
        """A heap: what was due and is for destinations that answer just now, until when it may wait."""
        self._answering: set[Destination] = set()
        """These destinations; whether they still answer is looked at again at `_look_again`."""
        self._look_again = 0.0
        self._not_saved: set[Destination] = set()
        """Where something could not be written: it has to be, before anything that is later."""
        self._save_again = 0.0

    def watch(self, destination: Destination, item: Item, sent: float) -> None:
        """It was sent just now."""
        self._watched.append((sent + self._delay, destination, item))

    def watch_earlier(self, sent: Iterable[Watched]) -> None:
        """These were sent at these times, in order: before others that are watched already, perhaps."""
        earlier = [(at + self._delay, destination, item) for at, destination, item in sent]
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
        """What was answered is not watched any more, as it comes to the front; `is_idle`: nothing is on its way."""
        while self._watched and not self._watched[0][2].deadline:
            self._watched.popleft()
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
            for item in list(self._outbound[destination].items) if destination in self._outbound else ():
                self._write(destination, item)
        while self._about_to_be_answered and self._about_to_be_answered[0][0] <= now:
            _until, _number, destination, item = heappop(self._about_to_be_answered)
            self._write(destination, item)
        while self._watched and self._watched[0][0] <= now:
            due, destination, item = self._watched.popleft()
            until = due + (PATIENCE - 1) * self._delay
            if item.deadline and until > now and self._is_answering(destination, now):
                heappush(self._about_to_be_answered, (until, item.id, destination, item))
                self._answering.add(destination)
            else:
                self._write(destination, item)
        self._look_again = now + self._delay / 2

    def _is_answering(self, destination: Destination, now: float) -> bool:
        outbound = self._outbound.get(destination)
        return outbound is not None and len(outbound) > 0 and outbound.answered_at + self._delay > now

    def _write(self, destination: Destination, item: Item) -> None:
        """Unless it was answered meanwhile."""
        if item.deadline and destination in self._not_saved:
            self._save_all(destination)
        elif item.deadline:
            self._save(destination, item)
