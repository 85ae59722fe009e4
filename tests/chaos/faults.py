"""Does what the schedule says to the nodes, on threads, and notes when it began and ended."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from docker.errors import APIError
from docker.models.containers import Container

from tests.chaos.cluster import Cluster
from tests.chaos.schedule import BESIDES, CHAT, Fault, Target

POLL: Final = 0.1
AT_ONCE: Final = 64
"""Faults that are going on, or wait for another one of the same process to end."""
EPOCH: Final = 100.0
"""Unix seconds: the time by the clock of a machine that has no battery, soon after it was started."""
BACK: Final = 90.0
"""Seconds within which the engine starts a process again that was killed; it backs off for up to 60."""


@dataclass
class Done:
    """A fault that was done. `began`, `ended`: seconds of the run."""

    fault: Fault
    began: float
    ended: float = 0.0
    detail: str = ""
    error: str = ""
    """Why it could not be done: a fault of the test's, not of what is tested."""

    def __str__(self) -> str:
        parts = [f"{self.began:7.2f} … {self.ended:7.2f} s  {self.fault}", self.detail, self.error]
        return "; ".join(part for part in parts if part)


class Faults:
    """Faults, each on a thread of its own; those for the same process come one after another."""

    def __init__(self, cluster: Cluster, now: Callable[[], float], told: Callable[[Done], None]) -> None:
        self._cluster = cluster
        self._now = now
        self._told = told
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(AT_ONCE, "fault")
        self._running: list[Future[None]] = []
        self.done: list[Done] = []

    def begin(self, fault: Fault) -> None:
        """Do it; returns at once."""
        self._running.append(self._threads.submit(self._do, fault))

    @property
    def are_done(self) -> bool:
        """Whether nothing is being done any more."""
        return all(each.done() for each in self._running)

    def _do(self, fault: Fault) -> None:
        action = getattr(self, f"_do_{fault.kind}")
        with contextlib.ExitStack() as stack:
            if fault.kind not in BESIDES:
                for target in sorted(fault.targets):
                    stack.enter_context(self._cluster.locks[target])
            done = Done(fault, self._now())
            self.done.append(done)
            try:
                done.detail = action(fault) or ""
            except Exception as error:  # noqa: BLE001 - whatever it is, the run must tell and go on
                done.error = f"could not be done: {error!r}"
            done.ended = self._now()
        self._told(done)

    # Each kind ------------------------------------------------------------------------------------

    def _do_kill(self, fault: Fault) -> str:
        """SIGKILL all but the container's init, from inside: so the restart policy applies."""
        took = self._cluster.each(self._kill_one, fault.targets)
        return f"running again after {max(took):.2f} s"

    def _kill_one(self, target: Target) -> float:
        container, began = self._cluster.containers[target], time.monotonic()
        before = self._wait_running(container)
        self._signal(target, "KILL")
        self._wait_running(container, unlike=before)
        return time.monotonic() - began

    def _do_down(self, fault: Fault) -> None:
        containers = self._containers(fault)
        self._cluster.each(Container.kill, containers)
        try:
            self._stop.wait(fault.seconds)
        finally:
            self._cluster.each(Container.start, containers)

    _do_restart = _do_down

    def _do_stop(self, fault: Fault) -> None:
        for target in fault.targets:
            self._signal(target, "STOP")
        try:
            self._stop.wait(fault.seconds)
        finally:
            for target in fault.targets:
                self._signal(target, "CONT")

    def _do_pause(self, fault: Fault) -> None:
        containers = self._containers(fault)
        self._cluster.each(Container.pause, containers)
        try:
            self._stop.wait(fault.seconds)
        finally:
            self._cluster.each(Container.unpause, containers)

    def _do_cut(self, fault: Fault) -> None:
        """Half-open links: neither end hears of it, and the container comes back with another address."""
        network = self._cluster.network
        self._cluster.each(network.disconnect, self._containers(fault))
        try:
            self._stop.wait(fault.seconds)
        finally:
            self._cluster.each(self._connect, fault.targets)

    def _connect(self, target: Target) -> None:
        self._cluster.network.connect(self._cluster.containers[target], aliases=self._cluster.aliases(target))

    def _do_reset(self, fault: Fault) -> str:
        return f"{self._change_network(fault)} connections"

    def _do_disk(self, fault: Fault) -> str:
        ((name, _),) = fault.targets
        command = ["python", "-IS", "/chaos/inside/ballast.py", str(fault.seconds)]
        code, output = self._cluster.keepers[name].exec_run(command)
        if code != 0:
            raise RuntimeError(output.decode(errors="replace").splitlines()[-1:])
        return f"full with {int(output) / 1e6:.0f} MB of ballast"

    def _do_clock(self, fault: Fault) -> None:
        node = fault.targets[0][0]
        with self._cluster.clocks[node]:
            self._cluster.set_clock(node, fault.offset)

    def _do_epoch(self, fault: Fault) -> None:
        """The machine starts without a clock and is told the time; then what keeps messages is started again."""
        node = fault.targets[0][0]
        with self._cluster.clocks[node]:
            containers = self._containers(fault)
            self._cluster.each(Container.kill, containers)
            try:
                self._cluster.set_clock(node, EPOCH - time.time())
                self._cluster.each(Container.start, containers)
                self._stop.wait(fault.seconds)
            finally:
                self._cluster.set_clock(node, 0.0)
                self._cluster.each(Container.start, containers)  # which runs: nothing is done
            self._do_kill(replace(fault, targets=((node, CHAT),)))

    def _do_mtu(self, fault: Fault) -> None:
        self._change_network(fault, fault.seconds, fault.size)

    def _do_line(self, fault: Fault) -> str:
        return self._change_network(fault, fault.seconds, fault.pause, fault.cut)

    def _do_dns(self, fault: Fault) -> str:
        return self._change_network(fault, fault.seconds)

    # What they are made of ----------------------------------------------------------------------------

    def _change_network(self, fault: Fault, *numbers: float) -> str:
        """Do to each process's network what `inside/network.py` knows; what it says of the first."""
        self._containers(fault)

        def change(target: Target) -> str:
            return self._cluster.run_beside(target, [fault.kind, *map(str, numbers or (0.0,))], self._stop)

        return str(self._cluster.each(change, fault.targets)[0])

    def _containers(self, fault: Fault) -> list[Container]:
        containers = [self._cluster.containers[target] for target in fault.targets]
        for container in containers:
            self._wait_running(container)
        return containers

    def _signal(self, target: Target, name: str) -> None:
        """Send a signal to all processes of a container but its init."""
        container = self._cluster.containers[target]
        self._wait_running(container)
        container.exec_run(["sh", "-c", f"kill -{name} -1"])

    def _wait_running(self, container: Container, unlike: str = "") -> str:
        """When it was started, once it runs, and since another time than `unlike`."""
        deadline = time.monotonic() + BACK
        while True:
            container.reload()
            state = container.attrs["State"]
            if state["Running"] and not state["Restarting"] and state["StartedAt"] != unlike:
                return str(state["StartedAt"])
            if time.monotonic() > deadline:
                raise TimeoutError(f"{container.name} does not run: {state['Status']}")
            time.sleep(POLL)

    def close(self) -> None:
        """End early what is being done, and wait until all is undone."""
        self._stop.set()
        self._threads.shutdown()

    def undo_all(self) -> None:
        """See that every process runs, is not stopped and is on the network, whatever was done."""
        for target, container in self._cluster.containers.items():
            container.reload()
            with contextlib.suppress(APIError):
                if container.status == "paused":
                    container.unpause()
                if container.status in ("exited", "created"):
                    container.start()
                if not container.attrs["NetworkSettings"]["Networks"]:
                    self._connect(target)
