"""What is done to whom and when, drawn from a seed. Pure: the same seed and length give the same faults and moves.

What follows from them is not the same: processes, networks and disks keep their own time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

NODES: Final = ("alpha", "beta", "gamma")
CHAT: Final = "chat"
SERVICES: Final = {CHAT: 6, "discovery": 2, "typing": 1, "location": 1}
"""Each process of a node, and how often it is hit."""
KINDS: Final = {
    "kill": 26,
    "down": 10,
    "stop": 16,
    "pause": 10,
    "cut": 14,
    "reset": 10,
    "restart": 4,
    "disk": 8,
    "clock": 8,
    "epoch": 4,
    "mtu": 8,
    "line": 8,
    "dns": 6,
}
"""Each kind of fault, and how often it is drawn.

kill: SIGKILL inside of the container; the engine starts it again. down: `docker kill`, and `docker start` later.
stop: SIGSTOP, SIGCONT. pause: `docker pause` of a process or a whole node. cut: `docker network disconnect` of the
same. reset: every TCP connection of a process is destroyed. restart: the processes of two or all nodes are killed
together and started again. disk: a node's disk is full. clock: a node's clock is stepped. epoch: a node is started
again in 1970, and its clock set to the present. mtu: large packets are lost on their way. line: every few seconds
all packets are, or every connection is destroyed. dns: nothing answers for names, when all connections
are destroyed.
"""
LONGEST_STOP: Final = 20.0
LONGEST_HOLE: Final = 40.0
"""Seconds of an MTU hole: a link dies of silence after ten, and the first that fits may be the third."""
DISK: Final = 5.0
BESIDES: Final = frozenset({"disk", "clock"})
"""What is done to a node whatever else is done to its processes."""
TAKES: Final = 2.0
"""Seconds that a fault takes beside its own; about."""
TRIES: Final = 10
HOURS: Final = 6
"""A clock is at most so far from the true one, but in 1970."""
SIZES: Final = (1400, 1280, 600)
"""Bytes of the largest packet that passes a hole: a tunnel's, the least of IPv6, and the least that is of use."""

Target = tuple[str, str]
"""(serverId, service)"""


@dataclass(frozen=True)
class Fault:
    """One fault. `at`, `seconds`: when it begins, after the beginning, and how long it lasts."""

    number: int
    at: float
    kind: str
    targets: tuple[Target, ...]
    seconds: float = 0.0
    offset: float = 0.0
    """Seconds by which the node's clock is wrong from then on; of a clock's step alone."""
    size: int = 0
    """Bytes of the largest packet that passes; of an MTU hole alone."""
    pause: float = 0.0
    """Seconds between two cuts of the line; of such a line alone."""
    cut: float = 0.0
    """Seconds of each cut; 0: connections are destroyed."""

    def __str__(self) -> str:
        told = f"#{self.number} {self.kind} {describe(self.targets)}"
        if self.kind == "clock":
            return f"{told} to {self.offset:+.0f} s"
        if self.kind == "mtu":
            told += f" of {self.size} bytes"
        if self.kind == "line":
            told += f" {f'silent for {self.cut:.1f} s' if self.cut else 'reset'} every {self.pause:.1f} s"
        return f"{told} for {self.seconds:.1f} s" if self.seconds else told


def describe(targets: Sequence[Target]) -> str:
    """Name processes shortly: alpha.chat, or alpha.* for a whole node."""
    found: dict[str, list[str]] = {}
    for node, service in targets:
        found.setdefault(node, []).append(service)
    return " ".join(
        f"{node}.*" if set(services) == set(SERVICES) else f"{node}.{'+'.join(services)}"
        for node, services in found.items()
    )


def draw_faults(seed: int, length: float, per_minute: float, kinds: Sequence[str] = ()) -> list[Fault]:
    """Faults for so many seconds. Each kind comes once before any is drawn by chance; none outlasts the end."""
    random = Random(f"faults {seed}")
    gap = 60.0 / per_minute
    chosen = _kinds(random, kinds or tuple(KINDS))
    faults: list[Fault] = []
    busy: dict[Target, float] = {}
    at = gap * random.uniform(0.5, 1.5)
    while at < length - 1.0:
        fault = _draw_free(random, len(faults) + 1, at, next(chosen), length - at, busy)
        faults.append(fault)
        if fault.kind not in BESIDES:
            busy.update(dict.fromkeys(fault.targets, at + fault.seconds + TAKES))
        at += gap * random.uniform(0.4, 1.5)
    return faults


def _draw_free(
    random: Random, number: int, at: float, kind: str, left: float, busy: Mapping[Target, float]
) -> Fault:
    """A fault of processes that nothing is done to at that time, if that is easily found; else it has to wait."""
    for _ in range(TRIES):
        fault = _draw(random, number, at, kind, left)
        if kind in BESIDES or all(busy.get(target, 0.0) <= at for target in fault.targets):
            break
    return fault


def _kinds(random: Random, kinds: Sequence[str]) -> Iterator[str]:
    first = list(kinds)
    random.shuffle(first)
    yield from first
    while True:
        yield from random.choices(kinds, [KINDS[kind] for kind in kinds])


def _draw(random: Random, number: int, at: float, kind: str, left: float) -> Fault:
    """One fault of a kind. Short ones come more often than long ones."""
    node = random.choice(NODES)
    process = ((node, random.choices(list(SERVICES), list(SERVICES.values()))[0]),)
    whole = tuple((node, service) for service in SERVICES)
    place = whole if random.random() < 0.3 else process
    skewed = random.random() ** 2
    offset = float(random.choice((-1, 1)) * random.choice((1, 30, 600, random.randint(3600, HOURS * 3600))))
    if kind == "restart":
        nodes = random.sample(NODES, random.choice((2, 3)))
        services = tuple(SERVICES) if random.random() < 0.5 else (CHAT,)
        return Fault(number, at, kind, tuple((each, service) for each in sorted(nodes) for service in services))
    if kind == "disk":
        return Fault(number, at, kind, ((node, CHAT),), min(DISK, left))
    if kind == "clock":
        return Fault(number, at, kind, whole, offset=offset)
    if kind == "mtu":
        nodes = sorted(random.sample(NODES, random.choice((1, 2))))
        seconds = min(5.0 + (LONGEST_HOLE - 5.0) * skewed, left)
        return Fault(number, at, kind, tuple((each, CHAT) for each in nodes), seconds, size=random.choice(SIZES))
    if kind == "line":
        cut = random.choice((0.0, random.uniform(0.5, 2.5)))
        seconds = min(8.0 + (LONGEST_STOP - 8.0) * skewed, left)
        return Fault(number, at, kind, place, seconds, pause=random.uniform(1.5, 4.0), cut=cut)
    targets, shortest, longest = {
        "stop": (process, 0.5, LONGEST_STOP),
        "pause": (place, 0.5, LONGEST_STOP),
        "cut": (place, 1.0, 15.0),
        "down": (process, 0.5, 5.0),
        "epoch": (whole, 2.0, 12.0),
        "dns": (place, 3.0, LONGEST_STOP),
    }.get(kind, (process, 0.0, 0.0))
    return Fault(number, at, kind, targets, min(shortest + (longest - shortest) * skewed, left))


@dataclass(frozen=True)
class Move:
    """What one client object of a person does.

    leave: it hangs up and comes back after `seconds`. vanish: the same without a word. abort: its connection
    breaks; it dials again by itself. come: a new client object is there for `seconds` and then gone for ever;
    crash: the same, and it goes without a word.
    """

    at: float
    action: str
    seconds: float


def draw_moves(seed: int, person: str, length: float, *, second: bool) -> list[Move]:
    """The moves of a person's first client object, or of the second ones that come and go beside it; in order."""
    random = Random(f"moves {seed} {person} {second}")
    moves: list[Move] = []
    at = random.uniform(1.0, 20.0)
    while at < length - 1.0:
        action = random.choice(("come", "crash") if second else ("leave", "leave", "vanish", "abort"))
        seconds = 0.0 if action == "abort" else 1.0 + 19.0 * random.random() ** 2
        moves.append(Move(at, action, min(seconds, length - at)))
        at += seconds + random.uniform(5.0, 40.0 if second else 20.0)
    return moves
