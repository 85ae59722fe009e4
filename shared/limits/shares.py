"""A table that names fill: how much of it there may be, and of one origin (an address, another server). Pure.

Full, it refuses what is new; what is there goes on being there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable


class Shares:
    """Counts the entries of a table by their origin."""

    def __init__(self, most: int, share: float) -> None:
        """`most` entries in all, and that part of them of one origin."""
        self._most = most
        self._most_of_one = max(int(most * share), 1)
        self._counts: Counter[Hashable] = Counter()
        self._all = 0

    def __len__(self) -> int:
        return self._all

    def has_room(self, origin: Hashable) -> bool:
        """Whether there may be one more of an origin."""
        return self._all < self._most and self._counts[origin] < self._most_of_one

    def add(self, origin: Hashable) -> None:
        """There is one more."""
        self._counts[origin] += 1
        self._all += 1

    def remove(self, origin: Hashable) -> None:
        """There is one less."""
        self._all -= 1
        self._counts[origin] -= 1
        if not self._counts[origin]:
            del self._counts[origin]
