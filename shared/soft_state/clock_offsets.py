"""The offsets of clients' clocks: a machine without a battery or the Internet begins in 1970. Pure.

A client whose clock is a few minutes off is understood as it is (lifetimes.py). One that is off by more is put
right where its datagrams come in, once for all that are told of them: by what the first of them says of its age, or
by when it came. So its order stays what it was, and nobody behind us needs to know of it. Unix seconds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

from parley.shared.soft_state.lifetimes import MAX_SKEW


class Clocks:
    """The offset of each source's clock."""

    def __init__(self) -> None:
        self._ahead: dict[Hashable, float] = {}
        """Seconds that our clock is ahead of a source's; those that are near are not here."""

    def __len__(self) -> int:
        return len(self._ahead)

    def ahead(self, source: Hashable, timestamp: float, wall: float, age: float = 0.0) -> float:
        """Seconds to be added to a source's timestamp, which is `age` seconds old; NaN where it is no time.

        `wall` is our clock's.
        """
        if not (math.isfinite(timestamp) and 0.0 <= age < math.inf):
            return math.nan
        seen = wall - age - timestamp
        known = self._ahead.get(source, 0.0)
        if abs(seen - known) <= MAX_SKEW:
            return known
        if abs(seen) <= MAX_SKEW:  # it was set meanwhile
            self.forget(source)
            return 0.0
        self._ahead[source] = seen
        return seen

    def forget(self, source: Hashable) -> None:
        """The source is gone."""
        self._ahead.pop(source, None)
