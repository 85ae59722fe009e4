"""What being idle costs: `python -m bench.idle [clients|node|datagrams|tls]`.

clients: 100, 1,000 and 10,000 links of one chat process: memory, CPU at rest, CPU with a message per link and 10 s.
node: a node of `parley serve` at rest: memory and CPU of its four processes, and the supervisor's beside them.
datagrams: 2 to 30 nodes at rest: datagrams per second and node.
tls: an idle link with TLS, beside a plain one: memory, on uvloop and on asyncio's loop.

Memory is the kernel's PSS (smaps_rollup): pages that several processes share are counted once. CPU is what the
scheduler counted (schedstat). In a network namespace of its own where there can be one (bench/isolation.py). Exit
code 1 where a target is missed. The figures of clients and datagrams go to build/idle.json, for `make bench-plots`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.idle.clients import clients
from bench.idle.datagrams import datagrams
from bench.idle.node import node
from bench.idle.processes import Row
from bench.idle.tls import tls
from bench.isolation import alone

RESULTS = Path("build/idle.json")


def save(path: Path, found: Mapping[str, list[Row]]) -> None:
    """Add what was measured to a file of figures (bench/curves/sources.py); what was not stays as it is."""
    data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data | found, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["clients", "node", "datagrams", "tls"])
    parser.add_argument("--links", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 5, 10, 20, 30])
    parser.add_argument("--seconds", type=float, default=30.0, help="the length of each measurement")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures go; %(default)s")
    arguments = parser.parse_args()
    if not alone():
        print("no network namespace of its own: others on this machine may be heard")
    kept = []
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if arguments.what in (None, "node"):
            kept.append(node(directory, arguments.seconds))
        if arguments.what in (None, "tls"):
            kept.append(tls(directory))
        if arguments.what in (None, "clients"):
            kept.append(clients(directory, arguments.links, arguments.seconds, found.setdefault("clients", [])))
        if arguments.what in (None, "datagrams"):
            rows = found.setdefault("datagrams", [])
            kept.append(datagrams(directory, arguments.nodes, 2 * arguments.seconds, rows))
    if found:
        save(arguments.json, found)
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
