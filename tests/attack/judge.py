"""Whether a node bore an attack: the bounds, and what is beyond them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

QUIET: Final = 0.010
"""Seconds: above this p99 the machine had something else to do before the attack, and the run tells nothing."""
LEAST: Final = 0.020
"""Seconds that the honest p99 may take in any case."""
MOST: Final = 0.050
TIMES: Final = 3.0
"""Beyond LEAST, times the quiet p99."""
STOLEN: Final = 0.01
"""The part of the nodes' processor time beyond which, taken by another virtual machine, a p99 is not the node's."""
REACHED: Final = 0.95
"""The part of its rate that an attacker must reach."""
MEMORY: Final = 300
"""MiB of a process."""
DISK: Final = 256.0
"""MiB of a node's data directory."""
DESCRIPTORS: Final = 0.95
"""The part of its descriptors that a process may have taken."""
LINES: Final = 10
"""Of log, of a node, in a minute."""


@dataclass(frozen=True)
class Found:
    """What one attack did. Seconds, MiB."""

    name: str
    seconds: float
    intended: float
    """Times."""
    offered: int
    taken: int
    quiet_p99: float
    p50: float
    p99: float
    worst: float
    lost: int
    late: int
    wrong: list[str]
    memory: Mapping[str, int]
    disk: float
    descriptors: float
    lines: int
    events: str
    grown: Mapping[str, float]
    """How much each counter grew in which it should be seen."""
    needed: Mapping[str, float]
    """How much it had to, at least."""
    faults: list[str] = field(default_factory=list)
    """What else was seen: of the attacker, and of the nodes when all was over."""
    cpu: float = 0.0
    """The part of its processor that the attacker took."""
    answers: Mapping[str, int] = field(default_factory=dict)
    """What the node answered the attacker, in a word, and how often."""
    stolen: float = 0.0
    """Seconds of the attack in which the nodes' processors were another virtual machine's."""


@dataclass(frozen=True)
class Verdict:
    """`void`: why it tells nothing. `failed`: which bounds did not hold."""

    found: Found
    void: list[str]
    failed: list[str]

    @property
    def is_only_slow(self) -> bool:
        """Whether it failed, and nothing but the honest p99 is beyond its bound."""
        return self.word == "FAILED" and self.failed == list(_slow(self.found))

    @property
    def word(self) -> str:
        """In one."""
        return "void" if self.void else "FAILED" if self.failed else "passed"


def bound(quiet_p99: float) -> float:
    """What the honest p99 may be while the attack goes on."""
    return max(LEAST, min(TIMES * quiet_p99, MOST))


def judge(found: Found) -> Verdict:
    """All of it."""
    return Verdict(found, list(_void(found)), list(_failed(found)))


def _void(found: Found) -> Iterable[str]:
    if not found.quiet_p99 <= QUIET:
        yield f"quiet p99 {found.quiet_p99 * 1000:.1f} ms"
    is_only_slow = found.p99 > bound(found.quiet_p99) and not found.lost and not found.late
    if is_only_slow and found.stolen > STOLEN * found.seconds:
        yield f"another machine had the nodes' processors for {milliseconds(found.stolen)}"
    if found.offered < REACHED * found.intended:
        yield f"the attacker reached {found.offered / found.intended:.0%} of its rate"


def _slow(found: Found) -> Iterable[str]:
    if not found.p99 <= bound(found.quiet_p99):
        yield f"p99 {milliseconds(found.p99)}, {milliseconds(bound(found.quiet_p99))} allowed"


def _failed(found: Found) -> Iterable[str]:
    yield from _slow(found)
    if found.lost:
        yield f"{found.lost} lost"
    if found.late:
        yield f"{found.late} late"
    if found.wrong and not found.lost and not found.late:
        yield found.wrong[0][:120]
    yield from _used(found)
    if not any(0 < growth >= found.needed[name] for name, growth in found.grown.items()):
        yield "in no metric"
    yield from found.faults


def _used(found: Found) -> Iterable[str]:
    """What was used beyond its bound."""
    for process, memory in found.memory.items():
        if memory >= MEMORY:
            yield f"{process} {memory} MiB"
    if found.disk > DISK:
        yield f"disk {found.disk:.0f} MiB"
    if found.descriptors > DESCRIPTORS:
        yield f"{found.descriptors:.0%} of the descriptors"
    if found.lines > LINES * math.ceil(found.seconds / 60.0):
        yield f"{found.lines} lines of log ({found.events})"


def milliseconds(seconds: float) -> str:
    """For people."""
    return "never" if math.isinf(seconds) else f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"
