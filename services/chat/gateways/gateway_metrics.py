"""Metrics of the gateways: how many are connected, what was confirmed by them, who is away. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from parley.shared.telemetry.tallies import Exporter, Names, Samples

MOST: Final = 100
"""Servers with a label of their own; the others share one."""


class GatewayMetrics:
    """`open` and `away` (server → users of it who are away) are asked when they are wanted."""

    def __init__(
        self, metrics: Exporter, *, open_links: Callable[[], int], away: Callable[[], Sequence[tuple[str, int]]]
    ) -> None:
        self._names = Names(MOST)
        self._away = away
        self._confirmed = 0
        metrics.watch_value("parley_gateway_links", "Gateways at existing servers that are connected", open_links)
        metrics.watch_counter(
            "parley_gateway_confirmed", "Messages acknowledged over gateways", lambda: [((), self._confirmed)]
        )
        metrics.watch(
            "parley_gateway_users_away",
            "Users of an existing server for whom something waits until they are there",
            self._samples,
            ("peer",),
        )

    def _samples(self) -> Samples:
        away = self._away()
        labels = self._names.labels([server_id for server_id, _count in away])
        counts: Counter[str] = Counter()
        for server_id, count in away:
            counts[labels[server_id]] += count
        return [((peer,), count) for peer, count in counts.items()]

    def confirmed(self) -> None:
        """A message was acknowledged."""
        self._confirmed += 1
