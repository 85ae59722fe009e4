"""What nodes at rest tell each other: datagrams, counted by the kernel and by the processes, and CPU.

Discovery and one feature of each node: without any a server has nothing to announce, and with three it announces
them in the same datagram. The kernel counts for the whole network namespace what was delivered to a socket; a
broadcast counts once for each node that hears it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.idle.processes import Row, cpu_in, verdict
from tests.support.nodes import Node, wait_linked

SERVICES: Final = ("discovery", "typing")
LIMIT: Final = 10.0
"""Datagrams per second and node, sent and received: the target for 30 nodes."""
TARGET: Final = 30


_HEADING: Final = (
    " nodes   sent/s  received/s  kernel: out/s    in/s  requests/s  announced/s  CPU ms/minute: discovery  typing"
)


def datagrams(directory: Path, counts: Sequence[int], seconds: float, rows: list[Row]) -> bool:
    """For each number of nodes; adds the figures to `rows`. Whether the target is kept."""
    print(f"nodes at rest, discovery and typing, over {seconds:g} s; per node")
    print(_HEADING)
    kept = True
    with ExitStack() as stack:
        nodes: list[Node] = []
        for count in counts:
            for i in range(len(nodes), count):
                nodes.append(Node(f"node{i:02}", f"127.0.207.{i + 1}", directory, SERVICES))
                stack.enter_context(nodes[-1])
            wait_linked(nodes, SERVICES[1:], 60.0)
            rows.append({"nodes": count, "per_second_and_node": (both := _measure(nodes, seconds))})
            if count == TARGET:
                words = f"{TARGET} nodes, datagrams per second and node"
                kept &= verdict(words, f"{both:.2f}", kept=both < LIMIT)
    return kept


def _measure(nodes: Sequence[Node], seconds: float) -> float:
    """Prints what they sent and received; datagrams per second and node."""
    before, kernel, began = [_counts(node) for node in nodes], _kernel(), time.perf_counter()
    shares = cpu_in([node.pid(service) for node in nodes for service in SERVICES], seconds)
    passed, after, delivered = time.perf_counter() - began, [_counts(node) for node in nodes], _kernel()
    scale = passed * len(nodes)
    sent, received, asked, announced = (
        sum(now[i] - then[i] for now, then in zip(after, before, strict=True)) / scale for i in range(4)
    )
    came, went = ((now - then) / scale for now, then in zip(delivered, kernel, strict=True))
    cpu = [sum(shares[node.pid(service)] for node in nodes) / len(nodes) * 60_000 for service in SERVICES]
    print(f"{len(nodes):6} {sent:8.2f} {received:11.2f} {went:14.2f} {came:7.2f} {asked:11.2f}", end=" ")
    print(f"{announced:12.2f} {cpu[0]:25.1f} {cpu[1]:7.1f}", flush=True)
    return sent + received


def _counts(node: Node) -> tuple[float, float, float, float]:
    """Datagrams sent and received, requests sent, announcements sent."""
    samples = node.metrics("discovery")
    return (
        samples.value("parley_datagrams_total", direction="sent"),
        samples.value("parley_datagrams_total", direction="received"),
        samples.value("parley_discovery_requests_total", direction="sent"),
        samples.value("parley_announcements_total", direction="sent"),
    )


def _kernel() -> tuple[int, int]:
    """Datagrams in and out of this network namespace since it began (/proc/net/snmp)."""
    names, values = [
        line.split()[1:]
        for line in Path("/proc/net/snmp").read_text(encoding="ascii").splitlines()
        if line.startswith("Udp:")
    ]
    counts = dict(zip(names, map(int, values), strict=True))
    return counts["InDatagrams"], counts["OutDatagrams"]
