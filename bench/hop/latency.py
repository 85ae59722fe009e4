"""Latency, with all systems started: one message at a time, each system in turn, many short rounds.

A machine that others share is now three times as fast and now slow, for seconds: what is compared must be measured
within the same seconds. A system whose turn it is not is stopped, all its processes (SIGSTOP): a dozen servers that
look at their clocks a hundred times a second would be in every hundredth message of whoever's turn it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.hop.generator import ACKNOWLEDGED, RECEIVED
from bench.hop.measure import FAILURES, WARM_UP, Plan, Result, say, used, within
from bench.hop.system import Load, Place, Running
from bench.hop.systems import SYSTEMS

CPU_UNIT: Final = 10_000
"""Messages that CPU seconds are told of."""
HOUR: Final = 3600.0
"""Seconds that all rounds may take."""


def together(names: Sequence[str], plan: Plan, count: int) -> dict[str, Result]:
    """Start the systems of these names, measure each in turn, so many times, stop them.

    In the main thread only: its time limit is an alarm. What cannot be measured is skipped, and said.
    """
    results = {name: Result() for name in names}
    with ExitStack() as stack:
        running = {}
        for number, name in enumerate(names):
            try:
                running[name] = _started(stack, name, Place.number(number), plan)
            except FAILURES as error:
                results[name].skip(name, error)
            else:
                stack.callback(running[name][0].go_on)  # whoever is stopped does not hear that it shall end
                running[name][0].hold()
        for turn in range(count):
            for name in _in_turn(list(running), turn):
                system, generator = running[name]
                try:
                    with within(plan.limit), system.going():
                        generator.run(WARM_UP, window=1)  # what its clocks asked for meanwhile is done
                        results[name].add(one_at_a_time(system, generator, plan.singles))
                except FAILURES as error:
                    results[name].skip(name, error)
                    del running[name]
            say(f"latency, round {turn + 1}: {_brief(results)}")
    return results


def _started(stack: ExitStack, name: str, place: Place, plan: Plan) -> tuple[Running, Load]:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hop-")))
    with within(plan.limit):
        running = SYSTEMS[name](stack, directory, place)
        generator = running.load(directory, HOUR)
        generator.run(WARM_UP, window=1)
        generator.run(plan.messages // 4, batch=64)
    return running, generator


def _in_turn(names: list[str], turn: int) -> list[str]:
    """Each round begins with another one: each system comes after each other one, and none is always the first."""
    at = turn % len(names) if names else 0
    return names[at:] + names[:at]


def one_at_a_time(running: Running, generator: Load, count: int) -> dict[str, float]:
    """Latency: the next message goes when the one before is received, and acknowledged where the author is told.

    `at_once`: when it is received, so that its acknowledgement is on its way beside the next message. In µs; the
    generator's share of a CPU; CPU seconds of the servers per 10,000 messages.
    """
    paths = {"": RECEIVED | (ACKNOWLEDGED if running.is_told else 0), "_at_once": RECEIVED}
    figures = {}
    for name, until in paths.items():
        before = used(running.servers)
        run = generator.run(count, window=1, until=until, timed=True)
        ordered = sorted(run.latencies)
        figures[f"latency_p50{name}"] = 1e6 * ordered[len(ordered) // 2]
        figures[f"latency_p99{name}"] = 1e6 * ordered[int(len(ordered) * 0.99)]
        figures[f"latency_cpu{name}"] = CPU_UNIT * (used(running.servers) - before) / count
        if not name:
            figures["generator_latency"] = run.cpu / run.seconds
    for name in paths:
        figures[f"latency_tail{name}"] = figures[f"latency_p99{name}"] / figures[f"latency_p50{name}"]
    return figures


def _brief(results: dict[str, Result]) -> str:
    """The round's medians."""
    told = {
        name: result.figures["latency_p50"][-1]
        for name, result in results.items()
        if result.figures and not result.skipped
    }
    return ", ".join(f"{name} {value:.0f}" for name, value in told.items())
