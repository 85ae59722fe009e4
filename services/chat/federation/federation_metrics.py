"""Metrics of the federation: who joins, which lists come, how old the newest is. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from parley.shared.telemetry.tallies import Exporter
from parley.shared.trust.federation.state import Federation, Verdict

WRITING: Final = "writing the federation"
"""The name of the fault where the disk does not let us."""
JOINED: Final = "joined"
JOINS: Final = (
    JOINED, "answered", "busy", "expired", "foreign", "full", "malformed", "revoked", "taken", "tries", "unknown",
    "used", "wrong_code",
)  # fmt: skip
"""Every result of a request to join; `answered`: a spoken code's exchange began."""


class FederationMetrics:
    """`state` and `age` (seconds of running time since the newest list came) are asked when they are wanted."""

    def __init__(
        self, metrics: Exporter, *, state: Callable[[], Federation | None], age: Callable[[], float]
    ) -> None:
        self._joins = dict.fromkeys(JOINS, 0)
        self._lists = {verdict.value: 0 for verdict in Verdict}
        metrics.watch_counter(
            "parley_federation_joins",
            "Requests to join the federation, by what came of them",
            lambda: [((result,), count) for result, count in self._joins.items()],
            ("result",),
        )
        metrics.watch_counter(
            "parley_federation_lists",
            "Lists of the federation that came, by verdict",
            lambda: [((verdict,), count) for verdict, count in self._lists.items()],
            ("verdict",),
        )
        metrics.watch_value(
            "parley_federation_members",
            "Members of the federation; 0: the node is in none",
            lambda: _members(state()),
        )
        metrics.watch_value(
            "parley_federation_list_age_seconds",
            "Running time since the newest list came; 0: the node is in no federation",
            lambda: age() if state() is not None else 0.0,
        )

    def joined(self, result: str) -> None:
        """A request to join was answered, with one of JOINS."""
        self._joins[result if result in self._joins else "malformed"] += 1

    def came(self, verdict: Verdict) -> None:
        """A list came."""
        self._lists[verdict.value] += 1


def _members(state: Federation | None) -> int:
    return len(state.all_members()) if state is not None else 0
