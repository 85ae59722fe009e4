"""What a typing process sends when so many subscribe and ten of them type (bench/typing.py)."""

from __future__ import annotations

from bench.curves.curve import Curve, Quantity
from bench.curves.setting import Setting
from bench.typing import SERVICES, Case
from bench.typing import measure as measure_case
from tests.support.nodes import Node

TYPING = 10
"""People who type."""
CHANGES = 1.0
"""Events in an interval, of all of them."""


def curve() -> Curve:
    """What is measured."""
    return Curve(
        "typing",
        "Ten people type, N subscribe, at one typing process",
        "subscribers",
        [
            Quantity("rate", "datagrams sent", "/s", at_most=1.1),
            Quantity("cpu", "typing CPU", "core", at_most=1.15),
            Quantity("each", "CPU per datagram", "s", at_most=0.15),
        ],
    )


def measure(setting: Setting) -> Curve:
    """Each number of subscribers at one process."""
    found = curve()
    duration = 1.0 if setting.is_short else 3.0
    with Node("s0", "127.0.204.1", setting.directory / "typing", SERVICES) as node:
        for subscribers in setting.sizes(10, 30, 100, 300, 1000, 2000):
            case = Case(subscribers, TYPING, CHANGES)
            rounds = measure_case(node, case, duration, setting.rounds)
            found.add(subscribers, [{"rate": r, "cpu": c, "each": c / r} for r, c in rounds])
    return found
