"""What the chat process counts: messages by status, how long they took, and what waits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from services.chat.mailbox import Item
from services.chat.statuses import Status
from shared.tallies import Buckets

DELIVERY: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
    86400.0,
)  # fmt: skip
COMMIT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
GROUP: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)

Samples = Iterable[tuple[tuple[str, ...], float]]


class Sink(Protocol):
    """Where metrics are exported."""

    def watch_value(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Export a gauge without labels."""

    def watch_counter(
        self, name: str, text: str, read: Callable[[], Samples], labels: tuple[str, ...] = ()
    ) -> None:
        """Export what only grows."""

    def histogram(self, name: str, text: str, bounds: tuple[float, ...]) -> Buckets:
        """Export a histogram without labels."""

    def histograms(
        self,
        name: str,
        text: str,
        bounds: tuple[float, ...],
        labels: tuple[str, ...],
        values: Iterable[tuple[str, ...]],
    ) -> Mapping[tuple[str, ...], Buckets]:
        """Export a histogram."""


class Counting:
    """The chat process's own metrics. `waiting`, `oldest` (seconds) and `owed` are asked when they are wanted."""

    def __init__(
        self, metrics: Sink, *, waiting: Callable[[], int], oldest: Callable[[], float], owed: Callable[[], int]
    ) -> None:
        self._told = {(scope, number): 0 for scope in ("local", "remote") for number in Status.Status.values()}
        metrics.watch_counter(
            "parley_messages", "Statuses that authors were given", self._samples, ("scope", "status")
        )
        delivery = metrics.histograms(
            "parley_delivery_seconds",
            "From a message's receipt to its DELIVERED",
            DELIVERY,
            ("scope",),
            [("local",), ("remote",), ("mailbox",)],
        )
        self._local, self._remote, self._mailbox = delivery.values()
        metrics.watch_value("parley_mailbox_messages", "Messages that wait", waiting)
        metrics.watch_value("parley_mailbox_oldest_age_seconds", "Since the oldest of them was written", oldest)
        metrics.watch_value("parley_statuses_owed", "Statuses whose hearers are not there", owed)
        self._commits = metrics.histogram("parley_mailbox_commit_seconds", "One group commit", COMMIT)
        self._groups = metrics.histogram("parley_mailbox_commit_writes", "Writes in one group commit", GROUP)

    def _samples(self) -> Samples:
        return [((scope, Status.Status.Name(number).lower()), n) for (scope, number), n in self._told.items()]

    def told(self, scope: str, status: int) -> None:
        """An author was given a status."""
        try:
            self._told[scope, status] += 1
        except KeyError:  # a number that this version does not know
            self._told[scope, Status.UNKNOWN_STATUS] += 1

    def delivered(self, scope: str, item: Item, now: float) -> None:
        """A recipient has a message; one that waited counts as the mailbox's, whoever it is for."""
        buckets = self._mailbox if item.waited else self._local if scope == "local" else self._remote
        buckets.observe(now - item.arrived)

    def committed(self, seconds: float, writes: int) -> None:
        """So much was written at once; called on the mailbox's thread, and nowhere else."""
        self._commits.observe(seconds)
        self._groups.observe(writes)
