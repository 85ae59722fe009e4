"""Each process's pages: /metrics, /healthz, /readyz, /status, and what else it has."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from parley.shared.http.access import ALIVE, METRICS, READY
from parley.shared.http.event_streams import Stream
from parley.shared.http.server import Answer
from parley.shared.http.tokens import Refusal
from parley.shared.limits.token_buckets import TokenBucket


class Pages:
    """The pages by their paths: each a function without arguments that answers."""

    body_limit = 0

    def __init__(
        self,
        registry: CollectorRegistry,
        status: Callable[[], dict[str, object]],
        reasons_not_ready: Callable[[], list[str]],
        more: Mapping[str, Callable[[], Answer | Stream]] = MappingProxyType({}),
        judge: Callable[[str, str, bytes, bytes], Refusal | None] = lambda *_asked: None,
        refused: Callable[[str], None] = lambda _reason: None,
        metrics_interval: float = 1.0,
    ) -> None:
        """`judge(path, asker, authorization, host)`: why that page is refused (access.py); `refused` counts it.

        `metrics_interval`: seconds between two renderings of /metrics.
        """
        self._registry = registry
        self._judge = judge
        self._refused = refused
        self._rendered = b""
        self._renderings = TokenBucket(1 / metrics_interval, 1.0, time.monotonic())
        self._paths: dict[str, Callable[[], Answer | Stream]] = {
            METRICS: self._metrics,
            ALIVE: lambda: (200, "text/plain; charset=utf-8", b"alive\n"),
            READY: lambda: _readiness(reasons_not_ready()),
            "/status": lambda: (200, "application/json", json.dumps(status()).encode() + b"\n"),
            **more,
        }

    def answer(
        self,
        method: str,
        target: str,
        body: bytes | None = b"",  # noqa: ARG002 - none is wanted
        asker: str = "",
        authorization: bytes = b"",
        host: bytes = b"",
    ) -> Answer | Stream:
        """Answer one request."""
        path = target.partition("?")[0]
        page = self._paths.get(path)
        if page is None:
            return 404, "text/plain; charset=utf-8", b"not found\n"
        if (refusal := self._judge(path, asker, authorization, host)) is not None:
            self._refused(refusal.reason)
            return refusal.status, "text/plain; charset=utf-8", f"{refusal.line}\n".encode()
        if method not in ("GET", "HEAD"):
            return 405, "text/plain; charset=utf-8", b"GET and HEAD only\n"
        return page()

    def _metrics(self) -> Answer:
        """Rendered once in an interval at most, however many ask; its last line dates it."""
        if self._renderings.consume(time.monotonic()):
            as_of = b"# As of %.6f.\n" % time.time()  # before it: what happens meanwhile may be missing
            self._rendered = generate_latest(self._registry) + as_of
        return 200, CONTENT_TYPE_LATEST, self._rendered


def _readiness(reasons: list[str]) -> Answer:
    text = "\n".join(reasons) if reasons else "ready"
    return 503 if reasons else 200, "text/plain; charset=utf-8", text.encode() + b"\n"
