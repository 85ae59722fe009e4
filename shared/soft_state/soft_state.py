"""Soft state: the newest that each author said to each audience, until its time is over. Pure.

```
             newer                  due                due
   nothing ────────▶ live ────────────────▶ over ────────────▶ nothing
                      └──── newer stop ──────▲│
                      ▲──────── newer ────────┘
```

Two clocks meet here. An author's `timestamp` (Unix seconds of their clock) only orders what that author says; how
long an entry lasts is counted by our clock (`now`, seconds, monotonic). What is over is remembered for a while, so
that what comes late does not revive it.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from parley.shared.addresses import User
from parley.shared.audiences import Audience

Key = tuple[User, Audience]


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest of one author for one audience."""

    key: Key
    timestamp: float
    is_over: bool
    due: float
    """When it is over; where it is, when it is forgotten."""

    @property
    def author(self) -> User:
        """The user whose word it is."""
        return self.key[0]

    @property
    def audience(self) -> Audience:
        """Those whom it is for."""
        return self.key[1]


EntryT = TypeVar("EntryT", bound=Entry)


def supersedes(timestamp: float, *, is_over: bool, known: float, known_is_over: bool) -> bool:
    """Whether what came with that timestamp is newer than what is known; or its end, at the same moment."""
    return timestamp > known or (timestamp == known and is_over and not known_is_over)


def is_news(known: Entry | None, timestamp: float, *, is_over: bool) -> bool:
    """Whether what came with that timestamp is the newest."""
    return known is None or supersedes(
        timestamp, is_over=is_over, known=known.timestamp, known_is_over=known.is_over
    )


class SoftState(Generic[EntryT]):
    """The entries of all authors and audiences; what becomes of one in the end a subclass says (`ended`)."""

    def __init__(self) -> None:
        self._entries: dict[Key, EntryT] = {}
        self._due: list[tuple[float, int, Key]] = []
        """A heap with the entry that is due next first."""
        self._scheduled: dict[Key, float] = {}
        """When each entry is looked at: the one element of the heap that counts."""
        self._tie = itertools.count()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, author: User, audience: Audience) -> EntryT | None:
        """One entry, which may be over."""
        return self._entries.get((author, audience))

    def all(self) -> Iterator[EntryT]:
        """Every entry, those that are over as well."""
        return iter(self._entries.values())

    def live(self, now: float) -> Iterator[EntryT]:
        """Every entry that is not over."""
        return (entry for entry in self._entries.values() if not entry.is_over and entry.due > now)

    def put(self, entry: EntryT) -> None:
        """Take it for the newest."""
        key = entry.key
        self._entries[key] = entry
        self._schedule(key, entry.due)

    def _schedule(self, key: Key, due: float) -> None:
        if due < self._scheduled.get(key, math.inf):
            self._scheduled[key] = due
            heapq.heappush(self._due, (due, next(self._tie), key))

    def next_timeout(self) -> float | None:
        """When to call `expire`."""
        return self._due[0][0] if self._due else None

    def expire(self, now: float) -> bool:
        """End what is due, forget what has been over for long; whether anything ended."""
        has_ended = False
        while self._due and self._due[0][0] <= now:
            when, _, key = heapq.heappop(self._due)
            if self._scheduled.get(key) != when:
                continue
            del self._scheduled[key]
            entry = self._entries[key]
            if entry.due > now:
                self._schedule(key, entry.due)
            elif entry.is_over:
                self.forget(entry)
            else:
                has_ended = True
                self.ended(entry, now)
        return has_ended

    def ended(self, entry: EntryT, now: float) -> None:
        """Its time is over: put what is left of it, or forget it."""
        raise NotImplementedError

    def forget(self, entry: EntryT) -> None:
        """Nothing is known of it any more."""
        key = entry.key
        del self._entries[key]
        self._scheduled.pop(key, None)
