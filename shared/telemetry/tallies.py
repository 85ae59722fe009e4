"""Counters where much happens: plain numbers, turned into metrics when somebody asks. Pure.

A Counter of prometheus-client takes a lock and a microsecond for each step; these take a tenth of that, and next to
nothing in the compiled core (shared/core/io/tallies.c), which has the same classes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from parley.shared.compiled import core
from parley.shared.wire.messages import REGISTRY

Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float]]
"""Label values, and the value."""

OTHER: Final = "other"
"""Stands for all that has no label of its own."""


class Counts:
    """A number for each of some names; the last of them stands for all others."""

    __slots__ = ("_last", "_numbers")

    def __init__(self, names: Sequence[str]) -> None:
        """Begin at 0."""
        self._numbers = dict.fromkeys(names, 0)
        self._last = names[-1]

    def add(self, name: str, more: int) -> None:
        """Count so many more of a name."""
        self._numbers[name if name in self._numbers else self._last] += more

    def items(self) -> Iterable[tuple[str, int]]:
        """Each name and its number."""
        return self._numbers.items()

    def __len__(self) -> int:
        return len(self._numbers)


class PlainBuckets:
    """Counts values by the first of the bounds, which ascend, that they are not above."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, so many times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


PureCounts, PureBuckets = Counts, PlainBuckets
if not TYPE_CHECKING and core is not None:
    Counts, PlainBuckets = core.Counts, core.Buckets


class Buckets(PlainBuckets):
    """A histogram: how many values are at most each of the bounds, which ascend."""

    __slots__ = ()

    def cumulated(self) -> list[tuple[str, float]]:
        """(bound, how many values are at most that), as Prometheus has them; the last is +Inf."""
        found, so_far = [], 0
        for bound, count in zip([*map(repr, self.bounds), "+Inf"], list(self.counts), strict=True):
            so_far += count
            found.append((bound, float(so_far)))
        return found


class Frames:
    """Frames by name, in and out; names that we do not know count as `other`. io.py counts."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.received, self.sent = Counts([*REGISTRY, OTHER]), Counts([*REGISTRY, OTHER])

    def samples(self) -> list[tuple[tuple[str, str], int]]:
        """(direction, name) and how many, where there were any."""
        found = [(("received", name), count) for name, count in self.received.items() if count]
        return found + [(("sent", name), count) for name, count in self.sent.items() if count]


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


class Exporter(Protocol):
    """The part of Metrics (metrics.py) that a pure module needs, to have its counters exported."""

    def watch_value(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Export a gauge without labels."""

    def watch(self, name: str, text: str, read: Callable[[], Samples], labels: Sequence[str] = ()) -> None:
        """Export a gauge: `read` gives its label values and values."""

    def watch_counter(self, name: str, text: str, read: Callable[[], Samples], labels: Sequence[str] = ()) -> None:
        """Export what only ever grows; `_total` is added to its name."""

    def histogram(self, name: str, text: str, bounds: Sequence[float]) -> Buckets:
        """Export a histogram without labels."""

    def histograms(
        self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str], values: Iterable[Labels]
    ) -> Mapping[Labels, Buckets]:
        """Export a histogram, and return its buckets for each of these label values."""
