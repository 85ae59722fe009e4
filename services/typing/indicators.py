"""Who is typing: soft state, the newest wins, nothing is stored. Pure.

Two clocks meet here. What a person's event says (`timestamp`, Unix seconds of their clock) only orders
that person's events; how long an entry lasts is counted by our clock, from when it came (`now`,
seconds, monotonic), whatever theirs says.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from shared.addresses import User
from shared.datagram_lists import fits
from shared.messages import pb

LIST = "TYPING_EVENTS"


@dataclass(frozen=True, slots=True)
class Indicator:
    """One person's entry."""

    user: User
    timestamp: float
    expires: float
    """By our clock."""
    item: bytes
    """The event as a list of one (shared/datagram_lists.py)."""


class Indicators:
    """Everyone who typed within `expiry` seconds, in the order in which they did."""

    def __init__(self, expiry: float) -> None:
        self._expiry = expiry
        self._entries: OrderedDict[User, Indicator] = OrderedDict()
        self._changed: set[User] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, user: object) -> bool:
        return user in self._entries

    def take(self, event: pb.TypingEvent, now: float) -> str:
        """Take an event whose user may send it; return the `reason` why not, empty where all is well.

        One that is not newer than what we know of its user is well, and changes nothing.
        """
        item = pb.TypingEvents(typing_events=[event]).SerializeToString()
        if not math.isfinite(event.timestamp):
            return "out_of_range"
        if not fits(LIST, item):
            return "too_large"
        self._expire(now)
        user = User.of(event.user)
        known = self._entries.get(user)
        if known is None or known.timestamp < event.timestamp:
            self._entries[user] = Indicator(user, event.timestamp, now + self._expiry, item)
            self._entries.move_to_end(user)
            self._changed.add(user)
        return ""

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._changed)

    def take_changes(self, now: float) -> list[Indicator]:
        """What changed since this was last asked and still lasts: the first entries of `newest_first`."""
        self._expire(now)
        count = len(self._changed & self._entries.keys())
        self._changed.clear()
        return list(islice(reversed(self._entries.values()), count))

    def newest_first(self, now: float) -> Iterator[Indicator]:
        """Everyone who is typing now."""
        self._expire(now)
        return reversed(self._entries.values())

    def _expire(self, now: float) -> None:
        """Forget who typed too long ago: the first in order, as each lasts equally long."""
        while self._entries:
            user = next(iter(self._entries))
            if self._entries[user].expires > now:
                return
            del self._entries[user]
