"""Each process's HTTP port: /metrics, /healthz, /readyz, /status.

h11 does the protocol; this is its driver. A web framework would cost every process 6 to 16 MiB.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import cast

import h11
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

Answer = tuple[int, str, bytes]
"""HTTP status, content type, body."""

IDLE = 30.0
"""Seconds after which a connection without a request is closed."""


class Pages:
    """What is answered on which path: each a function without arguments."""

    def __init__(
        self,
        registry: CollectorRegistry,
        status: Callable[[], dict[str, object]],
        reasons_not_ready: Callable[[], list[str]],
    ) -> None:
        self._paths: dict[str, Callable[[], Answer]] = {
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/healthz": lambda: (200, "text/plain; charset=utf-8", b"alive\n"),
            "/readyz": lambda: _readiness(reasons_not_ready()),
            "/status": lambda: (200, "application/json", json.dumps(status()).encode() + b"\n"),
        }

    def answer(self, method: str, target: str) -> Answer:
        """Answer one request."""
        page = self._paths.get(target.partition("?")[0])
        if page is None:
            return 404, "text/plain; charset=utf-8", b"not found\n"
        if method not in ("GET", "HEAD"):
            return 405, "text/plain; charset=utf-8", b"GET and HEAD only\n"
        return page()


def _readiness(reasons: list[str]) -> Answer:
    text = "\n".join(reasons) if reasons else "ready"
    return 503 if reasons else 200, "text/plain; charset=utf-8", text.encode() + b"\n"


class HttpConnection(asyncio.Protocol):
    """One connection of the HTTP port."""

    def __init__(self, pages: Pages, open_connections: set[HttpConnection]) -> None:
        self._pages = pages
        self._open = open_connections
        self._h11 = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._request: h11.Request | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a loss is a loss
        """End."""
        self._open.discard(self)
        if self._idle is not None:
            self._idle.cancel()

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Feed h11 and answer each request that is whole."""
        self._h11.receive_data(data)
        self._wait()
        try:
            self._answer_requests()
        except h11.RemoteProtocolError:
            self.close()

    def _wait(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE, self.close)

    def _answer_requests(self) -> None:
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                self._request = event
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                self._respond(self._request)
                if self._h11.our_state is not h11.DONE:
                    self.close()
                    return
                self._h11.start_next_cycle()
            elif event is h11.NEED_DATA or event is h11.PAUSED:
                return
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
                return

    def _respond(self, request: h11.Request) -> None:
        method, target = request.method.decode(), request.target.decode()
        status, content_type, body = self._pages.answer(method, target)
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        self._send(h11.Response(status_code=status, headers=headers))
        if method != "HEAD":
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())

    def _send(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data and self._transport is not None:
            self._transport.write(data)


class HttpServer:
    """The listener of the HTTP port."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._connections: set[HttpConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Serve on a bound socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: HttpConnection(self._pages, self._connections),
            sock=sock,
        )

    async def stop(self) -> None:
        """Stop accepting, close the connections, then wait (the order matters from 3.12 on)."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.close()
            await self._server.wait_closed()
