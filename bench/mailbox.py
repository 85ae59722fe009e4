"""What waits, on disk: `python -m bench.mailbox [accept|waiting] [--messages N] [--json FILE]`.

`accept`: the recipient is away; how many messages a second a chat process takes, commits and answers.
`waiting`: so many messages wait, for one recipient or for 1,000: how long the chat process takes to start, what
memory it needs, how soon the first message is there and how quickly the rest.

Real processes on loopback addresses, in a network namespace of their own where there can be one
(isolation.py); the load comes from one more process (load.py). Each figure is the median of `--rounds` rounds.
Messages have 100 bytes of text. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench.isolation import alone
from bench.load import Load, Loader
from tests.support.nodes import Node, wait_linked

SERVICES = ("discovery", "chat")
HOME, ELSEWHERE = "127.0.202.1", "127.0.202.2"
WINDOW = 4096
MIB = 1024 * 1024
LONG = 600.0
"""Seconds that a start may take before it counts as failed."""
KEPT = {"USER_AWAY", "OTHER_SERVER_TIMEOUT"}

Row = dict[str, Any]


class Table:
    """What was measured: printed as it comes, and kept."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.missed: list[str] = []

    def add(self, what: str, figures: Row) -> None:
        """Print a row."""
        self.rows.append({"what": what, **figures})
        shown = "  ".join(f"{name} {_text(value)}" for name, value in figures.items())
        print(f"{what:<48} {shown}", flush=True)

    def target(self, what: str, value: float, limit: float, *, at_least: bool = False) -> None:
        """Compare a figure with what it should be."""
        if (value < limit) if at_least else (value > limit):
            self.missed.append(f"{what}: {_text(value)}, should be at {'least' if at_least else 'most'} {limit:g}")


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
    return f"{value}"


class Chat:
    """A node's chat process, looked at from outside."""

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        times = psutil.Process(self.node.pid("chat")).cpu_times()
        return float(times.user + times.system)

    @property
    def memory(self) -> Row:
        """What it has resident, and its share of that (MiB)."""
        info = psutil.Process(self.node.pid("chat")).memory_full_info()
        return {"rss_mib": info.rss / MIB, "pss_mib": info.pss / MIB}

    def restart(self, number: signal.Signals, *, cold: bool = False) -> float:
        """End it, start it; seconds from its start until it is ready. `cold`: nothing of its file is in memory."""
        self.node.kill("chat", number)
        if number is not signal.SIGKILL:
            self.node.wait_exit("chat", LONG)
        for path in self.node.directory.rglob("chat.db*") if cold else ():
            _forget(path)
        began = time.perf_counter()
        self.node.start("chat")
        self.node.wait_ready("chat", timeout=LONG)
        return time.perf_counter() - began


def measured(chat: Chat, load: Callable[[], Load], total: int) -> tuple[Load, Row]:
    """Run a load of so many messages; its result, and rate, CPU per 10,000 messages, the loading process's CPU."""
    before = chat.cpu
    done = load()
    used = chat.cpu - before
    return done, {
        "per_s": (total - done.unanswered) / done.seconds,
        "cpu_s_per_10k": used / total * 10_000,
        "chat_cpu": used / done.seconds,
        "load_cpu": done.share,
    }


def medians(rounds: list[Row]) -> Row:
    """Each figure's median."""
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


# Accepting -------------------------------------------------------------------------------------------------


def accept(directory: Path, loader: Loader, table: Table, total: int, rounds: int) -> None:
    """The recipient is away, at the author's server or at one that is down."""
    with Node("alpha", HOME, directory / "accept", SERVICES) as node:
        chat = Chat(node)
        for authors, window in ((1, WINDOW), (4, WINDOW), (16, WINDOW), (1, 0), (1, 1)):
            figures = []
            count = total if window != 1 else max(total // 100, 100)
            for i in range(rounds):
                recipient = f"bob{authors}-{window}-{i}@alpha"
                loader.introduce(HOME, [recipient])
                figures.append(taken(chat, loader, authors, recipient, count // authors * authors, window))
            result = medians(figures)
            table.add(f"accept: {authors} author(s), {window or 'no'} window", {"messages": count, **result})
            if (authors, window) == (1, WINDOW):
                table.target(
                    "messages a second taken while the recipient is away", result["per_s"], 20_000, at_least=True
                )
        table.add("accept: memory after all that", chat.memory)


def accept_elsewhere(directory: Path, loader: Loader, table: Table, total: int) -> None:
    """The recipient's server is down; OTHER_SERVER_TIMEOUT is told after a second in which it is looked for."""
    with ExitStack() as stack:
        node, other = (
            stack.enter_context(Node(name, address, directory / "elsewhere", SERVICES))
            for name, address in (("alpha", HOME), ("beta", ELSEWHERE))
        )
        wait_linked([node, other], ["chat"])
        other.stop()
        result = taken(Chat(node), loader, 1, "bob@beta", total, 0)
        table.add("accept: for a server that is down, no window", {"messages": total, **result})
        table.target("messages for a server that is down, author told nothing", result["unanswered"], 0)


def taken(chat: Chat, loader: Loader, authors: int, recipient: str, total: int, window: int) -> Row:
    """Send to somebody who is away; AssertionError where an author was told that a message is not kept."""
    names = [f"author{i}@alpha" for i in range(authors)]
    done, row = measured(chat, lambda: loader.send(HOME, names, [recipient], total, window=window), total)
    assert set(done.statuses) <= KEPT, done.statuses
    return row | {"unanswered": done.unanswered}


# Waiting ----------------------------------------------------------------------------------------------------


def waiting(directory: Path, loader: Loader, table: Table, total: int, recipients: int, starts: int) -> None:
    """So many wait for so many: fill, start again and again, drain."""
    title = f"{total:,} for {recipients:,}"
    names = [f"bob{i}@alpha" for i in range(recipients)]
    with Node("alpha", HOME, directory / f"waiting-{total}-{recipients}", SERVICES) as node:
        chat = Chat(node)
        loader.introduce(HOME, names)
        done, row = measured(chat, lambda: loader.send(HOME, ["ann@alpha"], names, total, window=WINDOW), total)
        assert done.statuses == {"USER_AWAY": total}, done
        table.add(f"{title}: fill", {"seconds": done.seconds, **row, **chat.memory})
        seconds = [chat.restart(signal.SIGTERM) for _ in range(starts)]
        row = {
            "seconds": median(seconds),
            "worst": max(seconds),
            "cold": chat.restart(signal.SIGTERM, cold=True),
            "after_sigkill": chat.restart(signal.SIGKILL),
        }
        memory, size = chat.memory, _size(node.directory)
        table.add(f"{title}: start", {**row, "cpu_s": chat.cpu, **memory, "file_mib": size})
        table.target(f"{title}: seconds to start", row["seconds"], 3.0)
        table.target(f"{title}: MiB (RSS) after the start", memory["rss_mib"], 300.0)
        drain(chat, loader, table, title, names, total)
        row = {"seconds": chat.restart(signal.SIGTERM), **chat.memory, "file_mib": _size(node.directory)}
        table.add(f"{title}: start after the drain", row)


def drain(chat: Chat, loader: Loader, table: Table, title: str, names: list[str], total: int) -> None:
    """One recipient connects and takes all of theirs, then all others at once; the author is there."""
    each = total // len(names)
    for some in filter(None, (names[:1], names[1:])):
        count = each * len(some)
        done, row = measured(chat, partial(loader.drain, HOME, some, ["ann@alpha"], each, count), count)
        assert (done.received, done.statuses["DELIVERED"]) == (count, count), done
        firsts = done.firsts
        row |= {"again": done.again, "first_s": median(firsts), "first_s_worst": max(firsts)}
        table.add(f"{title}: drain by {len(some):,}", {"messages": count, **row, **chat.memory})
        if len(some) == 1:
            table.target(f"{title}: seconds to the first message", firsts[0], 1.0)


def _forget(path: Path) -> None:
    """Have the system drop what it caches of a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _size(directory: Path) -> float:
    """MiB of the mailbox's files."""
    return sum(path.stat().st_size for path in directory.rglob("chat.db*")) / MIB


def main() -> None:
    """Run what is named, or all."""
    alone()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["accept", "waiting"])
    parser.add_argument("--messages", type=int, default=1_000_000, help="waiting: the largest number")
    parser.add_argument("--accepted", type=int, default=50_000, help="accept: messages a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recipients", type=int, nargs="*", default=[1, 1000])
    parser.add_argument("--directory", help="where the mailboxes are made; a temporary directory by default")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    arguments = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name, Loader() as loader:
        directory = Path(name)
        if arguments.what in (None, "accept"):
            accept(directory, loader, table, arguments.accepted, arguments.rounds)
            accept_elsewhere(directory, loader, table, arguments.accepted)
        if arguments.what in (None, "waiting"):
            for total in sorted({10, 1_000, 100_000, arguments.messages}):
                for recipients in arguments.recipients:
                    if recipients <= total <= arguments.messages:
                        waiting(directory, loader, table, total, recipients, arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(table.rows, indent=1) + "\n")
    for line in table.missed:
        print(f"missed: {line}")
    raise SystemExit(1 if table.missed else 0)


if __name__ == "__main__":
    main()
