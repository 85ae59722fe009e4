"""Members of a group, in the loading process (bench/load.py): they join, and each acknowledges what it is sent."""

from __future__ import annotations

import itertools
import select
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from bench.curves.clients import ACKNOWLEDGED, Cost, Stopwatch, Where
from bench.load import PATIENCE, READ, Connection, leave, serve, varint
from parley.shared.addresses import Group, User
from parley.shared.wire.framing import FrameReader, encode_frame
from parley.shared.wire.messages import encode, pb

LEAST = 3
"""Messages to a group: the first, and two that count."""
JOINING = 100
"""Members who join at a time: each is told all others, and waits for it no longer than a server does."""
EVERY = 0.005
"""Seconds between two PINGs."""


class Joined(Connection):
    """A member's link: it asks to be one."""

    def __init__(self, address: str, user: User, group: Group) -> None:
        super().__init__(address, user)
        self.is_member = False
        self._unanswered = 2
        self.out += encode("JOIN_GROUP", pb.JoinGroup(group=group.to_pb(), user=user.to_pb()))
        self.out += encode("QUERY_GROUP_MEMBERS", pb.QueryGroupMembers(group=group.to_pb()))

    @property
    def is_done(self) -> bool:
        """Whether it is a member, and nothing more will come."""
        return super().is_done and not self._unanswered

    def handle(self, name: str, payload: bytes) -> None:
        """Hear whether it is one."""
        if name == "GROUP_MEMBERS":
            self._unanswered -= 1
            self.is_member = pb.GroupMembers.FromString(payload).result == pb.GroupMembers.SUCCESS


class Bystander(Connection):
    """Somebody who is in no group, and pings: one PING unanswered at a time, and EVERY seconds between them."""

    def __init__(self, address: str, user: User) -> None:
        super().__init__(address, user)
        self.pongs: list[Pong] = []
        self._sent: float | None = None

    def handle(self, name: str, payload: bytes) -> None:  # noqa: ARG002 - a PONG has none
        """Take the answer's time."""
        if name == "PONG" and self._sent is not None:
            self.pongs.append(Pong(self._sent, time.perf_counter() - self._sent))
            self._sent = None

    def ping_until(self, is_over: Callable[[], bool]) -> None:
        """Ask again and again."""
        while not is_over() or self._sent is not None:
            if self._sent is None:
                self._sent = time.perf_counter()
                self.sock.send(encode_frame("PING"))
            if select.select([self.sock], [], [], 1.0)[0]:
                self.read()
                time.sleep(EVERY)


class Pong(NamedTuple):
    """When a PING was sent, and the seconds until its PONG."""

    sent: float
    took: float

    @property
    def came(self) -> float:
        """When the PONG came."""
        return self.sent + self.took


class FanOut(NamedTuple):
    """What joining cost; for each message the seconds until all had it, its cost until its author knew."""

    joined: Cost
    arrived: list[float]
    told: list[Cost]
    sending: tuple[float, float]
    """From when until when messages were under way, the first left out."""


def fan_out(
    author: Where, members: Sequence[Where], group: str, servers: Sequence[int], *, seconds: float
) -> FanOut:
    """All join, then messages go to the group, one after another, for so many seconds; the first does not count."""
    crew = Group.parse(group)
    first = time.time_ns() // 1_000_000 << 22
    with ExitStack() as stack:
        watch = Stopwatch(servers)
        people = [author, *members]
        links: list[Joined] = []
        for start in range(0, len(people), JOINING):
            some = [Joined(address, User.parse(name), crew) for address, name in people[start : start + JOINING]]
            for each in some:
                stack.callback(leave, each)
            serve(some)
            links += some
        joined = watch.stop()
        assert all(each.is_member for each in links), f"{sum(not e.is_member for e in links)} could not join"
        poll = stack.enter_context(select.epoll())
        for each in links:
            poll.register(each.sock, select.EPOLLIN)
        arrived: list[float] = []
        told: list[Cost] = []
        began = 0.0
        end = time.perf_counter() + seconds
        for i in itertools.count():
            if len(told) >= LEAST and time.perf_counter() > end:
                break
            message = pb.ChatMessage(
                messageSnowflake=first + i,
                author=links[0].user.to_pb(),
                group=crew.to_pb(),
                textContent="x" * 100,
            )
            took, cost = _fan_one(links[0], links[1:], poll, message, servers)
            arrived.append(took)
            told.append(cost)
            began = began or time.perf_counter()
        sending = began, time.perf_counter()
    return FanOut(joined, arrived[1:], told[1:], sending)


def _fan_one(
    author: Connection,
    members: Sequence[Connection],
    poll: select.epoll,
    message: pb.ChatMessage,
    servers: Sequence[int],
) -> tuple[float, Cost]:
    """One message: until all have it, and until its author knows that. Members answer without looking closely."""
    by_fd = {each.sock.fileno(): each.sock for each in members}
    answer = encode_frame("MESSAGE_ACK", b"\x08" + varint(message.messageSnowflake) + ACKNOWLEDGED)
    own, reader = author.sock.fileno(), FrameReader(1 << 24)
    left, told, is_complete, last = len(members), 0, False, 0.0
    watch = Stopwatch(servers)
    began = time.perf_counter()
    author.sock.sendall(encode("MESSAGE", message))
    while left or not is_complete or told < len(members):
        ready = poll.poll(1.0)
        if time.perf_counter() - began > PATIENCE:
            raise TimeoutError(f"{left} of {len(members)} members have no copy; {told} statuses, {is_complete}")
        for fd, _events in ready:
            if fd != own:
                assert by_fd[fd].recv(READ).startswith(b"MESSAGE ")
                last = time.perf_counter()
                by_fd[fd].send(answer)
                left -= 1
            else:
                for frame in reader.feed(author.sock.recv(READ)):
                    ack = pb.ChatMessageResponse.FromString(frame.payload)
                    told += len(ack.statuses)
                    is_complete |= ack.complete
    return last - began, watch.stop()
