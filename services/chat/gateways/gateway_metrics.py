"""Metrics of the gateways: how many are connected, what was confirmed by them, who is away. Pure."""

from __future__ import annotations

from collections.abc import Callable

from parley.shared.telemetry.tallies import Exporter


class GatewayMetrics:
    """`open_links` and `away` are asked when they are wanted; /status tells of each server."""

    def __init__(self, metrics: Exporter, *, open_links: Callable[[], int], away: Callable[[], int]) -> None:
        self._confirmed = 0
        metrics.watch_value("parley_gateway_links", "Gateways at existing servers that are connected", open_links)
        metrics.watch_counter(
            "parley_gateway_confirmed", "Messages acknowledged over gateways", lambda: [((), self._confirmed)]
        )
        metrics.watch_value(
            "parley_gateway_users_away",
            "Users of existing servers for whom something waits until they are there",
            away,
        )

    def confirmed(self) -> None:
        """A message was acknowledged."""
        self._confirmed += 1
