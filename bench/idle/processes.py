"""What processes take of memory and of CPU, as the kernel accounts for it (Linux)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from bench.cost import MIB, RecentMessages, cpu, memory_of

Row = dict[str, float]
"""One measurement's figures, as build/idle.json has them (bench/curves/sources.py)."""


def cpu_in(pids: Iterable[int], seconds: float) -> dict[int, float]:
    """The share of a core that each of these processes takes, over so many seconds from now."""
    pids = list(pids)
    began, before = time.perf_counter(), {pid: cpu([pid]) for pid in pids}
    time.sleep(seconds)
    after = {pid: cpu([pid]) for pid in pids}
    passed = time.perf_counter() - began
    return {pid: (after[pid] - before[pid]) / passed for pid in pids}


def written(memory: RecentMessages) -> str:
    """For people."""
    return f"{memory.pss / MIB:6.1f} MiB PSS ({memory.rss / MIB:6.1f} MiB RSS)"


def show(named: Mapping[str, int], shares: Mapping[int, float]) -> tuple[int, float]:
    """Print a line for each process and one for all; their PSS (bytes) and share of a core."""
    total, share = 0, 0.0
    for name, pid in named.items():
        taken = memory_of(pid)
        print(f"  {name:<22} {written(taken)}  {shares[pid]:7.3%} of a core")
        total += taken.pss
        share += shares[pid]
    print(f"  {'in all':<22} {total / MIB:6.1f} MiB PSS {'':18}  {share:7.3%} of a core")
    return total, share


def verdict(what: str, value: str, *, kept: bool) -> bool:
    """Print whether a target is kept."""
    print(f"  {what}: {value}: target {'kept' if kept else 'MISSED'}")
    return kept
