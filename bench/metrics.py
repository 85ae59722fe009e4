"""What counting costs a chat process: `python -m bench.metrics [--rounds N] [--keep DIRECTORY]`.

Two services in one process, one of which counts nothing: their links are fed the same messages and answers
(bench/inside.py), in turn, a short round each, so that whatever else the machine does meets both. Once by processor
time, and once, where valgrind is installed, by instructions, which no other load changes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from prometheus_client import generate_latest

from bench.guard.instructions import instructions
from bench.hop.processes import UnavailableError
from bench.inside import Inside, inside
from bench.uncounted import COUNTED, SIZES, TURNS, UNCOUNTED, Uncounted, label
from parley.services.chat.service import ChatService
from tests.support.nodes import Samples

PER_ROUND = 1_600
"""Messages."""


def spent(path: Inside, size: int) -> float:
    """Seconds of processor time for a round's messages, in batches of this size."""
    batches = [path.batch(size) for _ in range(max(1, PER_ROUND // size))]
    began = time.process_time()
    for batch in batches:
        path.hear(batch)
    return (time.process_time() - began) / len(batches)


async def measure(rounds: int) -> None:
    """Compare times."""
    async with inside(ChatService) as counted, inside(Uncounted) as uncounted:
        for size in SIZES:
            found: dict[str, list[float]] = {COUNTED: [], UNCOUNTED: []}
            for _ in range(rounds + 1):
                for name, path in ((COUNTED, counted), (UNCOUNTED, uncounted)):
                    found[name].append(spent(path, size))
            # The quickest rounds: whatever else the machine does only ever adds. The first learns.
            fast = {
                name: 1e6 * statistics.mean(sorted(times[1:])[: max(1, rounds // 4)])
                for name, times in found.items()
            }
            show(size, fast[COUNTED], fast[UNCOUNTED], unit="µs")
        for path in (counted, uncounted):
            path.check()
        told = Samples(generate_latest(counted.service.metrics.registry).decode())
        delivered = told.value("parley_messages_total", scope="remote", status="delivered")
        assert delivered == counted.count, f"{delivered:.0f} of {counted.count} were counted"
    print(f"(the quickest quarter of {rounds} rounds of {PER_ROUND} messages)")


def count(directory: Path) -> None:
    """Compare instructions."""
    found = instructions("bench.uncounted", [], directory)
    for size in SIZES:
        means = (
            statistics.mean(found[label(name, size, turn)] for turn, each in enumerate(TURNS) if each == name)
            for name in (COUNTED, UNCOUNTED)
        )
        show(size, *means, unit="instructions")


def show(size: int, counted: float, uncounted: float, *, unit: str) -> None:
    """One line."""
    percent = 100 * (counted / uncounted - 1)
    print(
        f"{size:>3} messages in a read, and their answers: {counted:10,.2f} {unit} counted,"
        f" {uncounted:10,.2f} uncounted: counting costs {percent:.1f} %",
        flush=True,
    )


def main() -> None:
    """Measure both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--keep", type=Path, help="an empty directory for callgrind's files")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.rounds))
    kept = arguments.keep
    with nullcontext(str(kept)) if kept else tempfile.TemporaryDirectory(prefix="metrics-") as directory:
        try:
            count(Path(directory))
        except UnavailableError as error:
            print(f"instructions: skipped: {error}")


if __name__ == "__main__":
    main()
