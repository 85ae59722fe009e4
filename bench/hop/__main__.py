"""Measure one federated hop, here and at the peers, in one run: `python -m bench.hop [--only parley,c-relay]`.

A at server 1 sends 100-byte messages to B at server 2, both clients of one compiled generator (generator.py). First
latency: all systems are started, and each is measured in turn in many rounds, the others stopped meanwhile. Then
throughput, CPU and memory: in each round every system is started, measured and ended in turn. The peers come from
Debian's packages (deploy/bench-tools.sh); one that is not there or does not work is skipped, with the reason. All
is on loopback addresses, in a network namespace where there can be one. The table goes to standard output; every
round's values go as JSON to build/bench.json.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from bench.hop.latency import together
from bench.hop.measure import Plan, rounds
from bench.hop.systems import SYSTEMS
from bench.hop.table import table, write_json
from bench.isolation import alone


class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """The text as it stands, and what each option is without being given."""


def main() -> int:
    """Measure what is named, or all. 1 where something that was named could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Formatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of throughput, CPU and memory")
    parser.add_argument("--latency-rounds", type=int, default=10, metavar="N", help="of latency")
    parser.add_argument("--messages", type=int, default=Plan.messages, metavar="N", help="of each throughput")
    parser.add_argument("--singles", type=int, default=Plan.singles, metavar="N", help="of each latency, a round")
    parser.add_argument("--limit", type=float, default=Plan.limit, metavar="SECONDS", help="for one visit")
    parser.add_argument("--only", metavar="NAMES", help=f"of {','.join(SYSTEMS)}")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), metavar="FILE")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(SYSTEMS)
    if unknown := [name for name in names if name not in SYSTEMS]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(SYSTEMS)}")
    alone()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    plan = Plan(arguments.messages, arguments.singles, arguments.limit)
    results = together(names, plan, arguments.latency_rounds)
    rounds(names, plan, arguments.rounds, results)
    print(table(results))
    write_json(arguments.json, results, plan, {"rounds": arguments.rounds, "latency": arguments.latency_rounds})
    return int(bool(arguments.only) and any(result.skipped for result in results.values()))


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit("interrupted: all that was started has ended") from None
