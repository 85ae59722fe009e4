"""What being idle costs: `python -m bench.idle [clients|node|datagrams]`.

clients: 100, 1,000 and 10,000 links of one chat process: memory, CPU at rest, CPU with a message per link and 10 s.
node: a node of `parley serve` at rest: memory and CPU of its four processes, and the supervisor's beside them.
datagrams: 2 to 30 nodes at rest: datagrams per second and node.

Memory is the kernel's PSS (smaps_rollup): pages that several processes share are counted once. CPU is what the
scheduler counted (schedstat). In a network namespace of its own where there can be one (bench/isolation.py). Exit
code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench.idle.clients import clients
from bench.idle.datagrams import datagrams
from bench.idle.node import node
from bench.isolation import alone


def main() -> None:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["clients", "node", "datagrams"])
    parser.add_argument("--links", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 5, 10, 20, 30])
    parser.add_argument("--seconds", type=float, default=30.0, help="the length of each measurement")
    arguments = parser.parse_args()
    if not alone():
        print("no network namespace of its own: others on this machine may be heard")
    kept = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if arguments.what in (None, "node"):
            kept.append(node(directory, arguments.seconds))
        if arguments.what in (None, "clients"):
            kept.append(clients(directory, arguments.links, arguments.seconds))
        if arguments.what in (None, "datagrams"):
            kept.append(datagrams(directory, arguments.nodes, 2 * arguments.seconds))
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
