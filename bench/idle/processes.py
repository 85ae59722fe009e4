"""What processes take of memory and of CPU, as the kernel accounts for it (Linux)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

KIB, MIB = 1024, 1024 * 1024
NS = 1e9
Row = dict[str, float]
"""One measurement's figures, as build/idle.json has them (bench/curves/sources.py)."""


class Memory(NamedTuple):
    """Bytes: all that is resident, and that with shared pages divided among those that share them."""

    rss: int
    pss: int

    def __str__(self) -> str:
        return f"{self.pss / MIB:6.1f} MiB PSS ({self.rss / MIB:6.1f} MiB RSS)"


def memory(pid: int) -> Memory:
    """What a process takes now."""
    values = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        key, value = line.split()[:2]
        values[key] = int(value) * KIB
    return Memory(values["Rss:"], values["Pss:"])


def cpu(pid: int) -> float:
    """Seconds of CPU that a process's threads have had, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text(encoding="ascii").split()[0]) for thread in threads) / NS


def cpu_in(pids: Iterable[int], seconds: float) -> dict[int, float]:
    """The share of a core that each of these processes takes, over so many seconds from now."""
    pids = list(pids)
    began, before = time.perf_counter(), {pid: cpu(pid) for pid in pids}
    time.sleep(seconds)
    after = {pid: cpu(pid) for pid in pids}
    passed = time.perf_counter() - began
    return {pid: (after[pid] - before[pid]) / passed for pid in pids}


def show(named: Mapping[str, int], shares: Mapping[int, float]) -> tuple[int, float]:
    """Print a line for each process and one for all; their PSS (bytes) and share of a core."""
    total, share = 0, 0.0
    for name, pid in named.items():
        taken = memory(pid)
        print(f"  {name:<22} {taken}  {shares[pid]:7.3%} of a core")
        total += taken.pss
        share += shares[pid]
    print(f"  {'in all':<22} {total / MIB:6.1f} MiB PSS {'':18}  {share:7.3%} of a core")
    return total, share


def verdict(what: str, value: str, *, kept: bool) -> bool:
    """Print whether a target is kept."""
    print(f"  {what}: {value}: target {'kept' if kept else 'MISSED'}")
    return kept
