"""How a federation's cost grows with its nodes: all start at once, mesh, and rest."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime

from bench.cost import cpu, pids
from bench.curves.curve import Curve, Quantity
from bench.curves.setting import Setting
from tests.support.nodes import SERVICES, Node, wait_linked

LONG = 180.0
"""Seconds that starting may take."""
SETTLING = 3.0
"""Seconds from the mesh until it counts as resting."""
RESTING = 6.0
"""Seconds for which it is watched at a time: in them each node asks the network once, and pings what is silent."""
LEAST = 0.001
"""Seconds: the logs' times are no finer, and the last link may be there before the last process is ready."""


def curve() -> Curve:
    """What is measured."""
    return Curve(
        "nodes",
        "A federation of N nodes, started at once",
        "nodes",
        [
            Quantity("mesh", "last process ready → full mesh", "s"),
            Quantity("start_cpu", "CPU per node until meshed", "s", at_most=0.6),
            Quantity("rest_cpu", "CPU per node at rest", "s/min", at_most=1.15),
        ],
    )


def measure(setting: Setting) -> Curve:
    """Each size, several times from the start, and several times at rest."""
    found = curve()
    for count in setting.sizes(2, 5, 10, 20, 30):
        found.add(count, [each for i in range(setting.rounds) for each in _round(setting, count, i)])
    return found


def _round(setting: Setting, count: int, number: int) -> list[dict[str, float]]:
    """From the start to the mesh; the first time also at rest, as often as there are rounds."""
    directory = setting.directory / f"nodes-{count}-{number}"
    nodes = [Node(f"node{i:02}", f"127.0.206.{i + 1}", directory) for i in range(count)]
    with ExitStack() as stack:
        for node in nodes:
            stack.push(node)
            for service in SERVICES:
                node.start(service)
        for node in nodes:
            node.wait_ready(timeout=LONG)
        wait_linked(nodes, timeout=LONG)
        processes = pids(nodes)
        started = cpu(processes)
        mesh = _last(nodes, SERVICES[1:], "peer_connected") - _last(nodes, SERVICES[:1], "process_registered")
        found = [{"mesh": max(mesh, LEAST), "start_cpu": started / count}]
        if number == 0:
            time.sleep(1.0 if setting.is_short else SETTLING)
            seconds = 1.0 if setting.is_short else RESTING
            rests = [_cpu_in(seconds, processes) for _ in range(setting.rounds)]
            found += [{"rest_cpu": 60 * rest / count} for rest in rests]
    return found


def _cpu_in(seconds: float, processes: Sequence[int]) -> float:
    """Seconds of CPU that they use per second, over so many seconds from now."""
    used, began = cpu(processes), time.monotonic()
    time.sleep(seconds)
    return (cpu(processes) - used) / (time.monotonic() - began)


def _last(nodes: Sequence[Node], services: Sequence[str], event: str) -> float:
    """When (Unix seconds) the last of these was logged."""
    times = (line["timestamp"] for node in nodes for service in services for line in node.logged(service, event))
    return max(datetime.fromisoformat(each).timestamp() for each in times)
