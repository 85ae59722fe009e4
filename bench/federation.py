"""How long starting, linking and meshing take: `python -m bench.federation [start|link|mesh]`.

Real processes on loopback addresses at the default ports, timed by the processes' own logs, so that
looking does not slow what is looked at. Prints each figure's distribution.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import combinations
from pathlib import Path

from tests.support.commands import ServedNode
from tests.support.nodes import SERVICES, Node, wait_linked, wait_until

FEATURES = SERVICES[1:]


def logged_at(node: Node, service: str, event: str, **fields: str) -> float:
    """Unix seconds of the first log line of that event with these fields."""
    for line in node.logged(service, event):
        if all(line.get(key) == value for key, value in fields.items()):
            return datetime.fromisoformat(line["timestamp"]).timestamp()
    raise LookupError(f"{service} of {node} logged no {event}")


def show(title: str, seconds: Sequence[float], limit: float) -> bool:
    """Print a distribution; whether its median keeps the limit."""
    ordered = sorted(seconds)
    low, middle, high = statistics.quantiles(ordered, n=4) if len(ordered) > 1 else ordered * 3
    print(f"{title}: median {middle:.3f} s of {len(ordered)} (limit {limit:g} s)")
    print(f"  min {ordered[0]:.3f}  quartiles {low:.3f} … {high:.3f}  max {ordered[-1]:.3f}")
    width = (ordered[-1] - ordered[0]) / 8 or 1.0
    bins = Counter(min(int((value - ordered[0]) / width), 7) for value in ordered)
    for i in range(8):
        if bins[i]:
            print(f"  {ordered[0] + i * width:6.3f} s  {'#' * bins[i]}")
    return middle < limit


def start(directory: Path, rounds: int) -> bool:
    """From the start of a node to all four processes ready."""
    times = []
    for i in range(rounds):
        began = time.time()
        with Node("alpha", "127.0.200.1", directory / f"start{i}"):
            times.append(time.time() - began)
    return show("a node's start to all four processes ready", times, 3.0)


def serve(directory: Path, rounds: int) -> bool:
    """The same under `parley serve`, which forks them; and from a killed process to the next one being ready."""
    starts, restarts = [], []
    for i in range(rounds):
        began = time.time()
        with ServedNode("alpha", "127.0.200.1", directory / f"serve{i}") as node:
            starts.append(time.time() - began)
            killed, before = time.time(), node.pid("typing")
            node.kill("typing")
            wait_until(lambda before=before, node=node: node.is_running("typing") and node.pid("typing") != before)
            node.wait_ready("typing")
            restarts.append(time.time() - killed)
    kept = show("`parley serve` to all four processes ready", starts, 3.0)
    return show("a killed process to the next one being ready", restarts, 1.0) and kept


def link(directory: Path, rounds: int) -> bool:
    """From a second node's discovery being up to links for all features, at both ends."""
    times = []
    with Node("alpha", "127.0.200.1", directory) as alpha:
        for i in range(rounds):
            with Node(f"beta{i}", "127.0.200.2", directory) as beta:
                wait_linked([alpha, beta])
                up = logged_at(beta, "discovery", "listening")
                linked = [
                    logged_at(node, feature, "peer_connected", peer_id=peer.server_id)
                    for node, peer in ((alpha, beta), (beta, alpha))
                    for feature in FEATURES
                ]
                times.append(max(linked) - up)
    return show("a second node's discovery up to all its links, both ends", times, 1.0)


def mesh(directory: Path, count: int) -> bool:
    """Many nodes, one after another: until the mesh is full, and whether each pair has one link a feature."""
    with ExitStack() as stack:
        began = time.time()
        nodes = [Node(f"node{i:02}", f"127.0.201.{i + 1}", directory) for i in range(count)]
        for node in nodes:
            stack.enter_context(node)
        started = time.time()
        wait_linked(nodes, timeout=120.0)
        linked = time.time()
        links = count_links(nodes)
        again = wait_until(lambda: count_links(nodes) == links, 10.0, "the links to stay as they are")
    pairs = list(combinations([node.server_id for node in nodes], 2))
    wanted = {(feature, pair): 1 for feature in FEATURES for pair in pairs}
    print(f"{count} nodes, {count * len(SERVICES)} processes: {len(pairs)} pairs × {len(FEATURES)} features")
    print(f"  all ready, one node after another: {started - began:.1f} s; full mesh {linked - started:.1f} s later")
    print(f"  links found: {sum(links.values())}, exactly one each: {links == wanted and bool(again)}")
    return links == wanted


def count_links(nodes: Sequence[Node]) -> Counter[tuple[str, tuple[str, str]]]:
    """The links between each pair by feature: established TCP connections of the processes themselves."""
    import psutil  # noqa: PLC0415 - only this measurement looks at connections

    by_address = {node.address: node.server_id for node in nodes}
    ports = {"chat": 6666, "typing": 7777, "location": 8888}
    found: Counter[tuple[str, tuple[str, str]]] = Counter()
    for node in nodes:
        for feature, port in ports.items():
            for c in psutil.Process(node.pid(feature)).net_connections("tcp"):
                if c.status == psutil.CONN_ESTABLISHED and c.raddr and c.raddr.port == port:
                    one, other = sorted((node.server_id, by_address[c.raddr.ip]))
                    found[feature, (one, other)] += 1
    return found


def main() -> None:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["start", "link", "mesh"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=20)
    arguments = parser.parse_args()
    kept = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if arguments.what in (None, "start"):
            kept.append(start(directory, max(arguments.rounds // 4, 2)))
            kept.append(serve(directory, max(arguments.rounds // 4, 2)))
        if arguments.what in (None, "link"):
            kept.append(link(directory, arguments.rounds))
        if arguments.what in (None, "mesh"):
            kept.append(mesh(directory, arguments.nodes))
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
