"""What processes have used: CPU time to the nanosecond, and memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from tests.support.nodes import Node

KIB: Final = 1024
MIB: Final = 1024 * KIB
_SCHEDULED: Final = 2
"""Of a process's clock: what the scheduler counted (clock_getcpuclockid(3))."""


def pids(nodes: Iterable[Node], *services: str) -> list[int]:
    """Their processes, of these services or all."""
    return [node.pid(service) for node in nodes for service in services or node.services]


def cpu(processes: Sequence[int]) -> float:
    """Seconds of CPU that the threads of these processes have used.

    As the scheduler counts them: the times of /proc/PID/stat have steps of 10 ms, too coarse for what rests.
    Threads that have ended count, too; /proc/PID/task has lost theirs.
    """
    return sum(_scheduled(pid) for pid in processes)


def _scheduled(pid: int) -> float:
    with suppress(OSError):  # not Linux, or it has ended
        return time.clock_gettime(~pid << 3 | _SCHEDULED)
    if not psutil.pid_exists(pid):
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


class RecentMessages(NamedTuple):
    """Bytes: all that is resident, and that with shared pages divided among those that share them."""

    rss: int
    pss: int


def memory_of(pid: int) -> RecentMessages:
    """What a process takes now; nothing where it has ended, or the kernel (Linux only) does not say."""
    found = dict.fromkeys(("Rss", "Pss"), 0)
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(":")
            if key in found:
                found[key] = int(value.split()[0]) * KIB
    return RecentMessages(found["Rss"], found["Pss"])


def memory(processes: Iterable[int]) -> float:
    """Bytes: what only they have, and their share of what several have (PSS)."""
    return float(sum(memory_of(pid).pss for pid in processes))


def tree(processes: Iterable[int]) -> list[int]:
    """These processes and all below them."""
    found = []
    for pid in processes:
        found.append(pid)
        with suppress(psutil.NoSuchProcess):
            found += [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return found
