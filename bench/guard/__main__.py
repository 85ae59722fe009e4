"""The regression guard: `python -m bench.guard [--only instructions|speed] [--update]`.

Instructions: what the message path takes for a batch of messages and its answers, counted by callgrind, with the
compiled core and without, as a ratio to a fixed piece of work in the same interpreter (work.py). Speed: throughput
and latency beside the uvloop relay's, both measured in turn; 1 is as quick, more is quicker. The floors are low,
because a shared machine is noisy. No figure is an absolute time. limits.json has the limits; docs/performance.md
tells how to change them. Exit code 1 where a figure is beyond its limit. A part that cannot be measured here is
skipped, and says why.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.guard.instructions import instructions
from bench.guard.limits import PYTHON, Verdict, judge_instructions, judge_speed, load, nearest, update
from bench.guard.speed import speeds
from bench.guard.work import REFERENCE
from bench.hop.processes import UnavailableError
from bench.isolation import alone
from parley.shared.compiled import core

PARTS = ("instructions", "speed")
TITLES = {
    "throughput": "throughput ÷ the uvloop relay's",
    "latency": "the uvloop relay's latency, one at a time, ÷ Parley's",
}
PATHS = {"compiled": "", "python": "1"}
"""What PARLEY_PURE is for each."""


def count(paths: Sequence[str]) -> dict[str, float]:
    """Instructions by the reference's: "compiled 16" is a batch of 16 with the compiled core. Prints the counts."""
    figures = {}
    for way in paths:
        with tempfile.TemporaryDirectory(prefix="guard-") as directory:
            counts = instructions("bench.guard.work", [], Path(directory), PARLEY_PURE=PATHS[way])
        reference = counts.pop(REFERENCE)
        for size, each in sorted(counts.items(), key=lambda entry: int(entry[0])):
            figures[f"{way} {size}"] = each / reference
            print(
                f"instructions, {way}, {size:>3} messages in a read: {each:13,.0f} with their answers,"
                f" {each / int(size):9,.0f} each"
            )
        print(f"instructions, {way}, the reference:        {reference:13,.0f}")
    return figures


def guard_instructions(*, renews: bool) -> bool:
    """Whether the counts are within their limits; `renews` has them be the limits."""
    paths = list(PATHS)
    if core is None:
        paths.remove("compiled")
        print("instructions, compiled: skipped: the compiled core is not there")
    figures = count(paths)
    if renews:
        update(figures)
        print(f"the limits of Python {PYTHON} are these now")
        return True
    limits = load()["instructions"]
    if (version := nearest(limits)) != PYTHON:
        print(f"there are no limits for Python {PYTHON}: those of {version} stand for them, with more room")
    return shown("instructions ÷ the reference's", "limit", judge_instructions(figures, limits, paths))


def guard_speed() -> bool:
    """Whether Parley is quick enough beside the relay, or is at the second attempt."""
    floors = {name: load()[name]["floors"] for name in TITLES}
    found = speeds()
    if not all(verdict.ok for name in TITLES for verdict in judge_speed(found[name], floors[name])):
        print("speed: below a floor, so measured once more", flush=True)
        again = speeds()
        found = {name: {key: max(value, again[name][key]) for key, value in found[name].items()} for name in TITLES}
    well = True
    for name, title in TITLES.items():
        well &= shown(title, "floor", judge_speed(found[name], floors[name]))
    return well


def shown(title: str, word: str, verdicts: list[Verdict]) -> bool:
    """Print what was found; whether all of it is well."""
    for each in verdicts:
        mark = "ok  " if each.ok else "FAIL"
        print(f"{mark} {title}, {each.figure}: {each.value:.3f} ({word} {each.limit:.3f}) {each.words}".rstrip())
    return all(each.ok for each in verdicts)


def main() -> int:
    """Guard what is named, or all. 1 where something is beyond its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--update", action="store_true", help="the instructions counted now are the limits")
    arguments = parser.parse_args()
    alone()
    parts: dict[str, Callable[[], bool]] = {
        "instructions": lambda: guard_instructions(renews=arguments.update),
        "speed": guard_speed,
    }
    began, well = time.monotonic(), True
    for name, part in parts.items():
        if arguments.only in {None, name}:
            try:
                well &= part()
            except UnavailableError as error:
                print(f"{name}: skipped: {error}", flush=True)
    print(f"the guard took {time.monotonic() - began:.0f} s", flush=True)
    return int(not well)


if __name__ == "__main__":
    raise SystemExit(main())
