"""The HTTP ports: requests without end, in one write, and answers that are never read."""

from __future__ import annotations

from typing import ClassVar

from tests.attack.attack import Flood, limited
from tests.attack.kinds.connections import Held
from tests.attack.places import ALPHA, HTTP_PORT


def get(path: str) -> bytes:
    """One request."""
    return f"GET {path} HTTP/1.1\r\nHost: alpha\r\n\r\n".encode()


class Pipelined(Flood):
    """Requests one behind the other: 65 kB in a write."""

    unit = "requests"
    links = 4
    per_block = 1500
    rate = 1000.0
    path: ClassVar[str]

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - HTTP has none
        """None."""
        return b""

    def block(self) -> bytes:
        """The same each time."""
        return get(self.path) * self.per_block


class PipelinedMetrics(Pipelined):
    """GET /metrics of chat."""

    name = "pipelined-metrics"
    place = (ALPHA, HTTP_PORT["chat"])
    path = "/metrics"
    seen = (limited("chat", "requests", "http"), limited("chat", "time", "http"))


class PipelinedStatus(Pipelined):
    """GET /status of chat."""

    name = "pipelined-status"
    place = (ALPHA, HTTP_PORT["chat"])
    path = "/status"
    seen = (limited("chat", "requests", "http"), limited("chat", "time", "http"))


class PipelinedPage(Pipelined):
    """The status page of discovery, and its answers are never read."""

    name = "pipelined-page-unread"
    place = (ALPHA, HTTP_PORT["discovery"])
    path = "/"
    reads = False
    seen = (
        limited("discovery", "requests", "http"), limited("discovery", "time", "http"),
        limited("discovery", "bytes", "http"), limited("discovery", "memory", "http"),
    )  # fmt: skip


class Streams(Held):
    """Readers of the status page's stream who come without end, and never read."""

    name = "event-streams"
    place = (ALPHA, HTTP_PORT["discovery"])
    most = 2000
    rate = 1000.0
    seen = (limited("discovery", "connections", "http"), limited("discovery", "descriptors"))

    def first(self, index: int) -> bytes:  # noqa: ARG002 - all the same
        """One request."""
        return get("/events")


class Unread(Held):
    """GET /metrics on many connections, whose answers are never read to the end."""

    name = "metrics-unread"
    place = (ALPHA, HTTP_PORT["chat"])
    most = 1000
    rate = 500.0
    seen = (limited("chat", "connections", "http"), limited("chat", "requests", "http"))

    def first(self, index: int) -> bytes:  # noqa: ARG002 - all the same
        """A few requests."""
        return get("/metrics") * 20


KINDS = (PipelinedMetrics, PipelinedStatus, PipelinedPage, Streams, Unread)
