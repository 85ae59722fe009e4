"""Throughput, CPU and memory: what is measured of a system in one visit, and the rounds of visits.

Each round visits each system in turn: what else the machine does meanwhile meets all of them.
"""

from __future__ import annotations

import signal
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from bench.cost import MIB, cpu, memory, tree
from bench.hop.generator import ACKNOWLEDGED, RECEIVED, LoadError, Run
from bench.hop.processes import UnavailableError
from bench.hop.system import Load, Place, Running, Start
from bench.hop.systems import SYSTEMS

WINDOWS = (16, 64, 256)
BATCHES = (64, 1)
"""Messages per send where there is no window."""
WARM_UP = 500
FAILURES: Final = (UnavailableError, LoadError, OSError, RuntimeError, AssertionError)
"""What a system may do that cannot be measured: it is skipped."""
BURSTS, ENOUGH = 5, 2.0
"""Without a window: so many bursts, or as many as take so many seconds: CPU time is then more than its noise."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    messages: int = 20_000
    """Of each throughput."""
    singles: int = 2_000
    """Messages one at a time, a round."""
    limit: float = 120.0
    """Seconds that one visit may take."""


@dataclass
class Result:
    """What the rounds found of one system: per figure, a value of each round."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    skipped: str = ""
    """Why there is nothing, or not of every round."""

    def add(self, figures: Mapping[str, float]) -> None:
        """One more round."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def skip(self, name: str, error: BaseException) -> None:
        """It cannot be measured, or no further; say so."""
        self.skipped = f"{type(error).__name__}: {error}"
        say(f"{name}: skipped: {self.skipped}")

    def median(self, figure: str) -> float | None:
        """Of the rounds; None where there is none."""
        values = self.figures.get(figure)
        return statistics.median(values) if values else None

    def ratio(self, other: Result | None, figure: str, theirs: str = "") -> float | None:
        """By another system's figure: the median of each round's ratio, as what the machine did met both.

        None where one of them is missing, or was not measured as often.
        """
        ours, base = self.figures.get(figure, []), other.figures.get(theirs or figure, []) if other else []
        if not ours or len(ours) != len(base) or not all(base):
            return None
        return statistics.median(one / another for one, another in zip(ours, base, strict=True))


def rounds(names: Sequence[str], plan: Plan, count: int, results: dict[str, Result]) -> None:
    """Visit the systems of these names in turn, so many times. What cannot be measured is skipped, and said.

    In the main thread only: each visit's time limit is an alarm.
    """
    for number in range(count):
        for name in names:
            result = results.setdefault(name, Result())
            if result.skipped:
                continue
            try:
                figures = visit(SYSTEMS[name], plan)
            except FAILURES as error:
                result.skip(name, error)
            else:
                result.add(figures)
                say(f"round {number + 1}: {name}: {_brief(figures)}")
    return results


def visit(start: Start, plan: Plan) -> dict[str, float]:
    """Start a system, measure it, stop it. LoadError, UnavailableError; TimeoutError where it takes too long."""
    with tempfile.TemporaryDirectory(prefix="hop-") as name, ExitStack() as stack, within(plan.limit):
        directory = Path(name)
        running = start(stack, directory, Place())
        return measure(running, running.load(directory, plan.limit), plan)


def measure(running: Running, generator: Load, plan: Plan) -> dict[str, float]:
    """The figures of a system: µs, messages/s, CPU seconds per 10,000 messages, MiB, shares of a CPU."""
    figures = {"memory_idle": held(running.servers)}
    if running.whole:
        figures["memory_idle_whole"] = held(running.whole)
    generator.run(WARM_UP, window=1)
    generator.run(plan.messages // 4, batch=64)
    paths = {"": RECEIVED}
    if running.is_told:
        paths["_acknowledged"] = RECEIVED | ACKNOWLEDGED
    for name, until in paths.items():
        for window in WINDOWS:
            run = generator.run(plan.messages, window=window, until=until)
            figures[f"window_{window}{name}"] = run.messages / run.seconds
        for batch in BATCHES:
            found = without_window(running, generator, plan.messages, batch, until)
            figures |= {f"{figure}_{batch}{name}": value for figure, value in found.items()}
    figures["memory_after"] = held(running.servers)
    if running.whole:
        figures["memory_after_whole"] = held(running.whole)
    return figures


def without_window(running: Running, generator: Load, messages: int, batch: int, until: int) -> dict[str, float]:
    """Throughput and what it costs, over some bursts."""
    before = used(running.servers), used(running.whole)
    runs: list[Run] = []
    while len(runs) < BURSTS and sum(run.seconds for run in runs) < ENOUGH:
        runs.append(generator.run(messages, batch=batch, until=until))
    after = used(running.servers), used(running.whole)
    seconds, sent = sum(run.seconds for run in runs), sum(run.messages for run in runs)
    figures = {
        "free": sent / seconds,
        "cpu": 10_000 * (after[0] - before[0]) / sent,
        "generator": sum(run.cpu for run in runs) / seconds,
    }
    return figures | ({"cpu_whole": 10_000 * (after[1] - before[1]) / sent} if running.whole else {})


def used(processes: Sequence[int]) -> float:
    """Seconds of CPU of these processes and all below them."""
    return cpu(tree(processes))


def held(processes: Sequence[int]) -> float:
    """MiB (PSS) of these processes and all below them."""
    return memory(tree(processes)) / MIB


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """A hard limit: TimeoutError in the main thread, whatever it waits for in Python."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def say(line: str) -> None:
    """Tell how far it is; the table comes at the end."""
    print(line, file=sys.stderr, flush=True)


def _brief(figures: Mapping[str, float]) -> str:
    shown: Iterable[str] = ("window_16", "free_64", "free_1", "free_64_acknowledged")
    return ", ".join(f"{name} {figures[name]:,.0f}" for name in shown if name in figures)
