"""Authors and recipients as raw sockets, in a process of their own: what the benchmarks load a chat process with.

    with Loader() as loader:
        load = loader.send("127.0.0.2", ["ann@alpha"], ["bob@alpha"], 10_000, window=4096)

Frames are made and answered without the client library, so that one such process outruns the one it measures;
its share of a CPU is in the result, to see that it did.
"""

from __future__ import annotations

import multiprocessing
import resource
import secrets
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ParamSpec, Self, TypeVar

from parley.shared.addresses import User
from parley.shared.wire.capabilities import OURS, PIECES
from parley.shared.wire.framing import FrameReader, encode_frame
from parley.shared.wire.messages import encode, pb

PORT = 6666
TEXT = "x" * 100
"""What every message says."""
PATIENCE = 10.0
"""Seconds without a frame after which what is missing will not come."""
READ = 256 * 1024
"""Bytes."""
AHEAD = 256 * 1024
"""Bytes that wait in this process to be written."""
P = ParamSpec("P")
T = TypeVar("T")
Status = pb.ChatMessageResponse.DeliveryStatus.Status


@dataclass
class Load:
    """What came of one load. Times in seconds; `cpu` is that of the loading process."""

    seconds: float
    cpu: float
    statuses: Counter[str]
    unanswered: int = 0
    """Messages of which their author was told nothing."""
    received: int = 0
    again: int = 0
    """Messages that came a second time or out of order."""
    firsts: list[float] = field(default_factory=list)
    """For each recipient, from connect() to its first message."""

    @property
    def share(self) -> float:
        """The part of one CPU that loading took."""
        return self.cpu / self.seconds


class Connection:
    """One client's link."""

    def __init__(self, address: str, user: User) -> None:
        self.user = user
        self.began = time.perf_counter()
        self.sock = socket.create_connection((address, PORT), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        terms = pb.Terms(capabilities=OURS & ~PIECES)  # what is large comes whole: it is timed
        self.sock.sendall(encode("CONNECT_CLIENT", pb.ConnectClient(user=user.to_pb(), terms=terms)))
        self.sock.setblocking(False)
        self.out = bytearray()
        self.is_connected = False
        self._reader = FrameReader(1 << 24)

    @property
    def is_done(self) -> bool:
        """Whether it has nothing more to wait for."""
        return self.is_connected and not self.out

    @property
    def wants_to_write(self) -> bool:
        """Whether it has something to write, or would have."""
        return bool(self.out)

    def read(self) -> int:
        """Take what has come; return how many frames that was."""
        data = self.sock.recv(READ)
        if not data:
            raise ConnectionError(f"the link of {self.user} was closed")
        frames = self._reader.feed(data)
        for frame in frames:
            if frame.name == "PING":
                self.out += encode_frame("PONG")
            elif frame.name == "CONNECTED":
                self.is_connected = True
            elif frame.name == "HANGUP":
                raise ConnectionError(f"{self.user} was hung up on: {pb.HangUp.FromString(frame.payload)}")
            else:
                self.handle(frame.name, frame.payload)
        return len(frames)

    def handle(self, name: str, payload: bytes) -> None:
        """Handle a message that is not about the link."""

    def write(self) -> None:
        """Give the kernel what it takes."""
        with suppress(BlockingIOError):
            del self.out[: self.sock.send(self.out[:READ])]


class Author(Connection):
    """Sends `total` messages to recipients in turn, `window` of them unanswered at most; counts what it is told."""

    def __init__(
        self,
        address: str,
        user: User,
        recipients: Sequence[User],
        total: int,
        window: int,
        *,
        final: int = 0,
        document: bytes = b"",
    ) -> None:
        """`final`: so many final statuses, of messages sent before, are waited for. `document`: what is sent."""
        super().__init__(address, user)
        self.statuses: Counter[int] = Counter()
        self._tails = [_tail(user, recipient, document) for recipient in recipients]
        self._first = (time.time_ns() // 1_000_000 << 22) + secrets.randbelow(1 << 22)  # no other author's numbers
        self._total = total
        self._window = window
        self._final = final
        self._sent = 0
        self._open: set[int] = set()

    @property
    def is_done(self) -> bool:
        """Whether each message has a status, and as many are over as there should be."""
        is_told = self._sent == self._total and not self._open and self.statuses[Status.DELIVERED] >= self._final
        return super().is_done and is_told

    @property
    def wants_to_write(self) -> bool:
        """Whether it may send."""
        return super().wants_to_write or (self._sent < self._total and len(self._open) < self._window)

    @property
    def unanswered(self) -> int:
        """Messages without a status, sent or not."""
        return self._total - self._sent + len(self._open)

    def handle(self, name: str, payload: bytes) -> None:
        """A first status makes room for another message."""
        if name == "MESSAGE_ACK":
            ack = pb.ChatMessageResponse.FromString(payload)
            self._open.discard(ack.messageSnowflake)
            for status in ack.statuses:
                self.statuses[status.status] += 1

    def top_up(self) -> None:
        """Make as many messages as may go out."""
        while self._sent < self._total and len(self._open) < self._window and len(self.out) < AHEAD:
            snowflake = self._first + self._sent
            self.out += encode_frame(
                "MESSAGE", b"\x08" + varint(snowflake) + self._tails[self._sent % len(self._tails)]
            )
            self._open.add(snowflake)
            self._sent += 1


class Recipient(Connection):
    """Acknowledges all that comes, and looks at the order in which each author's messages come."""

    def __init__(self, address: str, user: User, expected: int) -> None:
        super().__init__(address, user)
        self.first = 0.0
        self.received = 0
        self.again = 0
        self._expected = expected
        self._last: dict[str, int] = {}

    @property
    def is_done(self) -> bool:
        """Whether all has come, and was acknowledged."""
        return super().is_done and self.received >= self._expected

    def handle(self, name: str, payload: bytes) -> None:
        """Acknowledge."""
        if name != "MESSAGE":
            return
        if not self.first:
            self.first = time.perf_counter() - self.began
        message = pb.ChatMessage.FromString(payload)
        snowflake, author = message.messageSnowflake, message.author.userId
        if snowflake <= self._last.get(author, 0):
            self.again += 1
        else:
            self.received += 1
            self._last[author] = snowflake
        self.out += encode_frame("MESSAGE_ACK", b"\x08" + varint(snowflake) + b"\x12\x02\x10\x01")


class Loader:
    """The loading process; a context manager."""

    def __enter__(self) -> Self:
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self._pool.submit(_prepare).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def call(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function of a module in the loading process, and return what it returns."""
        return self.begin(function, *arguments, **named).result()

    def begin(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """The same, and do not wait for it."""
        return self._pool.submit(function, *arguments, **named)

    def introduce(self, address: str, users: Sequence[str]) -> None:
        """Have users connect once and leave: their server knows them then."""
        self._pool.submit(_drain, address, users, [], 0, 0).result()

    def send(
        self, address: str, authors: Sequence[str], recipients: Sequence[str], total: int, *, window: int
    ) -> Load:
        """Each author sends total/authors messages, until each has its first status. 0: no window."""
        return self._pool.submit(_send, address, authors, recipients, total, window).result()

    def drain(self, address: str, recipients: Sequence[str], authors: Sequence[str], each: int, final: int) -> Load:
        """Recipients connect and take `each` messages; authors, if any, are told DELIVERED `final` times each."""
        return self._pool.submit(_drain, address, recipients, authors, each, final).result()


# In the loading process -------------------------------------------------------------------------------


def _prepare() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _send(address: str, authors: Sequence[str], recipients: Sequence[str], total: int, window: int) -> Load:
    to = [User.parse(each) for each in recipients]
    count = total // len(authors)
    links = [Author(address, User.parse(each), to, count, window or count) for each in authors]
    return measure(links, [])


def _drain(address: str, recipients: Sequence[str], authors: Sequence[str], each: int, final: int) -> Load:
    links = [Author(address, User.parse(name), [], 0, 1, final=final) for name in authors]
    return measure(links, [Recipient(address, User.parse(name), each) for name in recipients])


def measure(authors: list[Author], recipients: list[Recipient]) -> Load:
    began, cpu = min(each.began for each in (*authors, *recipients)), time.process_time()
    try:
        seconds = serve([*authors, *recipients]) - began
    finally:
        for each in (*authors, *recipients):
            leave(each)
    return Load(
        seconds,
        time.process_time() - cpu,
        Counter({Status.Name(s): n for author in authors for s, n in author.statuses.items()}),
        unanswered=sum(author.unanswered for author in authors),
        received=sum(each.received for each in recipients),
        again=sum(each.again for each in recipients),
        firsts=[each.first for each in recipients],
    )


def leave(connection: Connection) -> None:
    """Hang up, and wait until the other side has closed the link: it knows by then."""
    with connection.sock as sock:
        sock.settimeout(PATIENCE)
        try:
            sock.sendall(encode("HANGUP", pb.HangUp(reason=pb.HangUp.EXIT)))
            while sock.recv(READ):
                pass
        except ConnectionError:
            pass


def serve(connections: Sequence[Connection]) -> float:
    """Serve them all until each is done, or nothing comes any more; return when the last frame came."""
    with selectors.DefaultSelector() as selector:
        wanted = dict.fromkeys(connections, selectors.EVENT_READ)
        for each in connections:
            selector.register(each.sock, selectors.EVENT_READ, each)
            _prepare_output(each, selector, wanted)
        left = {each for each in connections if not each.is_done}
        last = time.perf_counter()
        while left:
            for key, events in selector.select(1.0):
                connection: Connection = key.data
                if events & selectors.EVENT_READ and connection.read():
                    last = time.perf_counter()
                _prepare_output(connection, selector, wanted)
                if connection.is_done:
                    left.discard(connection)
            if time.perf_counter() > last + PATIENCE:
                break
    return last


def _prepare_output(each: Connection, selector: selectors.BaseSelector, wanted: dict[Connection, int]) -> None:
    if isinstance(each, Author):
        each.top_up()
    if each.out:
        each.write()
    events = selectors.EVENT_READ | (selectors.EVENT_WRITE if each.wants_to_write else 0)
    if wanted[each] != events:
        wanted[each] = events
        selector.modify(each.sock, events, each)


def _tail(author: User, recipient: User, document: bytes) -> bytes:
    """A message's payload behind its snowflake."""
    message = pb.ChatMessage(author=author.to_pb(), user=recipient.to_pb())
    if document:
        message.document.data = document
    else:
        message.textContent = TEXT
    return message.SerializeToString()


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
