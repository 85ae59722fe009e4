"""The attacker's process: has one processor at most, keeps to the rate that it states, and tells whether it did."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from tests.attack.attack import Attack
from tests.attack.catalogue import make

STEP: Final = 0.02
"""Seconds whose due is done at once, before connections are served."""
BREATH: Final = 0.001


@dataclass(frozen=True)
class Done:
    """What an attack did. `offered` and `taken`: times; what was not taken the node held back, or refused."""

    seconds: float
    offered: int
    taken: int
    cpu: float
    """The part of one processor that the attacker took."""
    faults: list[str] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    """What the node answered, in a word, and how often."""


def serve(pipe: Connection, name: str, data: Path) -> None:
    """The process: prepare; on each `seconds` attack and tell; end when told, or when nobody is there any more."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    attack = make(name)
    attack.data = data
    try:
        attack.prepare()
        pipe.send("prepared")
        while (seconds := _wait(pipe, attack)) > 0:
            pipe.send(drive(attack, seconds))
    finally:
        attack.close()


def _wait(pipe: Connection, attack: Attack) -> float:
    """Keep the connections alive until it is said for how long to attack; 0: no more."""
    while not pipe.poll():
        attack.poll.turn(0.02)
    try:
        return float(pipe.recv())
    except EOFError:
        return 0.0


def drive(attack: Attack, seconds: float) -> Done:
    """Attack for so long, at the attack's rate and no faster."""
    began, cpu = time.monotonic(), time.process_time()
    offered, most = 0, max(int(attack.rate * STEP), attack.per_block)
    while (now := time.monotonic() - began) < seconds:
        due = int(now * attack.rate) - offered
        offered += attack.act(min(due, most)) if due > 0 else 0
        attack.poll.turn(0.0 if due > most else BREATH)
    lasted = time.monotonic() - began
    taken, answers = attack.taken, dict(attack.answers)
    return Done(lasted, offered, taken, (time.process_time() - cpu) / lasted, attack.faults(), answers)
