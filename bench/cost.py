"""What processes have used: CPU time to the nanosecond, and memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.nodes import Node


def pids(nodes: Iterable[Node], *services: str) -> list[int]:
    """Their processes, of these services or all."""
    return [node.pid(service) for node in nodes for service in services or node.services]


def cpu(processes: Sequence[int]) -> float:
    """Seconds of CPU that the threads of these processes have used.

    As the scheduler counts them: the times of /proc/PID/stat have steps of 10 ms, too coarse for what rests.
    """
    return sum(_scheduled(pid) for pid in processes)


def _scheduled(pid: int) -> float:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        nanoseconds = 0
        for thread in threads:
            with suppress(FileNotFoundError):  # it ended meanwhile
                nanoseconds += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    except FileNotFoundError:  # not Linux
        nanoseconds = 0
    if nanoseconds:
        return nanoseconds / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def memory(processes: Iterable[int]) -> float:
    """Bytes: what only they have, and their share of what several have (PSS)."""
    return float(sum(psutil.Process(pid).memory_full_info().pss for pid in processes))
