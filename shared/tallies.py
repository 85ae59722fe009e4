"""What is counted where much happens: plain numbers, turned into metrics when somebody asks. Pure.

A Counter of prometheus-client takes a lock and a microsecond for each step; these take a tenth of that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from shared.messages import REGISTRY

OTHER: Final = "other"
"""Stands for all that has no label of its own."""


class Frames:
    """Frames by name, in and out; names that we do not know count as `other`. link_io.py counts."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.received: dict[str, int] = dict.fromkeys([*REGISTRY, OTHER], 0)
        self.sent = self.received.copy()

    def samples(self) -> list[tuple[tuple[str, str], int]]:
        """(direction, name) and how many, where there were any."""
        found = [(("received", name), count) for name, count in self.received.items() if count]
        return found + [(("sent", name), count) for name, count in self.sent.items() if count]


class Buckets:
    """A histogram: how many values are at most each of the bounds, which ascend."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, so many times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def cumulated(self) -> list[tuple[str, float]]:
        """(bound, how many values are at most that), as Prometheus has them; the last is +Inf."""
        found, so_far = [], 0
        for bound, count in zip([*map(repr, self.bounds), "+Inf"], list(self.counts), strict=True):
            so_far += count
            found.append((bound, float(so_far)))
        return found


class Names:
    """Which peers have a label of their own: so many at most at one time; the others share one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._named: set[str] = set()

    def labels(self, present: Sequence[str]) -> dict[str, str]:
        """The label of each peer that there is now; who had one keeps it."""
        self._named &= set(present)
        for name in present:
            if len(self._named) >= self._limit:
                break
            self._named.add(name)
        return {name: name if name in self._named else OTHER for name in present}
