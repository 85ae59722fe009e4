"""Many clients that do little, as raw sockets in a process of their own."""

from __future__ import annotations

import multiprocessing
import random
import resource
import selectors
import socket
import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Final, NamedTuple, Self

from parley.shared.addresses import User
from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import FrameReader, encode_frame
from parley.shared.wire.messages import encode, pb

PORT: Final = 6666
TEXT: Final = "x" * 100
READ: Final = 64 * 1024
PER_ADDRESS: Final = 20_000
"""Links from one loopback address: it has some 28,000 ports."""
AT_ONCE: Final = 200
"""Links that are made together: fewer than a listener's backlog."""
TURN: Final = 0.02
"""Seconds between two looks at what is to be sent."""


class Done(NamedTuple):
    """What the crowd did: frames received by name, and its own share of a core."""

    frames: Counter[str]
    share: float


class Crowd:
    """Users `u0`, `u1`, … of one server, each with one link; a context manager."""

    def __init__(self, address: str, server_id: str) -> None:
        self._address, self._server_id = address, server_id

    def __enter__(self) -> Self:
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self._pool.submit(_prepare).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def grow(self, count: int) -> float:
        """Connect until there are so many; the seconds that it took."""
        return self._pool.submit(_grow, self._address, self._server_id, count).result()

    def leave(self) -> float:
        """Have all hang up; the seconds until the server has closed each link."""
        return self._pool.submit(_leave).result()

    def rest(self, seconds: float, per_second: float = 0.0) -> Future[Done]:
        """Answer what comes, for so many seconds; send so many messages a second, from anyone to anyone."""
        return self._pool.submit(_rest, seconds, per_second)


# In the process of the crowd ------------------------------------------------------------------------


class Client:
    """One link: answers PING, acknowledges messages."""

    def __init__(self, address: str, source: str, user: User) -> None:
        self.user = user
        self.is_connected = False
        self._reader = FrameReader(1 << 20)
        self.sock = socket.create_connection((address, PORT), source_address=(source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(encode("CONNECT_CLIENT", pb.ConnectClient(user=user.to_pb(), terms=terms())))
        self.sock.setblocking(False)

    def read(self, frames: Counter[str]) -> None:
        """Take and answer what has come."""
        data = self.sock.recv(READ)
        if not data:
            raise ConnectionError(f"the link of {self.user} was closed")
        answers = b""
        for frame in self._reader.feed(data):
            frames[frame.name] += 1
            if frame.name == "PING":
                answers += encode_frame("PONG")
            elif frame.name == "CONNECTED":
                self.is_connected = True
            elif frame.name == "MESSAGE":
                snowflake = pb.ChatMessage.FromString(frame.payload).messageSnowflake
                answers += encode("MESSAGE_ACK", _delivered(snowflake))
        if answers:
            self.sock.sendall(answers)

    def write(self, snowflake: int, to: User) -> None:
        """Send a message."""
        message = pb.ChatMessage(
            messageSnowflake=snowflake, author=self.user.to_pb(), user=to.to_pb(), textContent=TEXT
        )
        self.sock.sendall(encode("MESSAGE", message))


def _delivered(snowflake: int) -> pb.ChatMessageResponse:
    status = pb.ChatMessageResponse.DeliveryStatus(status=pb.ChatMessageResponse.DeliveryStatus.DELIVERED)
    return pb.ChatMessageResponse(messageSnowflake=snowflake, statuses=[status])


_clients: list[Client] = []
_selector: selectors.BaseSelector


def _prepare() -> None:
    global _selector  # noqa: PLW0603 - what this process is for
    _selector = selectors.DefaultSelector()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _grow(address: str, server_id: str, count: int) -> float:
    began = time.perf_counter()
    frames: Counter[str] = Counter()
    while len(_clients) < count:
        new = []
        for number in range(len(_clients), min(len(_clients) + AT_ONCE, count)):
            source = f"127.0.206.{101 + number // PER_ADDRESS}"
            client = Client(address, source, User(f"u{number}", server_id))
            _selector.register(client.sock, selectors.EVENT_READ, client)
            _clients.append(client)
            new.append(client)
        while not all(client.is_connected for client in new):
            _turn(frames, 1.0)
    return time.perf_counter() - began


def _rest(seconds: float, per_second: float) -> Done:
    began, cpu = time.perf_counter(), time.process_time()
    frames: Counter[str] = Counter()
    sent, first = 0, time.time_ns() // 1_000_000 << 22
    while (passed := time.perf_counter() - began) < seconds:
        while sent < passed * per_second:
            random.choice(_clients).write(first + sent, random.choice(_clients).user)
            sent += 1
        _turn(frames, min(TURN if per_second else 1.0, max(seconds - passed, 0.0)))
    return Done(frames, (time.process_time() - cpu) / (time.perf_counter() - began))


def _turn(frames: Counter[str], timeout: float) -> None:
    for key, _ in _selector.select(timeout):
        key.data.read(frames)


def _leave() -> float:
    """Hang up, and wait until the other side has closed each link: it knows by then; the seconds that it took."""
    began = time.perf_counter()
    for client in _clients:
        client.sock.setblocking(True)
        client.sock.sendall(encode("HANGUP", pb.HangUp(reason=pb.HangUp.EXIT)))
    for client in _clients:
        while client.sock.recv(READ):
            pass
        client.sock.close()
    return time.perf_counter() - began
