"""What the stand-in client and the stand-in server share: sockets, links, the record of what came in.

One thread serves all sockets of a program. It and the callers' threads touch a program's state only
while holding its one lock, so a predicate given to `wait_for` sees no half-made change.
"""

import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Self, TypeVar

from tests.support import plain_wire as wire
from tests.support.plain_link import TIMEOUT, Announced, Endpoint, Link, Received, Tap
from tests.support.plain_wire import Fields

BUFFER = 1024  # bytes; what is longer in a datagram is cut off, as in the programs already in use
LONGEST = 1 << 16
BROADCAST = "127.255.255.255"
DISCOVERY_PORT = 9999
LISTEN = 2.0  # seconds for announcements after a DISCOVER_SERVER

T = TypeVar("T")


def is_open(sock: Any) -> bool:
    """Say whether a socket that was ready has not been closed since."""
    return bool(sock.fileno() >= 0)


class PlainProgram:
    """A program with sockets on one loopback address; a context manager that leaves none behind."""

    names: Mapping[str, str] = wire.NAMES
    """The messages that it knows, with their payloads."""
    at_once = BUFFER
    """Bytes that it reads from a link at once."""
    tap: Tap | None = None
    """Sees all that it receives and sends."""

    def __init__(self, address: str, broadcast: str, discovery_port: int) -> None:
        self.address = address
        self.broadcast = broadcast
        self.discovery_port = discovery_port
        self.received: list[Received] = []
        self.dropped = 0  # datagrams that were no frame
        self.links: list[Link] = []
        self.listeners: dict[str, socket.socket] = {}
        self.lock = threading.Condition()
        self._sockets: list[socket.socket] = []
        self._selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._waker, wakee = socket.socketpair()
        self._sockets.append(wakee)
        self._watch(wakee, lambda: None)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"plain program at {address}")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to serve the sockets."""
        self._thread.start()

    def close(self, *, hangup: bool = True) -> None:
        """Hang up (EXIT) on every link, or break them without a word, and end; a second call does nothing."""
        with self.lock:
            for link in list(self.links):
                if hangup:
                    link.send("HANGUP", {"reason": "EXIT"})
                self.drop(link)
            if self._stopping:
                return
            self._stopping = True
        self._waker.close()
        if self._thread.ident:
            self._thread.join(TIMEOUT)
        self._selector.close()
        for sock in self._sockets:
            sock.close()

    def wait_for(self, predicate: Callable[[], T], timeout: float = TIMEOUT) -> T:
        """Return the predicate's first true value, evaluated after every change; or TimeoutError."""
        with self.lock:
            if value := self.lock.wait_for(predicate, timeout):
                return value
            came = ", ".join(each.name for each in self.received)
            raise TimeoutError(f"not within {timeout} s; received: {came or 'nothing'}; {self.dropped} dropped")

    def wait_frame(
        self,
        name: str,
        where: Callable[[Fields], Any] = lambda _fields: True,
        *,
        count: int = 1,
        timeout: float = TIMEOUT,
    ) -> Received:
        """Return the `count`-th received frame of this name whose fields satisfy `where`, since the start."""

        def found() -> list[Received]:
            return [each for each in self.received if each.name == name and where(each.fields)][count - 1 :]

        return self.wait_for(found, timeout)[0]

    def discover(self, seconds: float) -> Iterator[Announced]:
        """Broadcast one DISCOVER_SERVER and yield the announcements of the next `seconds`, as they come."""
        deadline = time.monotonic() + seconds
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.bind((self.address, 0))
            self.send_datagram_from(sock, wire.encode("DISCOVER_SERVER"), (self.broadcast, self.discovery_port))
            while (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                with suppress(TimeoutError):
                    received = self._datagram(sock)
                    if received and received.name == "SERVER_ANNOUNCE":
                        yield Announced.of(received)

    def dial(self, address: Endpoint, feature: str) -> Link:
        """Open a link from our own address; the first message on it is the caller's. Raises OSError."""
        sock = socket.create_connection(address, TIMEOUT, source_address=(self.address, 0))
        return self._add_link(sock, feature, dialled=True)

    def hang_up(self, link: Link, reason: str) -> None:
        """Say HANGUP and close."""
        link.send("HANGUP", {"reason": reason})
        self.drop(link)

    def drop(self, link: Link) -> None:
        """Close without a word; a second call does nothing."""
        with self.lock:
            if link.closed:
                return
            link.closed = True
            self.links.remove(link)
            self.leave_unread(link.sock)
            link.sock.close()
            self.on_closed(link)
            self.lock.notify_all()

    def leave_unread(self, sock: socket.socket) -> None:
        """Read from a socket, or accept at it, no more; a second call does nothing."""
        with suppress(KeyError):
            self._selector.unregister(sock)

    def on_closed(self, link: Link) -> None:
        """Forget what was kept about a link."""

    def on_end(self, link: Link) -> None:
        """The other side closed the link, or it broke."""
        self.drop(link)

    def on_hangup(self, link: Link, _fields: Fields) -> None:
        """The other side said HANGUP."""
        self.drop(link)

    def on_malformed(self, link: Link, error: wire.MalformedError) -> None:
        """Something came that is no frame, or whose payload does not parse."""
        too_large = isinstance(error, wire.TooLargeError)
        self.hang_up(link, "PAYLOAD_LIMIT_EXCEEDED" if too_large else "MESSAGE_MALFORMED")

    def on_unsupported(self, link: Link, name: str) -> None:
        """A frame came that `on_frame` did not serve."""
        link.send("UNSUPPORTED_MESSAGE", {"message_name": name})

    def cut(self, link: Link, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The frames that are complete now that these bytes came."""
        return link.reader.feed(data)

    def read_payload(self, name: str, payload: bytes) -> Fields:
        """The fields of a payload; none for an unknown name."""
        return wire.parse(name, payload, self.names)

    def on_frame(self, link: Link, name: str, fields: Fields) -> bool:
        """Serve a frame; False where this program does not know the name on such a link."""
        raise NotImplementedError

    def on_datagram(self, sock: socket.socket, name: str, fields: Fields, source: Endpoint) -> None:
        """Serve a datagram."""
        raise NotImplementedError

    def open_udp(self, address: Endpoint, *, shared: bool = False) -> socket.socket:
        """Receive datagrams at an address, `shared` with other programs on this machine."""
        sock = self._socket(socket.SOCK_DGRAM, address, reuse=shared)
        self._watch(sock, partial(self._read_datagram, sock))
        return sock

    def open_listener(self, port: int, feature: str) -> int:
        """Accept links for a feature at our own address; return the port."""
        sock = self._socket(socket.SOCK_STREAM, (self.address, port), reuse=True)
        sock.listen()
        self.listeners[feature] = sock
        self._watch(sock, partial(self._accept, sock, feature))
        return int(sock.getsockname()[1])

    def _socket(self, kind: socket.SocketKind, address: Endpoint, *, reuse: bool) -> socket.socket:
        sock = socket.socket(socket.AF_INET, kind)
        self._sockets.append(sock)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        sock.bind(address)
        return sock

    def _watch(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        with self.lock:
            self._selector.register(sock, selectors.EVENT_READ, ready)

    def _add_link(self, sock: socket.socket, feature: str, *, dialled: bool) -> Link:
        try:
            link = Link(sock, feature, self.lock, dialled=dialled, tap=self.tap)
        except OSError:  # reset already
            sock.close()
            raise
        with self.lock:
            self.links.append(link)
            self._watch(sock, partial(self._read, link))
        return link

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select():
                with self.lock:
                    if not self._stopping and is_open(key.fileobj) and key.fileobj in self._selector.get_map():
                        key.data()
                        self.lock.notify_all()

    def _accept(self, listener: socket.socket, feature: str) -> None:
        with suppress(OSError):  # gone again before it was accepted
            self._add_link(listener.accept()[0], feature, dialled=False)

    def _read(self, link: Link) -> None:
        try:
            data = link.sock.recv(self.at_once)
        except OSError:
            data = b""
        if not data:
            self.on_end(link)
            return
        if self.tap is not None:
            self.tap.stream(link, data, incoming=True)
        try:
            for name, payload in self.cut(link, data):
                fields = self.read_payload(name, payload)
                self.received.append(Received(name, fields, link.remote, link))
                self._serve(link, name, fields)
                if link.closed or not self.reads(link):
                    return
        except wire.MalformedError as error:
            self.on_malformed(link, error)

    def reads(self, _link: Link) -> bool:
        """Whether it goes on to read a link; asked after each frame."""
        return True

    def _serve(self, link: Link, name: str, fields: Fields) -> None:
        open_for_all = link.dialled or link.kind
        if name == "HANGUP":
            self.on_hangup(link, fields)
        elif name == "CONNECTED" and link.dialled:
            first, link.result = link.result is None, fields.get("result", "UNKNOWN_ERROR")
            if first and link.result != "CONNECTED":
                self.hang_up(link, "EXIT")
        elif name == "PING" and open_for_all:
            link.send("PONG")
        elif (name == "PONG" and open_for_all) or name == "UNSUPPORTED_MESSAGE":
            pass
        elif not self.on_frame(link, name, fields):
            self.on_unsupported(link, name)

    def _datagram(self, sock: socket.socket) -> Received | None:
        data, source = sock.recvfrom(LONGEST)
        with self.lock:
            if self.tap is not None:
                self.tap.datagram(sock, source, data, incoming=True)
            try:
                name, payload = wire.only_frame(data[:BUFFER])
                received = Received(name, self.read_payload(name, payload), source, None)
            except wire.MalformedError:
                self.dropped += 1
                return None
            self.received.append(received)
            return received

    def send_datagram_from(self, sock: socket.socket, data: bytes, to: Endpoint) -> None:
        """Send a datagram."""
        if self.tap is not None:
            self.tap.datagram(sock, to, data, incoming=False)
        sock.sendto(data, to)

    def _read_datagram(self, sock: socket.socket) -> None:
        with suppress(OSError):  # nobody there to answer
            if received := self._datagram(sock):
                self.on_datagram(sock, received.name, received.fields, received.source)
