"""What a process counts. One `Metrics` per process, on the CollectorRegistry it is given.

Labels are closed sets, never a user or an address.
"""

from __future__ import annotations

from importlib import metadata

from prometheus_client import CollectorRegistry, Counter, Gauge, Info

REJECTIONS = frozenset(
    {
        "bad_connect", "foreign_user", "malformed", "no_recipient", "not_a_subscriber", "second_connect",
        "too_large", "unexpected", "unknown_name", "unsupported_there", "out_of_range",
    }
)  # fmt: skip
"""Every `reason` that a frame or a datagram can be rejected or dropped for."""


def version() -> str:
    """Parley's version."""
    return metadata.version("parley")


class Metrics:
    """The instruments of one process, labelled with its feature where they can differ."""

    def __init__(self, registry: CollectorRegistry, feature: str, server_id: str = "") -> None:
        self.registry = registry
        self._feature = feature
        self._build = Info("parley_build", "Version and identity of this process", registry=registry)
        self.identify(server_id)
        gauge, counter = self._gauge, self._counter
        self.peers = gauge("parley_peers", "Servers linked for this feature", ["feature"])
        self.subscribers = gauge("parley_subscribers", "Client links", ["feature"])
        self.ready = gauge("parley_ready", "Whether /readyz answers 200", ["feature"]).labels(feature)
        self.connects = counter(
            "parley_connects", "Handshakes that ended, by who dialled and how", ["feature", "role", "result"]
        )
        self.link_closes = counter("parley_link_closes", "Links that ended", ["feature", "role", "reason"])
        self.frames_received = counter("parley_frames_received", "Frames for the feature", ["feature"])
        self.frames_rejected = counter("parley_frames_rejected", "Frames refused", ["feature", "reason"])
        self.datagrams = counter("parley_datagrams", "Datagrams", ["feature", "direction"])
        self.datagrams_dropped = counter("parley_datagrams_dropped", "Datagrams not taken", ["feature", "reason"])
        self.messages = counter("parley_messages", "Chat messages, by the status given", ["scope", "status"])
        self.servers_known = gauge("parley_servers_known", "Other servers in the directory", [])
        for reason in REJECTIONS:
            self.frames_rejected.labels(feature, reason)
            self.datagrams_dropped.labels(feature, reason)

    def identify(self, server_id: str) -> None:
        """Say who this is; an adopted serverId comes later."""
        self._build.info({"version": version(), "feature": self._feature, "server_id": server_id})

    def rejected(self, reason: str) -> None:
        """Count a refused frame."""
        self.frames_rejected.labels(self._feature, _known(reason)).inc()

    def dropped(self, reason: str) -> None:
        """Count a dropped datagram."""
        self.datagrams_dropped.labels(self._feature, _known(reason)).inc()

    def connected(self, role: str, result: str) -> None:
        """Count a handshake: role dialler or listener."""
        self.connects.labels(self._feature, role, result).inc()

    def closed(self, role: str, reason: str) -> None:
        """Count a link's end."""
        self.link_closes.labels(self._feature, role, reason).inc()

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)


def _known(reason: str) -> str:
    return reason if reason in REJECTIONS else "unexpected"
