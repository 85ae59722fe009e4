"""Measure the archive: `python -m bench.history [MESSAGES] [--json FILE]`.

An archive of a tenth of the messages is made at RATE a second, as long as that lasts; one of all of them in bursts
of BURST at BURST_RATE; both are asked. A third one is made at RATE for SUSTAINED seconds. Chunks are handed over
every 50 ms, as chat does (corpus.py), to the archive's own process, which `memory` tells of.

    rate       messages a second that were handed over
    lag        the longest for which a message was in no list, in seconds
    backlog    the most bytes that were in no list
    behind     seconds from the last message until all were in lists
    cpu        microseconds of CPU a message in both processes, the making of chunks (about 1) included
    index      bytes of the file a message beyond the message itself
    start      seconds until the archive takes messages again

Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from bench.history.corpus import COMMON, PEOPLE, RARE, RARELY, Corpus
from parley.services.chat.archive import storage
from parley.services.chat.archive.archive import COMMIT, Archive
from parley.services.chat.archive.lists import conversation
from parley.services.chat.archive.process.forker import Forker
from parley.services.chat.archive.reader import Lines
from parley.services.chat.archive.sync import Cursor, Synced, SyncReader
from parley.services.chat.archive.texts import query_of
from parley.services.chat.archive.worker import Policy, Worker
from parley.shared.runtime.supervised import Faults

RATE: Final = 50_000
SUSTAINED: Final = 60
BURST: Final = 1_000_000
BURST_RATE: Final = 150_000
ASKED: Final = 500
"""Times that each question is asked in a turn."""
TURNS: Final = 6
SYNCED: Final = 100
"""Lines of a page of SYNC."""
MIB: Final = 1024 * 1024
AGE: Final = 5 * storage.DAY
LARGE: Final = Policy(30.0, 1 << 40)

Figures = dict[str, float]


class Target(NamedTuple):
    """A figure's limit."""

    figure: str
    limit: float
    is_least: bool = False


OF_RATE: Final = (
    Target("rate", 0.98 * RATE, is_least=True),
    Target("lag", 2.0),
    Target("dropped", 0),
    Target("memory MiB", 200),
)
OF_BURST: Final = (
    Target("rate", 0.98 * BURST_RATE, is_least=True),
    Target("backlog MiB", 256),
    Target("behind", 20.0),
    Target("dropped", 0),
    Target("memory MiB", 200),
)
OF_FILE: Final = (
    Target("index", 150),
    Target("start", 1.0),
    Target("history p99 ms", 20),
    Target("sync p99 ms", 30),
    Target("rare p99 ms", 50),
    Target("common p99 ms", 200),
)
GROWTH: Final = 1.25
"""Times what a tenth of the messages takes."""


class Filled:
    """An archive in a process of its own."""

    def __init__(self, directory: Path, forker: Forker) -> None:
        self._forker = forker
        self.archive = Archive(
            directory, "alpha", LARGE, forker=forker, age=lambda: AGE, log=structlog.get_logger(), faults=Faults()
        )
        self.process = self.archive.process
        self.handover = self.process.handover

    async def until_listed(self) -> float:
        """Wait until all is in lists; the lag, at most."""
        lag = 0.0
        while True:
            lag = max(lag, self.process.lag)
            if not self.handover.backlog:
                return lag
            await asyncio.sleep(COMMIT)

    def pid(self) -> int:
        """The process."""
        return child_of(self._forker.pid)

    def put(self, entries: bytes) -> None:
        """Have these entries in the journal, and hand them over as a chunk."""
        self.archive.journal.append(entries)
        self.archive.hand_over()


def memory_of(pid: int) -> float:
    """MiB that a process had at most."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def child_of(pid: int) -> int:
    """The process that another one has forked."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


def cpu_of(pid: int) -> float:
    """Seconds of a processor that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def fill(archive: Filled, corpus: Corpus, messages: int, rate: int) -> Figures:
    """Hand messages over at that rate, and wait until they are in lists."""
    handover, pid = archive.handover, archive.pid()
    before, dropped, cpu = handover.messages, handover.dropped, time.process_time() + cpu_of(pid)
    begun, lag, backlog, done = time.monotonic(), 0.0, 0, 0
    while done < messages:
        now = time.monotonic()
        await asyncio.sleep(max(0.0, begun + done / rate - now))
        archive.put(corpus.block())
        done += corpus.size
        lag, backlog = max(lag, archive.process.lag), max(backlog, handover.backlog)
    ended = time.monotonic()
    lag = max(lag, await archive.until_listed())
    now = time.monotonic()
    return {
        "messages": handover.messages - before,
        "rate": done / (ended - begun),
        "listed a second": done / (now - begun),
        "lag": lag,
        "backlog MiB": backlog / MIB,
        "behind": now - ended,
        "cpu": 1e6 * (time.process_time() + cpu_of(pid) - cpu) / done,
        "dropped": handover.dropped - dropped,
    }


class Questions:
    """Asks an archive: 50 lines somewhere in a conversation, a page for a device that was away, and searches."""

    def __init__(self, path: Path) -> None:
        self._reader, self._chance, self._db = SyncReader(path), random.Random(2), storage.open_reader(path)
        self._newest_record = storage.projected(self._db)
        self._took: dict[str, list[float]] = {"history": [], "sync": [], "rare": [], "common": []}
        """Milliseconds, by what was asked."""

    def ask(self) -> None:
        """Ask each question ASKED times."""
        for name, took in self._took.items():
            question = getattr(self, f"_{name}")
            for _ in range(ASKED):
                begun = time.perf_counter()
                question()
                took.append(1000 * (time.perf_counter() - begun))

    def figures(self) -> Figures:
        """The medians and the 99th percentiles, in milliseconds."""
        found = {}
        for name, took in self._took.items():
            found[f"{name} p50 ms"] = sorted(took)[len(took) // 2]
            found[f"{name} p99 ms"] = sorted(took)[-max(1, len(took) // 100)]
        return found

    def _history(self) -> Lines:
        number = self._chance.randrange(len(PEOPLE))
        each = conversation(PEOPLE[number].user_id, PEOPLE[number ^ 1])
        newest = self._reader.history(each, limit=1).lines[0].sequence
        return self._reader.history(each, before=self._chance.randrange(1, newest + 1), limit=50)

    def _sync(self) -> Synced:
        person = self._chance.choice(PEOPLE).user_id
        last_told = storage.read_record(self._db, self._chance.randrange(1, self._newest_record // 2))
        if last_told is None:
            raise SystemExit("a record is gone, though nothing is old")
        epoch = storage.epoch(self._db, person)
        cursor = Cursor(epoch, last_told.number, last_told.crc, self._newest_record)
        found = self._reader.sync(person, cursor.to_bytes(), limit=SYNCED)
        if found.starts_over or not found.lines or (found.more and len(found.lines) < SYNCED):
            raise SystemExit(f"a device that missed half of all was told {len(found.lines)} lines")
        return found

    def _rare(self) -> Lines:
        found = self._reader.search(PEOPLE[0].user_id, query_of(RARE), limit=50)
        if len(found.lines) != RARELY:
            raise SystemExit(f"{len(found.lines)} messages have the rare word, and not {RARELY}")
        return found

    def _common(self) -> Lines:
        return self._reader.search(self._chance.choice(PEOPLE).user_id, query_of(COMMON), limit=50)

    def close(self) -> None:
        """Ask no more."""
        self._reader.close()
        self._db.close()


class Made(NamedTuple):
    """An archive that was filled."""

    path: Path
    filled: Figures
    """While it was."""
    messages: int
    body: float
    """Bytes of a message as it is sent."""

    def opened(self) -> Figures:
        """Its size beyond the messages' own, and how long it takes to be opened."""
        size = sum(each.stat().st_size for each in self.path.parent.iterdir())
        begun = time.perf_counter()
        worker = Worker(self.path, LARGE, structlog.get_logger())
        started = time.perf_counter() - begun
        worker.start()
        worker.close()
        return {"index": size / self.messages - self.body, "start": started}


async def archive(stack: ExitStack, forker: Forker, corpus: Corpus, rate: int, messages: list[int]) -> Made:
    """Make an archive in laps of so many messages: the figures are the first lap's."""
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-history-"))
    each = Filled(Path(directory), forker)
    each.put(b"".join(map(corpus.rare, range(RARELY))))
    await each.until_listed()
    laps = [await fill(each, corpus, lap, rate) for lap in messages]
    laps[0]["memory MiB"] = memory_of(each.pid())
    each.archive.close()
    return Made(Path(directory) / storage.NAME, laps[0], each.handover.messages, corpus.body)


def ask(archives: list[Made]) -> list[Figures]:
    """Open each archive, and ask all of them in turns: what happens beside that concerns all."""
    opened = [each.opened() for each in archives]
    asked = [Questions(each.path) for each in archives]
    for _ in range(TURNS):
        for each in asked:
            each.ask()
    for each in asked:
        each.close()
    return [figures | each.figures() for figures, each in zip(opened, asked, strict=True)]


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
    forker = Forker()
    forker.fork()
    missed, figures = asyncio.run(measure(forker, max(100_000, arguments.messages)))
    forker.close()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1))
    for each in missed:
        print(f"missed: {each}")
    return 1 if missed else 0


async def measure(forker: Forker, messages: int) -> tuple[list[str], list[Figures]]:
    """Fill two archives and ask them; what was missed, and all figures."""
    paced, burst = Corpus(int(RATE * COMMIT)), Corpus(int(BURST_RATE * COMMIT))
    laps = [min(BURST, messages - begin) for begin in range(0, messages, BURST)]
    with ExitStack() as stack:
        small = await archive(stack, forker, paced, RATE, [messages // 10])
        missed = show(f"{messages // 10:,} at {RATE:,}/s", small.filled, OF_RATE)
        large = await archive(stack, forker, burst, BURST_RATE, laps)
        missed += show(f"{messages:,} at {BURST_RATE:,}/s", large.filled, OF_BURST)
        of_small, of_large = ask([small, large])
        missed += show(f"{messages // 10:,}, asked", of_small, OF_FILE)
        missed += show(f"{messages:,}, asked", of_large, OF_FILE)
        growth = {name: of_large[name] / of_small[name] for name in of_small if name.endswith("p99 ms")}
        missed += show("times a tenth's", growth, tuple(Target(name, GROWTH) for name in growth))
    with ExitStack() as stack:
        sustained = await archive(stack, forker, paced, RATE, [SUSTAINED * RATE])
        missed += show(f"{SUSTAINED} s at {RATE:,}/s", sustained.filled, OF_RATE)
    return missed, [small.filled, of_small, large.filled, of_large, growth, sustained.filled]


if __name__ == "__main__":
    sys.exit(main())
