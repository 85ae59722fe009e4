"""The discovery process's view of its node: for /metrics, for /status and for the status page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from parley.services.discovery.directory.directory import Directory
from parley.services.discovery.directory.registry import Registry
from parley.shared.telemetry.tallies import Exporter, Samples
from parley.shared.wire.messages import FEATURES, pb

TIME_TO_PEER: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def state_of(link: pb.LinkState) -> str:
    """The state of a link that a process reported, for people."""
    return "linked" if link.linked else "known" if link.notDialled else "dialling"


@dataclass(frozen=True, slots=True)
class Report:
    """The links that one of our processes reported, and the time of the report."""

    feature: str
    links: tuple[pb.LinkState, ...]
    at: float

    @property
    def linked(self) -> list[str]:
        """The servers that it is linked with."""
        return [link.serverId for link in self.links if link.linked]

    def as_json(self, now: float) -> list[dict[str, object]]:
        """The process's links for /status."""
        return [
            {
                "server_id": link.serverId,
                "state": state_of(link),
                "dialect": link.dialect,
                "why": link.why,
                "dialled_by_us": link.dialled if link.linked else None,
                "age_seconds": round(link.age + now - self.at, 3) if link.linked else None,
                "rtt_seconds": link.rtt if link.HasField("rtt") else None,
                "assurance": link.assurance if link.linked else None,
                "last_error": link.lastError,
                "last_error_seconds_ago": round(link.errorAge + now - self.at, 3) if link.lastError else None,
            }
            for link in self.links
        ]


class Counters:
    """Counters of the discovery port, and the time from first heard to linked."""

    def __init__(self, metrics: Exporter, directory: Directory, registry: Registry) -> None:
        self.requests = {"sent": 0, "received": 0}
        self.announcements = {"sent": 0, "received": 0}
        self._times = metrics.histograms(
            "parley_discovery_time_to_peer_seconds",
            "From a server's first announcement of a feature to the link for it",
            TIME_TO_PEER,
            ("feature",),
            [(feature,) for feature in FEATURES],
        )
        direction = ("direction",)
        metrics.watch_counter(
            "parley_discovery_requests", "DISCOVER_SERVER", lambda: _by_direction(self.requests), direction
        )
        metrics.watch_counter(
            "parley_announcements", "SERVER_ANNOUNCE", lambda: _by_direction(self.announcements), direction
        )
        metrics.watch(
            "parley_servers_known", "Other servers in the directory", lambda: [((), len(directory.entries))]
        )
        metrics.watch(
            "parley_process_registered",
            "Whether a process of this node serves the feature",
            lambda: [((feature,), feature in registry.features) for feature in FEATURES],
            ("feature",),
        )

    def measured(self, feature: str, seconds: float) -> None:
        """A server was linked for the first time."""
        if (feature,) in self._times:
            self._times[feature,].observe(seconds)


def _by_direction(counts: Mapping[str, int]) -> Samples:
    return [((direction,), count) for direction, count in counts.items()]
