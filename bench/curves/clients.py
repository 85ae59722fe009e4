"""What clients do to a server, in the loading process (bench/load.py); what it costs the servers is read there."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from bench.cost import cpu
from bench.load import READ, Author, Connection, Recipient, leave, serve, varint
from parley.shared.addresses import User
from parley.shared.wire.framing import FrameReader, encode_frame
from parley.shared.wire.messages import encode, pb

Where = tuple[str, str]
"""A server's address, and a user's name USER@SERVER."""
ACKNOWLEDGED = b"\x12\x02\x10\x01"
"""A MESSAGE_ACK's payload behind its snowflake: DELIVERED."""


class Cost(NamedTuple):
    """What something took: seconds, and seconds of CPU of the servers and of the loading process."""

    seconds: float
    servers: float
    loading: float


class Stopwatch:
    """Measures a cost from its making on."""

    def __init__(self, servers: Sequence[int]) -> None:
        self._servers = servers
        self._cpu = cpu(servers)
        self._loading = time.process_time()
        self._began = time.perf_counter()

    def stop(self) -> Cost:
        """What has been used."""
        seconds = time.perf_counter() - self._began
        return Cost(seconds, cpu(self._servers) - self._cpu, time.process_time() - self._loading)


# Links ------------------------------------------------------------------------------------------------

_held: list[Connection] = []


def hold(address: str, names: Sequence[str]) -> int:
    """Connect these, and leave them connected; how many links there are now."""
    for start in range(0, len(names), 500):
        some = [Connection(address, User.parse(name)) for name in names[start : start + 500]]
        serve(some)
        _held.extend(some)
    if not all(each.is_connected for each in _held):
        raise ConnectionError(f"{sum(not each.is_connected for each in _held)} links were not admitted")
    return len(_held)


def let_go() -> None:
    """End all that are held."""
    while _held:
        _held.pop().sock.close()


class Connects(NamedTuple):
    """What so many cost who connected and left; `greeting`: seconds from connect() to CONNECTED, the median."""

    cost: Cost
    greeting: float


def connect_and_leave(address: str, names: Sequence[str], total: int, servers: Sequence[int]) -> Connects:
    """Each of these connects, hangs up, waits until the link is closed, and connects again."""
    greetings: list[float] = []
    goodbye = encode("HANGUP", pb.HangUp(reason=pb.HangUp.EXIT))
    users = [User.parse(name) for name in names]
    left = total
    with select.epoll() as poll:
        watch = Stopwatch(servers)
        links: dict[int, Connection] = {}
        for user in users:
            _dial(address, user, links, poll)
        left -= len(users)
        while links:
            for fd, _events in poll.poll():
                link = links[fd]
                try:
                    link.read()
                except ConnectionError:
                    if not link.is_connected:
                        raise
                    del links[fd]
                    link.sock.close()
                    if left > 0:
                        left -= 1
                        _dial(address, link.user, links, poll)
                    continue
                greetings.append(time.perf_counter() - link.began)
                link.sock.sendall(goodbye)
        cost = watch.stop()
    assert len(greetings) == total, (len(greetings), total)
    return Connects(cost, median(greetings))


def _dial(address: str, user: User, links: dict[int, Connection], poll: select.epoll) -> None:
    link = Connection(address, user)
    links[link.sock.fileno()] = link
    poll.register(link.sock, select.EPOLLIN)


# One hop ------------------------------------------------------------------------------------------------


class Sender(Author):
    """An author who begins when told to."""

    def begin(self, total: int) -> None:
        """Send so many more."""
        self._total += total


class Receiver(Recipient):
    """A recipient who is told how many messages will come."""

    def begin(self, total: int) -> None:
        """So many more will come."""
        self._expected += total


Pair = tuple[Where, Where]
"""An author and their recipient."""


class Exchange(NamedTuple):
    """So many messages were delivered and acknowledged, at this cost."""

    messages: int
    cost: Cost


def exchange(
    pairs: Sequence[Pair],
    window: int,
    servers: Sequence[int],
    *,
    rounds: int,
    seconds: float,
    document: bytes = b"",
) -> list[Exchange]:
    """All at once: each author sends to their recipient, `window` messages unanswered at most.

    A round has as many messages as take about so many seconds; the first is short, shows how many those are, and
    does not count.
    """
    authors = [
        Sender(address, User.parse(name), [User.parse(to)], 0, window, document=document)
        for (address, name), (_, to) in pairs
    ]
    recipients = [Receiver(address, User.parse(name), 0) for _, (address, name) in pairs]
    links: list[Sender | Receiver] = [*authors, *recipients]
    done: list[Exchange] = []
    each_sends, total = 2 * window, 0
    try:
        serve(links)
        for _ in range(1 + rounds):
            watch = Stopwatch(servers)
            for each in links:
                each.begin(each_sends)
            serve(links)
            done.append(Exchange(each_sends * len(pairs), watch.stop()))
            total += done[-1].messages
            each_sends = max(each_sends, int(done[0].messages / done[0].cost.seconds * seconds / len(pairs)))
            unanswered, again = sum(a.unanswered for a in authors), sum(r.again for r in recipients)
            assert (unanswered, again) == (0, 0), f"{unanswered} unanswered, {again} again or out of order"
    finally:
        for each in links:
            leave(each)
    assert sum(each.received for each in recipients) == total
    return done


def one_at_a_time(pair: Pair, count: int, document: bytes) -> list[float]:
    """Seconds from a message's sending until all of it is at its recipient; the next goes when it was answered."""
    (here, name), (there, to) = pair
    sender, receiver = Connection(here, User.parse(name)), Connection(there, User.parse(to))
    try:
        serve([sender, receiver])
        for each in (sender, receiver):
            each.sock.settimeout(10.0)
        message = pb.ChatMessage(author=sender.user.to_pb(), user=receiver.user.to_pb())
        message.document.data = document
        tail, first = message.SerializeToString(), time.time_ns() // 1_000_000 << 22
        return [_send_one(sender, receiver, b"\x08" + varint(first + i), tail) for i in range(count)]
    finally:
        leave(sender)
        leave(receiver)


def _send_one(sender: Connection, receiver: Connection, number: bytes, tail: bytes) -> float:
    data = encode_frame("MESSAGE", number + tail)
    began = time.perf_counter()
    sender.sock.sendall(data)
    _await_frame(receiver, "MESSAGE")
    seconds = time.perf_counter() - began
    receiver.sock.sendall(encode_frame("MESSAGE_ACK", number + ACKNOWLEDGED))
    _await_frame(sender, "MESSAGE_ACK")
    return seconds


def _await_frame(link: Connection, name: str) -> None:
    reader = FrameReader(1 << 24)
    while not (frames := reader.feed(link.sock.recv(READ))):
        pass
    assert [frame.name for frame in frames] == [name], frames
