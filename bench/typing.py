"""How quick typing is across servers, and what it costs: `python -m bench.typing [latency|curve]`.

latency: 1,000 people at 10 servers type at once, an event each 3 s as a client sends them, to everyone, which is
the most that there can be. How long from a person's datagram to that of a person at another server, by one clock.
15 people look at what they get; the others' datagrams are sent to them as well, and left unread.

curve: the datagrams that one server sends, for 10 to 2,000 subscribers and for several numbers of changes per
`fanout_interval` and of people who type. Each change is told in the next list, and again each 0.25 s for 1.7 s;
that somebody's typing expired is a change, too.

Real processes (discovery and typing of each server) on loopback addresses, in a network namespace of their own
where there can be one (isolation.py). The load is made by one more process. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, NamedTuple

from bench.cost import cpu, pids
from bench.isolation import alone
from parley.shared.addresses import User
from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.support.nodes import Node, wait_linked, wait_until

SERVICES = ("discovery", "typing")
TCP_PORT, UDP_PORT = 7777, 7778
PEOPLE_ADDRESS = "127.0.204.100"
EVENT_INTERVAL = 3.0
"""Seconds between two events of somebody who types on."""
FANOUT_INTERVAL = 0.05
SO_TIMESTAMPNS = 35
"""Has the kernel say when a datagram came (socket(7)): how soon this program reads it is no part of the matter."""
LOOKING = 15
MEDIAN, P99 = 0.060, 0.120
"""Seconds: the targets."""


class Person:
    """A user's client, as small as it can be: a link, and a socket for datagrams."""

    terms: ClassVar[pb.Terms | None] = terms()
    """A Parley's, or none: an existing client's."""

    def __init__(self, user: User, server: str) -> None:
        self.user = user
        self._to = (server, UDP_PORT)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((PEOPLE_ADDRESS, 0))
        self.udp.setblocking(False)
        self.udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.tcp = socket.create_connection((server, TCP_PORT), source_address=(PEOPLE_ADDRESS, 0))
        hello = pb.ConnectClient(user=user.to_pb(), udpPort=self.udp.getsockname()[1], terms=self.terms)
        self.tcp.sendall(encode("CONNECT_CLIENT", hello))
        self.tcp.recv(4096)
        self.newest: dict[str, float] = {}

    def type(self) -> None:
        """Send an event; its timestamp is when."""
        event = pb.TypingEvent(user=self.user.to_pb(), timestamp=time.time())
        self.udp.sendto(encode("TYPING_EVENT", event), self._to)

    def look(self, seen: list[float]) -> None:
        """Read what came; note how old what is new and of another server is."""
        while True:
            try:
                data, ancillary, *_ = self.udp.recvmsg(2048, 64)
            except BlockingIOError:
                return
            seconds, nanoseconds = struct.unpack("ll", ancillary[0][2])
            now = seconds + nanoseconds / 1e9
            for event in pb.TypingEvents.FromString(read_datagram(data).payload).typing_events:
                name = event.user.userId
                if self.newest.get(name, 0.0) < event.timestamp:
                    self.newest[name] = event.timestamp
                    if event.user.serverId != self.user.server_id:
                        seen.append(now - event.timestamp)

    def close(self) -> None:
        """Leave."""
        self.tcp.close()
        self.udp.close()


def run(people: Sequence[Person], looking: Sequence[Person], rate: float, duration: float) -> list[float]:
    """Have `people` type in turn, `rate` events a second in all; return the ages of what was seen."""
    seen: list[float] = []
    poll = select.epoll()
    by_fd = {person.udp.fileno(): person for person in looking}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    turn = random.Random(1).sample(list(people), len(people)) if people else []
    began, count = time.monotonic(), 0
    while (now := time.monotonic() - began) < duration:
        while turn and count <= now * rate:
            turn[count % len(turn)].type()
            count += 1
        until_next = (count / rate if turn else duration) - (time.monotonic() - began)
        for fd, _ in poll.poll(max(until_next, 0.0)):
            by_fd[fd].look(seen)
    poll.close()
    return seen


def latency(directory: Path, servers: int, count: int, duration: float) -> bool:
    """1,000 people at 10 servers."""
    with ExitStack() as stack:
        nodes = [Node(f"s{i}", f"127.0.204.{i + 1}", directory, SERVICES) for i in range(servers)]
        for node in nodes:
            stack.enter_context(node)
        wait_linked(nodes, ["typing"], timeout=60.0)
        people = []
        for i in range(count):
            node = nodes[i % servers]
            people.append(Person(User(f"u{i}", node.server_id), node.address))
            stack.callback(people[-1].close)
        looking = random.Random(2).sample(people, LOOKING)
        run(people, looking, count / EVENT_INTERVAL, EVENT_INTERVAL)  # until everyone types
        before, used = sent(nodes), processor_time(nodes)
        began = time.monotonic()
        seen = sorted(run(people, looking, count / EVENT_INTERVAL, duration))
        took = time.monotonic() - began
        rate, busy = (sent(nodes) - before) / took, (processor_time(nodes) - used) / took
    median, p90, p99 = (seen[int(len(seen) * share)] for share in (0.5, 0.9, 0.99))
    load = Path("/proc/loadavg").read_text(encoding="ascii").split()[0]
    print(f"load average of this machine: {load}, with {os.cpu_count()} cores")
    print(f"{count} people at {servers} servers type, {count / EVENT_INTERVAL:.0f} events a second, {took:.0f} s:")
    print(f"  from datagram to datagram, across servers: {len(seen)} seen by {LOOKING} people")
    print(f"  median {1000 * median:.1f} ms (target {1000 * MEDIAN:.0f})  p90 {1000 * p90:.1f} ms")
    print(f"  p99 {1000 * p99:.1f} ms (target {1000 * P99:.0f})  max {1000 * seen[-1]:.1f} ms")
    wanted = LOOKING * took * count / EVENT_INTERVAL * (servers - 1) / servers
    print(f"  seen of what was to be seen: {100 * len(seen) / wanted:.1f} %")
    print(f"  each server: {rate / servers:.0f} datagrams a second, {100 * busy / servers:.0f} % of a core")
    return median < MEDIAN and p99 < P99


def sent(nodes: Sequence[Node]) -> float:
    """Datagrams that the servers have sent."""
    return sum(n.metrics("typing").value("parley_datagrams_total", direction="sent") for n in nodes)


def processor_time(nodes: Sequence[Node]) -> float:
    """Seconds that the typing processes have computed."""
    return cpu(pids(nodes, "typing"))


class Case(NamedTuple):
    """How many subscribe, how many of them type, and how many of those make an event in an interval."""

    subscribers: int
    typing: int
    changes: float


CASES = [
    *(Case(subscribers, 10, 1.0) for subscribers in (10, 30, 100, 300, 1000, 2000)),
    *(Case(500, typing, 1.0) for typing in (10, 50, 120)),
    *(Case(500, 120, changes) for changes in (0.1, 0.3, 1.0, 2.0)),
]


def curve(directory: Path, duration: float) -> bool:
    """What one server sends."""
    print("subscribers  typing  changes/interval  datagrams/s  per subscriber/s  % of a core")
    per_subscriber: dict[Case, float] = {}
    with Node("s0", "127.0.204.1", directory, SERVICES) as node:
        for case in CASES:
            ((rate, busy),) = measure(node, case, duration)
            per_subscriber[case] = rate / case.subscribers
            print(
                f"{case.subscribers:11}  {case.typing:6}  {case.changes:16.1f}  {rate:11.0f}"
                f"  {rate / case.subscribers:16.1f}  {100 * busy:11.0f}"
            )
    flat = all_near([per_subscriber[c] for c in CASES if c[1:] == (10, 1.0)], 1.3)
    typing = all_near([per_subscriber[c] for c in CASES if c.subscribers == 500 and c.changes == 1.0], 2.0)
    print(f"datagrams per subscriber: the same for 10 as for 2,000 subscribers: {flat}")
    print(f"… and no more than twice as many where 12 times as many people type in turn: {typing}")
    return flat and typing


def all_near(values: Sequence[float], factor: float) -> bool:
    """Whether the greatest is no more than so many times the least."""
    return max(values) <= factor * min(values)


def measure(node: Node, case: Case, duration: float, rounds: int = 1) -> list[tuple[float, float]]:
    """Datagrams a second, and the share of a core that they took, in each round."""
    measured = []
    with ExitStack() as stack:
        people = []
        for i in range(case.subscribers):
            people.append(Person(User(f"u{i}", node.server_id), node.address))
            stack.callback(people[-1].close)
        typing, rate = people[: case.typing], case.changes / FANOUT_INTERVAL
        run(typing, [], rate, 2.0)  # what the beginning costs is no part of it
        for _ in range(rounds):
            before, used, began = sent([node]), processor_time([node]), time.monotonic()
            run(typing, [], rate, duration)
            took = time.monotonic() - began
            measured.append(((sent([node]) - before) / took, (processor_time([node]) - used) / took))
    wait_until(lambda: node.status("typing")["subscribers"] == 0, what="everyone has left")
    wait_until(lambda: node.status("typing")["typing"] == 0, what="nobody types any more")
    return measured


def main() -> None:
    """Run what is named, or both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["latency", "curve"])
    parser.add_argument("--servers", type=int, default=10)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--plain", action="store_true", help="existing clients instead of Parley's")
    arguments = parser.parse_args()
    if arguments.plain:
        Person.terms = None
    alone()
    parts: list[Callable[[Path], bool]] = []
    if arguments.what in (None, "latency"):
        parts.append(lambda d: latency(d, arguments.servers, arguments.people, arguments.seconds))
    if arguments.what in (None, "curve"):
        parts.append(lambda d: curve(d, arguments.seconds / 2))
    with tempfile.TemporaryDirectory() as name:
        kept = [part(Path(name)) for part in parts]
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
