"""Measure the archive: `python -m bench.history [MESSAGES] [--json FILE]`.

An archive of a tenth of the messages is made at RATE a second, as long as that lasts; one of all of them in bursts
of BURST at BURST_RATE. Chunks are handed over every 50 ms, as chat does (corpus.py), to the archive's own thread in
this process. Then both are asked, and the process is what `memory` tells of, with all that makes the chunks.

    rate       messages a second that were handed over
    lag        the longest for which a message was in no list, in seconds
    backlog    the most bytes that were in no list
    behind     seconds from the last message until all were in lists
    cpu        microseconds of CPU a message, the making of chunks (about 1) included
    index      bytes of the file a message beyond the message itself
    start      seconds until the archive takes messages again

Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from bench.history.corpus import COMMON, PEOPLE, RARE, RARELY, Corpus
from parley.services.chat.archive import storage
from parley.services.chat.archive.archive import COMMIT
from parley.services.chat.archive.lists import conversation
from parley.services.chat.archive.reader import Lines
from parley.services.chat.archive.sync import Cursor, Synced, SyncReader
from parley.services.chat.archive.texts import query_of
from parley.services.chat.archive.worker import Chunk, Policy, Worker

RATE: Final = 50_000
BURST: Final = 1_000_000
BURST_RATE: Final = 150_000
ASKED: Final = 500
SYNCED: Final = 100
"""Lines of a page of SYNC."""
MIB: Final = 1024 * 1024
LARGE: Final = Policy(30.0, 1 << 40)

Figures = dict[str, float]


class Target(NamedTuple):
    """A figure's limit."""

    figure: str
    limit: float
    is_least: bool = False


OF_RATE: Final = (Target("rate", 0.98 * RATE, is_least=True), Target("lag", 2.0), Target("dropped", 0))
OF_BURST: Final = (
    Target("rate", 0.98 * BURST_RATE, is_least=True),
    Target("backlog MiB", 256),
    Target("behind", 20.0),
    Target("dropped", 0),
)
OF_FILE: Final = (
    Target("index", 150),
    Target("start", 1.0),
    Target("memory MiB", 200),
    Target("history p99 ms", 20),
    Target("sync p99 ms", 30),
    Target("rare p99 ms", 50),
    Target("common p99 ms", 200),
)
GROWTH: Final = 1.25
"""Times what a tenth of the messages takes."""


def fill(worker: Worker, corpus: Corpus, messages: int, rate: int) -> Figures:
    """Hand messages over at that rate, and wait until they are in lists."""
    before, dropped, cpu = worker.messages, worker.dropped, time.process_time()
    begun, lag, backlog, done = time.monotonic(), 0.0, 0, 0
    while done < messages:
        now = time.monotonic()
        ahead = begun + done / rate - now
        if ahead > 0:
            time.sleep(ahead)
        worker.put(Chunk(corpus.block(), 5 * storage.DAY, time.time() - now, time.time(), time.monotonic()))
        done += corpus.size
        lag, backlog = max(lag, worker.lag), max(backlog, worker.backlog)
    ended = time.monotonic()
    while worker.backlog:
        time.sleep(COMMIT)
        lag = max(lag, worker.lag)
    now = time.monotonic()
    return {
        "messages": worker.messages - before,
        "rate": done / (ended - begun),
        "listed a second": done / (now - begun),
        "lag": lag,
        "backlog MiB": backlog / MIB,
        "behind": now - ended,
        "cpu": 1e6 * (time.process_time() - cpu) / done,
        "dropped": worker.dropped - dropped,
    }


def asked(times: int, ask: Callable[[], object]) -> tuple[float, float]:
    """The median and the 99th percentile of questions, in milliseconds."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        ask()
        took.append(1000 * (time.perf_counter() - begun))
    took.sort()
    return took[len(took) // 2], took[-max(1, len(took) // 100)]


def questions(path: Path) -> Iterator[tuple[str, float]]:
    """What answers take: 50 lines somewhere in a conversation, a page for a device that was away, and searches."""
    reader, chance, db = SyncReader(path), random.Random(2), storage.open_reader(path)
    newest_record = storage.projected(db)

    def history() -> Lines:
        number = chance.randrange(len(PEOPLE))
        each = conversation(PEOPLE[number].user_id, PEOPLE[number ^ 1])
        newest = reader.history(each, limit=1).lines[0].sequence
        return reader.history(each, before=chance.randrange(1, newest + 1), limit=50)

    def sync() -> Synced:
        person = chance.choice(PEOPLE).user_id
        last_told = storage.read_record(db, chance.randrange(1, newest_record // 2))
        if last_told is None:
            raise SystemExit("a record is gone, though nothing is old")
        cursor = Cursor(storage.epoch(db, person), last_told.number, last_told.crc, newest_record)
        found = reader.sync(person, cursor.to_bytes(), limit=SYNCED)
        if found.starts_over or not found.lines or (found.more and len(found.lines) < SYNCED):
            raise SystemExit(f"a device that missed half of all was told {len(found.lines)} lines")
        return found

    def rare() -> Lines:
        found = reader.search(PEOPLE[0].user_id, query_of(RARE), limit=50)
        if len(found.lines) != RARELY:
            raise SystemExit(f"{len(found.lines)} messages have the rare word, and not {RARELY}")
        return found

    def common() -> Lines:
        return reader.search(chance.choice(PEOPLE).user_id, query_of(COMMON), limit=50)

    for name, ask in (("history", history), ("sync", sync), ("rare", rare), ("common", common)):
        yield f"{name} p50 ms", (found := asked(ASKED, ask))[0]
        yield f"{name} p99 ms", found[1]
    reader.close()
    db.close()


def of_file(path: Path, corpus: Corpus, messages: int) -> Figures:
    """Figures of an archive that is there."""
    size = sum(each.stat().st_size for each in path.parent.iterdir())
    begun = time.perf_counter()
    worker = Worker(path, LARGE, structlog.get_logger())
    started = time.perf_counter() - begun
    worker.close()
    found = {"index": size / messages - corpus.body, "start": started, **dict(questions(path))}
    return found | {"memory MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def archive(corpus: Corpus, messages: int, rate: int) -> tuple[Figures, Figures]:
    """Make an archive and measure it: while it was filled, and full."""
    with tempfile.TemporaryDirectory(prefix="parley-history-") as directory:
        path = Path(directory) / storage.NAME
        worker = Worker(path, LARGE, structlog.get_logger())
        rare = b"".join(map(corpus.rare, range(RARELY)))
        worker.put(Chunk(rare, 5 * storage.DAY, 0.0, time.time(), time.monotonic()))
        filled, left = fill(worker, corpus, min(messages, BURST), rate), messages - BURST
        while left > 0:
            fill(worker, corpus, min(left, BURST), rate)
            left -= BURST
        worker.close()
        return filled, of_file(path, corpus, worker.messages)


def show(what: str, figures: Figures, targets: tuple[Target, ...]) -> list[str]:
    """Print figures; those that miss their targets."""
    print(f"{what:<28} " + "  ".join(f"{name} {value:,.4g}" for name, value in figures.items()), flush=True)
    return [
        f"{what}: {each.figure} {figures[each.figure]:,.4g}, should be at {'least' if each.is_least else 'most'}"
        f" {each.limit:,.4g}"
        for each in targets
        if (figures[each.figure] < each.limit if each.is_least else figures[each.figure] > each.limit)
    ]


def main() -> int:
    """Measure, and say what was missed."""
    parser = argparse.ArgumentParser(description="Measure the archive.")
    parser.add_argument(
        "messages", nargs="?", type=int, default=1_000_000, help="at least 100,000 (default: 1,000,000)"
    )
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    messages: int = max(100_000, arguments.messages)
    paced, burst = Corpus(int(RATE * COMMIT)), Corpus(int(BURST_RATE * COMMIT))
    small_filled, small = archive(paced, messages // 10, RATE)
    missed = show(f"{messages // 10:,} at {RATE:,}/s", small_filled, OF_RATE)
    missed += show(f"{messages // 10:,}, asked", small, OF_FILE)
    large_filled, large = archive(burst, messages, BURST_RATE)
    missed += show(f"{messages:,} at {BURST_RATE:,}/s", large_filled, OF_BURST)
    missed += show(f"{messages:,}, asked", large, OF_FILE)
    growth = {name: large[name] / small[name] for name in small if name.endswith("p99 ms")}
    missed += show("times a tenth's", growth, tuple(Target(name, GROWTH) for name in growth))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([small_filled, small, large_filled, large, growth], indent=1))
    for each in missed:
        print(f"missed: {each}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
