"""The driver for all HTTP of ours: h11 does the protocol. A web framework would cost every process 6 to 16 MiB.

Whoever asks decides neither how long nor how much. A connection has HEAD seconds for each request, however slowly
its bytes come. Requests are answered one in a turn of the loop, those of all connections one after another, and
never for more than a SHARE of the time: who asks for what is dear waits longer for the next. There are CONNECTIONS
at most, PER_ADDRESS from one address; of too many the oldest that is idle goes. Who does not read is not answered.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

import h11

from parley.shared.http.event_streams import Stream
from parley.shared.runtime.timer import clock

Answer = tuple[int, str, bytes]
"""HTTP status, content type, body."""

IDLE = 30.0
"""Seconds after which a connection without a request is closed, or one that does not read its answer."""
HEAD = 10.0
"""Seconds for a request, from its first byte to its last."""
CONNECTIONS: Final = 256
PER_ADDRESS: Final = 128
SHARE: Final = 0.1
"""Of the time, at most, requests are answered."""
UNREAD: Final = 64 * 1024
"""Bytes of answers that wait for who does not read them, beyond which nothing is answered."""
PIPELINED: Final = 64 * 1024
"""Bytes of requests that wait for their turn, beyond which nothing is read."""
PARTS: Final = 64
"""Parts of a request that are looked at in a turn."""
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
UNAUTHORIZED: Final = 401
CHALLENGE: Final = (
    "WWW-Authenticate",
    'Basic realm="Parley: the token as the password", charset="UTF-8"',
)
"""It has a browser ask its user (RFC 7617)."""


class Answerer(Protocol):
    """A function that answers requests."""

    @property
    def body_limit(self) -> int:
        """Bytes of a request's body that it wants."""

    def answer(
        self,
        method: str,
        target: str,
        body: bytes | None = b"",
        asker: str = "",
        authorization: bytes = b"",
        host: bytes = b"",
    ) -> Answer | Stream | Awaitable[Answer]:
        """Answer one request, now or later; its body is None where it is longer than `body_limit`.

        `asker` is the other side's address, empty where it has none (a Unix socket); `authorization` and
        `host` are the headers of those names, empty where there is none.
        """


class HttpConnection(asyncio.Protocol):
    """One connection of an HTTP port. Requests are answered one after another, each in its turn."""

    def __init__(self, pages: Answerer, turns: Turns) -> None:
        self._pages = pages
        self._turns = turns
        self._h11 = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_asking = False
        """Whether a part of a request has come, and not all of it."""
        self._request: h11.Request | None = None
        self._body: bytearray | None = None
        self._pipelined = 0
        self._is_unread = False
        self._pending: asyncio.Future[Answer] | None = None
        """The answer that is being made."""
        self._leave: Callable[[], None] | None = None
        """The function that ends a stream that is being sent."""
        self.address = ""
        self.is_in_line = False
        """Whether it stands in line."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is asked or answered."""
        return self._pending is None and self._leave is None and not self.is_in_line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=UNREAD)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._turns.came(self)
        self._close_after(IDLE)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a loss is a loss
        """End."""
        self._transport = None
        self._give_up()

    def close(self) -> None:
        """Close at once; whoever does not read what is written is cut off."""
        transport, self._transport = self._transport, None
        self._give_up()
        if transport is not None:
            transport.abort() if self._is_unread else transport.close()

    def _give_up(self) -> None:
        self._turns.went(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._pending is not None:
            self._pending.cancel()
        if self._leave is not None:
            self._leave()
            self._leave = None

    def pause_writing(self) -> None:
        """The client does not read its answers: it gets no more, and has so long to read on."""
        self._is_unread = True
        if self._leave is None:
            self._close_after(IDLE)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_unread = False
        self._line_up()

    def data_received(self, data: bytes) -> None:
        """Feed h11; nothing is heard during a stream."""
        if self._leave is not None or self._transport is None:
            return
        if not self._is_asking and self._pending is None:
            self._is_asking = True
            self._close_after(HEAD)
        self._pipelined += len(data)
        if self._pipelined > PIPELINED:
            self._transport.pause_reading()
        self._h11.receive_data(data)
        self._line_up()

    def eof_received(self) -> bool:
        """The client asks for nothing more: its earlier requests are answered."""
        self._h11.receive_data(b"")
        self._line_up()
        return True

    def _line_up(self) -> None:
        """Have the next request answered, when it is our turn."""
        if self._transport is not None and self._pending is None and not self._is_unread and self._leave is None:
            self._turns.line_up(self)

    def _close_after(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._late)

    def _late(self) -> None:
        self._turns.limited("time")
        self.close()

    # Our turn ----------------------------------------------------------------------------------------

    def take_turn(self) -> None:
        """Answer one request, if one is whole."""
        if self._transport is None:
            return
        try:
            self._read_request()
        except h11.RemoteProtocolError:
            self.close()

    def _read_request(self) -> None:
        """Read on to the end of the request, or until this was our turn: a body may come in very many parts."""
        for _ in range(PARTS):
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                self._request, self._body = event, bytearray()
            elif isinstance(event, h11.Data):
                self._take(event.data)
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                self._heard()
                self._answer(self._request)
                return
            elif event is h11.NEED_DATA or event is h11.PAUSED:
                self._heard()
                return
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
                return
        self._line_up()

    def _heard(self) -> None:
        """All that came was looked at, or one request of it: read on."""
        before, self._pipelined = self._pipelined, len(self._h11.trailing_data[0])
        if self._transport is not None and before > PIPELINED >= self._pipelined:
            self._transport.resume_reading()

    def _take(self, data: bytes) -> None:
        """Keep a part of the body, as long as it is not too long."""
        if self._body is not None and len(self._body) + len(data) <= self._pages.body_limit:
            self._body += data
        else:
            self._body = None

    def _answer(self, request: h11.Request) -> None:
        body = bytes(self._body) if self._body is not None else None
        self._is_asking = False
        self._close_after(IDLE)
        headers = dict(request.headers)
        shown, host = headers.get(b"authorization", b""), headers.get(b"host", b"")
        method, target = request.method.decode(), request.target.decode()
        answer = self._pages.answer(method, target, body, self.address, shown, host)
        if isinstance(answer, tuple):
            self._respond(request, answer)
        elif isinstance(answer, Stream):
            self._begin(request, answer)
        else:
            if self._deadline is not None:
                self._deadline.cancel()
            self._pending = asyncio.ensure_future(answer)
            self._pending.add_done_callback(self._made)

    def _begin(self, request: h11.Request, stream: Stream) -> None:
        """Send a stream until the other side closes, or no longer reads."""
        if request.method == b"HEAD":
            self._respond(request, (200, stream.content_type, b""))
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._send(h11.Response(status_code=200, headers=[("Content-Type", stream.content_type), *HEADERS]))
        self._leave = stream.join(self._write_part)

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
        self._close_after(IDLE)
        self._respond(self._request, answer.result())

    def _respond(self, request: h11.Request, answer: Answer) -> None:
        status, content_type, body = answer
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), *HEADERS]
        if status == UNAUTHORIZED:
            headers.append(CHALLENGE)
        self._send(h11.Response(status_code=status, headers=headers))
        if request.method != b"HEAD":
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        if self._h11.our_state is not h11.DONE:
            self.close()
            return
        self._h11.start_next_cycle()
        if self._pipelined:
            self._is_asking = True
            self._close_after(HEAD)
            self._line_up()

    def _send(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data and self._transport is not None:
            self._transport.write(data)


class Turns:
    """The connections of one port: which of them stay, and whose request is answered next."""

    def __init__(self, limited: Callable[[str], None] = lambda _what: None) -> None:
        """`limited` counts what was given up ("connections", "time"), and "requests" that wait for their share."""
        self.limited = limited
        self.connections: dict[HttpConnection, None] = {}
        """Oldest first."""
        self._line: deque[HttpConnection] = deque()
        self._next: asyncio.Handle | None = None
        self._not_before = 0.0
        """When the next is answered at the earliest (seconds, monotonic)."""

    def came(self, connection: HttpConnection) -> None:
        """One more; where there are too many, one that is idle goes, the oldest."""
        self.connections[connection] = None
        same = [each for each in self.connections if each.address == connection.address]
        if connection.address and len(same) > PER_ADDRESS:
            self._give_up_one(same)
        elif len(self.connections) > CONNECTIONS:
            self._give_up_one(list(self.connections))

    def _give_up_one(self, connections: list[HttpConnection]) -> None:
        self.limited("connections")
        next((each for each in connections if each.is_idle), connections[-1]).close()

    def went(self, connection: HttpConnection) -> None:
        """A connection is closed."""
        self.connections.pop(connection, None)

    def line_up(self, connection: HttpConnection) -> None:
        """Something came over it."""
        if not connection.is_in_line:
            connection.is_in_line = True
            self._line.append(connection)
            self._schedule()

    def _schedule(self) -> None:
        if self._next is None and self._line:
            loop = asyncio.get_running_loop()
            wait = self._not_before - clock(loop)()
            if wait > 0:
                self.limited("requests")
            self._next = loop.call_later(wait, self._turn) if wait > 0 else loop.call_soon(self._turn)

    def _turn(self) -> None:
        connection = self._line.popleft()
        connection.is_in_line = False
        now = clock(asyncio.get_running_loop())
        began = now()
        try:
            connection.take_turn()
        finally:
            ended = now()
            self._next = None  # not before: who lines up meanwhile waits, too
            self._not_before = ended + (ended - began) * (1 / SHARE - 1)
            self._schedule()


class HttpServer:
    """The listener of an HTTP port, or of a Unix socket."""

    def __init__(self, pages: Answerer, limited: Callable[[str], None] = lambda _what: None) -> None:
        self._pages = pages
        self._turns = Turns(limited)
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Serve on a bound socket."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        protocol = functools.partial(HttpConnection, self._pages, self._turns)
        self._server = await create(protocol, sock=sock, start_serving=False)
        await self._server.start_serving()  # who is cancelled meanwhile closes the server

    def close(self) -> None:
        """Stop accepting and close the connections."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._turns.connections):
                connection.close()

    async def stop(self) -> None:
        """Stop accepting, close the connections, then wait (the order matters from 3.12 on)."""
        self.close()
        if self._server is not None:
            await self._server.wait_closed()
