"""The two nodes that an attack is tried on, and what they use: memory, disk, descriptors, lines of log."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter as Count
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from tests.attack.attack import Attack, Counter
from tests.attack.places import ALPHA, BETA, NAMES
from tests.support.nodes import ROOT, Node, Samples, wait_linked

EVERY: Final = 0.5
"""Seconds between two looks at disk and descriptors."""
MIB: Final = 1 << 20


class Attacked(Node):
    """A node of a checkout, with so many descriptors for each process."""

    def __init__(self, address: str, directory: Path, root: Path, attack: type[Attack] | None) -> None:
        super().__init__(
            NAMES[address], address, directory, settings=attack.settings if attack is not None else None, root=root
        )
        self._descriptors = attack.descriptors if attack is not None else 0

    def command_of(self, service: str) -> list[str]:
        """What runs a service, with its limit."""
        limit = ["prlimit", f"--nofile={self._descriptors}"] if self._descriptors else []
        return [*limit, *super().command_of(service)]


@dataclass
class Usage:
    """The most that was used, of both nodes."""

    memory: dict[str, int] = field(default_factory=dict)
    """MiB, of each process."""
    disk: float = 0.0
    """MiB, of the node that has more."""
    descriptors: float = 0.0
    """The part of what it may have that the process took which took most."""
    lines: int = 0
    """Of log, of the node that wrote more."""
    events: str = ""
    """Which lines these were, mostly."""


class Nodes:
    """Alpha, which is attacked, and beta; a context manager."""

    def __init__(self, directory: Path, attack: type[Attack], root: Path = ROOT) -> None:
        self.alpha = Attacked(ALPHA, directory, root, attack)
        self.beta = Attacked(BETA, directory, root, None)
        self._attack = attack
        self._counted: dict[str, Samples] = {}
        self._written: dict[Path, int] = {}
        self._usage = Usage()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        started: list[Attacked] = []
        self._attack.furnish(self.alpha.directory / "data")
        try:
            for node in self._both:
                for service in node.services:
                    node.start(service)
                started.append(node)
            for node in started:
                node.wait_ready(timeout=60.0)
            wait_linked(self._both, timeout=60.0)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        """However they are: what they did until now was looked at."""
        self._over.set()
        for node in self._both:
            node._kill_all()

    @property
    def _both(self) -> Sequence[Attacked]:
        return self.alpha, self.beta

    def settle_on(self, processors: Collection[int]) -> None:
        """Have them run on these processors alone from now on; to start they may have all."""
        for node in self._both:
            for service in node.services:
                for task in Path(f"/proc/{node.pid(service)}/task").iterdir():
                    with suppress(ProcessLookupError):
                        os.sched_setaffinity(int(task.name), processors)

    # Before and after ---------------------------------------------------------------------------------

    def watch(self) -> None:
        """Note what is counted and written; look at disk and descriptors from now on."""
        self._counted = {service: self.alpha.metrics(service) for service in self.alpha.services}
        self._written = {path: path.stat().st_size for path in self._logs()}
        self._over.clear()
        threading.Thread(target=self._look, daemon=True).start()

    def _logs(self) -> list[Path]:
        return [node.directory / f"{service}.stderr" for node in self._both for service in node.services]

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            for node in self._both:
                self._usage.disk = max(self._usage.disk, _size(node.directory / "data") / MIB)
                for service in node.services:
                    if node.is_running(service):
                        self._usage.descriptors = max(self._usage.descriptors, _descriptors(node.pid(service)))

    def note_lines(self) -> None:
        """Count the lines of log since `watch`, before the attacker leaves: links then end as anybody's do."""
        for node in self._both:
            new = [line for path in self._logs() if node.directory == path.parent for line in self._new_lines(path)]
            if len(new) >= self._usage.lines:
                self._usage.lines = len(new)
                events = Count(_event(line) for line in new)
                self._usage.events = ", ".join(f"{count} {event}" for event, count in events.most_common(3))

    def used(self) -> Usage:
        """The most since the start."""
        self._over.set()
        for node in self._both:
            for service in node.services:
                if node.is_running(service):
                    self._usage.memory[f"{node.server_id} {service}"] = _peak(node.pid(service)) // MIB
        return self._usage

    def _new_lines(self, path: Path) -> list[str]:
        with path.open("rb") as file:
            file.seek(self._written.get(path, 0))
            return file.read().decode(errors="replace").splitlines()

    def grown(self, counters: Sequence[Counter]) -> dict[str, float]:
        """How much each grew since `watch`; of a process that does not answer nothing is known."""
        found: dict[str, float] = {}
        for counter in counters:
            try:
                now = self.alpha.metrics(counter.service)
            except (OSError, ValueError):
                continue
            before = self._counted[counter.service]
            labels = dict(counter.labels)
            found[str(counter)] = now.value(counter.name, **labels) - before.value(counter.name, **labels)
        return found

    def faults(self) -> list[str]:
        """What is not well when all is over: each process runs, is ready and linked, and logged no error."""
        found = []
        for node in self._both:
            for service in node.services:
                found += _faults(node, service)
        for path in self._logs():
            errors = [line for line in self._new_lines(path) if '"level": "error"' in line or "Traceback" in line]
            if errors:
                found.append(f"{path.parent.name} {path.stem} logged {len(errors)} errors: {errors[0][:200]}")
        return found


def _faults(node: Attacked, service: str) -> list[str]:
    what = f"{node.server_id} {service}"
    if not node.is_running(service):
        return [f"{what} ended"]
    try:
        node.wait_ready(service, timeout=5.0)
        if service != "discovery":
            other = NAMES[BETA if node.address == ALPHA else ALPHA]
            node.wait_linked(service, other, timeout=5.0)
    except (TimeoutError, RuntimeError, ValueError, KeyError) as error:
        return [f"{what}: {str(error)[:150]}"]
    return []


def _size(directory: Path) -> int:
    """Bytes that a directory takes on the disk; a file with two names is there once."""
    found: dict[tuple[int, int], int] = {}
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):
            about = path.lstat()
            found[about.st_dev, about.st_ino] = about.st_blocks * 512
    return sum(found.values())


def _descriptors(pid: int) -> float:
    """The part of a process's descriptors that it has."""
    try:
        count = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    except OSError:
        return 0.0
    allowed = next(line.split()[3] for line in limits.splitlines() if line.startswith("Max open files"))
    return count / int(allowed)


def _peak(pid: int) -> int:
    """The most memory that a process had: bytes of VmHWM."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _event(line: str) -> str:
    try:
        return str(json.loads(line).get("event", ""))
    except ValueError:
        return line[:40]
