"""The metrics of a process. One `Metrics` per process, on the CollectorRegistry that it is given.

Labels are closed sets, never a user or an address. A peer's serverId stands only on gauges and counters, and no
more than PEERS of them do. What happens often is counted in plain numbers (tallies.py), and read when /metrics is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from parley.shared.compiled import core
from parley.shared.errors import LocalProtocolError
from parley.shared.telemetry.tallies import Buckets, Frames, Labels, Samples
from parley.shared.trust.refusals import WHAT as KEY_REFUSALS
from parley.shared.version import version

REJECTIONS = frozenset(
    {
        "bad_connect", "bad_proof", "foreign_user", "insecure", "malformed", "never_given", "no_proof",
        "no_recipient", "not_a_subscriber", "other_key", "out_of_range", "plain_name", "plain_refused",
        "revoked_key", "second_connect", "stranger", "tls_alert", "tls_broken", "tls_flood", "tls_malformed",
        "tls_protocol", "too_large", "unasked", "unexpected", "unknown_name", "unproven", "unsupported_there",
    }
)  # fmt: skip
"""Every `reason` that a frame or a datagram can be rejected or dropped for."""

CLOSES: Final = (
    "exit", "handshake_timeout", "insecure", "lost", "malformed", "refused", "timeout", "too_large", "unproven",
    "unknown",
)  # fmt: skip
"""Every `reason` that a link can end for."""
CONNECTS: Final = {
    "dialler": ("connected", "unreachable", *CLOSES),
    "listener": ("connected", "another_expected", "is_already_connected_error", "unknown_error"),
}
"""Role → every `result` of a handshake."""

LIMITED_WHAT: Final = frozenset(
    {
        "bytes", "connections", "datagrams", "descriptors", "disk", "edits", "endpoints", "events", "frames",
        "log_lines", "memory", "messages", "names", "passwords", "pings", "plain_names", "proofs", "receipts",
        "refusals", "requests", "signatures", "time", "tokens", "visitors", "writes",
    }
)  # fmt: skip
"""Every `what` of which somebody can have had more than is allowed."""
LIMITED_WHERE: Final = frozenset(
    {
        "archive", "authors", "blocks", "chat", "dialects", "directory", "discovery", "gateways", "groups", "http",
        "lanes", "link", "listener", "location", "mailbox", "pairing", "pieces", "registration", "roster",
        "router", "search", "statuses", "trust", "typing", "users",
    }
)  # fmt: skip
"""Every `where` that a limit stands."""
HTTP_REFUSALS: Final = ("address", "host", "no_token", "wrong_token", "too_many_tokens")
"""Every `reason` that a page is refused for (shared/http/access.py)."""
LIMITED_ANYWHERE: Final = (
    ("connections", "listener"), ("descriptors", "listener"), ("connections", "http"), ("time", "http"),
    ("tokens", "http"), ("bytes", "link"), ("pings", "link"), ("requests", "link"), ("log_lines", "link"),
)  # fmt: skip
"""Limits that every process may have to apply, and so counts from 0 on."""

PEERS: Final = 100
"""Peers with a label of their own; the others share `other`."""
LAG: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

disable_created_metrics()  # type: ignore[no-untyped-call] # when each counter began: as many series again, which nobody asks for


class Metrics(Collector):
    """The instruments of one process, labelled with its feature where they can differ."""

    def __init__(self, registry: CollectorRegistry, feature: str, server_id: str = "") -> None:
        self.registry = registry
        self._feature = feature
        self._build = Info("parley_build", "Version and identity of this process", registry=registry)
        self.identify(server_id)
        self._exports: list[Callable[[], Metric]] = []
        self.ready = Gauge("parley_ready", "Whether /readyz answers 200", ["feature"], registry=registry).labels(
            feature
        )
        counter = self._counter
        self.connects = counter(
            "parley_connects", "Handshakes that ended, by who dialled and how", ["feature", "role", "result"]
        )
        self.limits_hit = counter(
            "parley_limited",
            "What was more than a limit allows, and so was refused, dropped or made to wait",
            ["feature", "what", "where"],
        )
        self.key_refusals = counter(
            "parley_key_refusals",
            "Names of servers that were refused to a key, or to a program without one",
            ["feature", "what"],
        )
        self.http_refusals = counter(
            "parley_http_refusals", "Pages that were refused to who asked", ["feature", "reason"]
        )
        self.errors = counter(
            "parley_errors", "Errors of ours that a loop, a timer or a callback survived", ["feature"]
        ).labels(feature)
        self.link_closes = counter("parley_link_closes", "Links that ended", ["feature", "role", "reason"])
        self.frames_rejected = counter("parley_frames_rejected", "Frames refused", ["feature", "reason"])
        self.frames = Frames()
        self.watch_counter(
            "parley_frames",
            "Frames on TCP links",
            lambda: [((feature, *labels), count) for labels, count in self.frames.samples()],
            ["feature", "direction", "name"],
        )
        self.loop_lag = self.histogram(
            "parley_event_loop_lag_seconds", "How late a timer of the event loop came", LAG
        )
        self._begin_at_zero()
        registry.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

    def _begin_at_zero(self) -> None:
        """Export all that may come: what appears with its first event has no rate for it.

        Harm makes some of it frequent: finding a counter by its labels takes longer than refusing a frame.
        """
        self._rejections = {reason: self.frames_rejected.labels(self._feature, reason) for reason in REJECTIONS}
        self._limits = {pair: self.limits_hit.labels(self._feature, *pair) for pair in LIMITED_ANYWHERE}
        for what in KEY_REFUSALS:
            self.key_refusals.labels(self._feature, what)
        for reason in HTTP_REFUSALS:
            self.http_refusals.labels(self._feature, reason)
        for role, results in CONNECTS.items():
            for result in results:
                self.connects.labels(self._feature, role, result)
            for reason in CLOSES:
                self.link_closes.labels(self._feature, role, reason)

    def expect_datagrams(self) -> None:
        """This process has a UDP port: count what comes and goes there."""
        self.datagrams = {"received": 0, "sent": 0}
        self.watch_counter(
            "parley_datagrams",
            "Datagrams",
            lambda: [((self._feature, direction), count) for direction, count in self.datagrams.items()],
            ["feature", "direction"],
        )
        self.datagrams_dropped = self._counter(
            "parley_datagrams_dropped", "Datagrams not taken", ["feature", "reason"]
        )
        self._drops = {reason: self.datagrams_dropped.labels(self._feature, reason) for reason in REJECTIONS}

    def identify(self, server_id: str) -> None:
        """Say who this is; an adopted serverId comes later."""
        core_is = "python" if core is None else "compiled"
        self._build.info({"version": version(), "feature": self._feature, "server_id": server_id, "core": core_is})

    # What happens rarely ------------------------------------------------------------------------

    def rejected(self, reason: str) -> None:
        """Count a refused frame."""
        self._rejections[_known(reason)].inc()

    def limited(self, what: str, where: str, more: int = 1) -> None:
        """Count what a limit stopped; the words are of LIMITED_WHAT and LIMITED_WHERE."""
        counter = self._limits.get((what, where))
        if counter is None:
            if what not in LIMITED_WHAT or where not in LIMITED_WHERE:
                raise LocalProtocolError(f"no limit is of {what} at {where}")
            counter = self._limits[what, where] = self.limits_hit.labels(self._feature, what, where)
        counter.inc(more)

    def key_refused(self, what: str) -> None:
        """Count a refusal, for one of KEY_REFUSALS."""
        self.key_refusals.labels(self._feature, what).inc()

    def http_refused(self, reason: str) -> None:
        """Count a page that was refused, for one of HTTP_REFUSALS; a guess that was not looked at is a limit's."""
        self.http_refusals.labels(self._feature, reason).inc()
        if reason == "too_many_tokens":
            self.limited("tokens", "http")

    def dropped(self, reason: str) -> None:
        """Count a dropped datagram."""
        self._drops[_known(reason)].inc()

    def connected(self, role: str, result: str) -> None:
        """Count a handshake: role dialler or listener."""
        known = result if result in CONNECTS[role] else CONNECTS[role][-1]
        self.connects.labels(self._feature, role, known).inc()

    def closed(self, role: str, reason: str) -> None:
        """Count a link's end."""
        self.link_closes.labels(self._feature, role, reason if reason in CLOSES else CLOSES[-1]).inc()

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    # What is read when it is asked for ----------------------------------------------------------------

    def watch(self, name: str, text: str, read: Callable[[], Samples], labels: Sequence[str] = ()) -> None:
        """Export a gauge: `read` gives its label values and values."""

        def export() -> Metric:
            return _filled(GaugeMetricFamily(name, text, labels=labels), read())

        self._exports.append(export)

    def watch_value(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Export a gauge without labels."""
        self.watch(name, text, lambda: [((), read())])

    def watch_counter(self, name: str, text: str, read: Callable[[], Samples], labels: Sequence[str] = ()) -> None:
        """Export what only ever grows; `_total` is added to its name."""

        def export() -> Metric:
            return _filled(CounterMetricFamily(name, text, labels=labels), read())

        self._exports.append(export)

    def histogram(self, name: str, text: str, bounds: Sequence[float]) -> Buckets:
        """Export a histogram without labels."""
        return self.histograms(name, text, bounds, (), [()])[()]

    def histograms(
        self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str], values: Iterable[Labels]
    ) -> Mapping[Labels, Buckets]:
        """Export a histogram, and return its buckets for each of these label values."""
        buckets = {each: Buckets(bounds) for each in values}

        def export() -> Metric:
            family = HistogramMetricFamily(name, text, labels=labels)
            for each, filled in buckets.items():
                family.add_metric(each, filled.cumulated(), filled.total)
            return family

        self._exports.append(export)
        return buckets

    def collect(self) -> Iterable[Metric]:
        """All that is read just now."""
        for export in self._exports:
            yield export()

    @staticmethod
    def describe() -> Iterable[Metric]:
        """Nothing: it would be read before there is anything to read."""
        return ()


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> Metric:
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _known(reason: str) -> str:
    return reason if reason in REJECTIONS else "unexpected"
