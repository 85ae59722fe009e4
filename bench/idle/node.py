"""What a whole node takes that `parley serve` has started and nobody uses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.cost import MIB
from bench.idle.processes import cpu_in, show, verdict
from tests.support.commands import ServedNode
from tests.support.nodes import SERVICES, Node, wait_linked

ADDRESS: Final = "127.0.206.2"
NEIGHBOUR: Final = "127.0.206.3"
MEMORY, SHARE = 120 * MIB, 0.005
"""The targets: bytes (PSS) of the four processes, and their share of a core."""


def node(directory: Path, seconds: float) -> bool:
    """The four processes, and beside them the supervisor's."""
    with ServedNode("alpha", ADDRESS, directory) as served:
        kept = _measure("a node at rest, nobody about", served, seconds)
        with Node("beta", NEIGHBOUR, directory) as beta:
            wait_linked([served, beta])
            kept &= _measure("the same, linked with another node", served, seconds)
    return kept


def _measure(what: str, served: ServedNode, seconds: float) -> bool:
    features = {service: served.pid(service) for service in SERVICES}
    others = {"supervisor": served.command.popen.pid}
    for process in served.command.family():
        if process.pid not in features.values():
            others["watcher"] = process.pid
    shares = cpu_in([*features.values(), *others.values()], seconds)
    print(f"{what}, over {seconds:g} s")
    taken, share = show(features, shares)
    kept = verdict("memory of the four", f"{taken / MIB:.1f} MiB of {MEMORY / MIB:.0f}", kept=taken < MEMORY)
    kept &= verdict("CPU of the four", f"{share:.3%} of a core, of {SHARE:.1%}", kept=share < SHARE)
    print("  beside them:")
    show(others, shares)
    return kept
