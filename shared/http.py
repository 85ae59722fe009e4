"""Each process's HTTP port: /metrics, /healthz, /readyz, /status; and the driver for any other HTTP of ours.

h11 does the protocol; this is its driver. A web framework would cost every process 6 to 16 MiB.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, cast

import h11
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from shared.streams import Stream

Answer = tuple[int, str, bytes]
"""HTTP status, content type, body."""

IDLE = 30.0
"""Seconds after which a connection without a request is closed."""
STREAM_LIMIT = 1024 * 1024
"""Bytes that may wait for who reads a stream; who reads slower is cut off."""
_POLICY: Final = (
    "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)
"""A browser loads nothing from elsewhere for these pages, runs nothing that stands in them, and keeps nothing."""


class Answerer(Protocol):
    """What answers requests."""

    @property
    def body_limit(self) -> int:
        """Bytes of a request's body that it wants."""

    def answer(self, method: str, target: str, body: bytes | None = b"") -> Answer | Stream | Awaitable[Answer]:
        """Answer one request, now or later; its body is None where it is longer than `body_limit`."""


class Pages:
    """What is answered on which path: each a function without arguments."""

    body_limit = 0

    def __init__(
        self,
        registry: CollectorRegistry,
        status: Callable[[], dict[str, object]],
        reasons_not_ready: Callable[[], list[str]],
        more: Mapping[str, Callable[[], Answer | Stream]] = MappingProxyType({}),
    ) -> None:
        self._paths: dict[str, Callable[[], Answer | Stream]] = {
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/healthz": lambda: (200, "text/plain; charset=utf-8", b"alive\n"),
            "/readyz": lambda: _readiness(reasons_not_ready()),
            "/status": lambda: (200, "application/json", json.dumps(status()).encode() + b"\n"),
            **more,
        }

    def answer(self, method: str, target: str, body: bytes | None = b"") -> Answer | Stream:  # noqa: ARG002 - none is wanted
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
    """One connection of an HTTP port. Requests are answered one after another."""

    def __init__(self, pages: Answerer, open_connections: set[HttpConnection]) -> None:
        self._pages = pages
        self._open = open_connections
        self._h11 = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._request: h11.Request | None = None
        self._body: bytearray | None = None
        self._pending: asyncio.Future[Answer] | None = None
        """The answer that is being made."""
        self._leave: Callable[[], None] | None = None
        """What ends a stream that is being sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a loss is a loss
        """End."""
        self._open.discard(self)
        self._give_up()

    def close(self) -> None:
        """Close at once."""
        self._give_up()
        if self._transport is not None:
            self._transport.close()

    def _give_up(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._pending is not None:
            self._pending.cancel()
        if self._leave is not None:
            self._leave()
            self._leave = None

    def data_received(self, data: bytes) -> None:
        """Feed h11 and answer each request that is whole; nothing is heard during a stream."""
        if self._leave is not None:
            return
        self._h11.receive_data(data)
        if self._pending is None:
            self._go_on()

    def _go_on(self) -> None:
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
                self._request, self._body = event, bytearray()
            elif isinstance(event, h11.Data):
                self._take(event.data)
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                if not self._answer(self._request):
                    return
            elif event is h11.NEED_DATA or event is h11.PAUSED:
                return
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
                return

    def _take(self, data: bytes) -> None:
        """Keep a part of the body, as long as it is not too long."""
        if self._body is not None and len(self._body) + len(data) <= self._pages.body_limit:
            self._body += data
        else:
            self._body = None

    def _answer(self, request: h11.Request) -> bool:
        """Whether the next request may be read."""
        body = bytes(self._body) if self._body is not None else None
        answer = self._pages.answer(request.method.decode(), request.target.decode(), body)
        if isinstance(answer, tuple):
            return self._respond(request, answer)
        if isinstance(answer, Stream):
            return self._begin(request, answer)
        if self._idle is not None:
            self._idle.cancel()
        self._pending = asyncio.ensure_future(answer)
        self._pending.add_done_callback(self._made)
        return False

    def _begin(self, request: h11.Request, stream: Stream) -> bool:
        """Send a stream until the other side closes, or no longer reads."""
        if request.method == b"HEAD":
            return self._respond(request, (200, stream.content_type, b""))
        if self._idle is not None:
            self._idle.cancel()
        self._send(h11.Response(status_code=200, headers=[("Content-Type", stream.content_type), *HEADERS]))
        self._leave = stream.join(self._write_part)
        return False

    def _write_part(self, data: bytes) -> None:
        if self._transport is None or self._transport.get_write_buffer_size() > STREAM_LIMIT:
            self.close()
        else:
            self._send(h11.Data(data=data))

    def _made(self, answer: asyncio.Future[Answer]) -> None:
        """An answer that took its time is there."""
        self._pending = None
        if answer.cancelled() or self._request is None:
            return
        if (error := answer.exception()) is not None:
            self.close()
            raise error
        if self._respond(self._request, answer.result()):
            self._go_on()

    def _respond(self, request: h11.Request, answer: Answer) -> bool:
        """Whether the connection goes on."""
        status, content_type, body = answer
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), *HEADERS]
        self._send(h11.Response(status_code=status, headers=headers))
        if request.method != b"HEAD":
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        if self._h11.our_state is not h11.DONE:
            self.close()
            return False
        self._h11.start_next_cycle()
        return True

    def _send(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data and self._transport is not None:
            self._transport.write(data)


class HttpServer:
    """The listener of an HTTP port, or of a Unix socket."""

    def __init__(self, pages: Answerer) -> None:
        self._pages = pages
        self._connections: set[HttpConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Serve on a bound socket."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        self._server = await create(lambda: HttpConnection(self._pages, self._connections), sock=sock)

    def close(self) -> None:
        """Stop accepting and close the connections."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.close()

    async def stop(self) -> None:
        """Stop accepting, close the connections, then wait (the order matters from 3.12 on)."""
        self.close()
        if self._server is not None:
            await self._server.wait_closed()
