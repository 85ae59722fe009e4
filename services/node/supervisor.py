"""A whole node on one machine: one child process per feature, restarting what dies.

It imports all that its children need, and forks them: they share what was imported, and are there at once. A fork
takes over threads' locks and an event loop's sockets, so this process has neither; what watches the node
for people (watcher.py) is a child, too.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import runpy
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial

from parley.services.node.forking import Signals, fork
from parley.services.node.watcher import Watcher
from parley.shared.config import Config
from parley.shared.errors import EXIT_CONFIG
from parley.shared.runtime.backoff import Backoff
from parley.shared.runtime.event_loop import run_loop
from parley.shared.service.process import SUPERVISED
from parley.shared.sockets.listener import Listener

SERVICES = ("discovery", "chat", "typing", "location")
STOP_WITHIN = 2.5
"""Seconds for the children to hang up before they are killed."""
STEADY = 5.0
"""Seconds a child must have lived for its end not to count as one more failure in a row."""


def check_ports(config: Config, services: Sequence[str]) -> None:
    """Raise ConfigError where a port that the node needs is taken: before anything is started."""
    for service in services:
        settings = getattr(config, service)
        tcp = settings.tcp_port if service == "discovery" else settings.port
        for port, what in ((tcp, service), (settings.http_port, f"{service}'s HTTP")):
            Listener(config.bind_host, port, what).pause()


class Child:
    """One process of the node: `start` forks it."""

    def __init__(self, name: str, start: Callable[[], int]) -> None:
        self.name = name
        self._start = start
        self._pid: int | None = None
        self._began = 0.0
        self._backoff = Backoff(0.1, 5.0)
        self.due: float | None = 0.0
        """When (monotonic) it is to be started; None while it runs."""

    def start(self) -> str:
        """Start it; why that is not possible now, and then it is due again: no memory, too many processes."""
        self._began, self.due = time.monotonic(), None
        try:
            self._pid = self._start()
        except OSError as error:
            self.due = self._began + self._backoff.next_delay()
            return error.strerror or repr(error)
        return ""

    def ended(self) -> int | None:
        """The child's exit code (-N: ended by signal N), once after its end; it is due again then."""
        if self._pid is None:
            return None
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid == 0:
            return None
        self._pid = None
        now, delay = time.monotonic(), 0.0
        if now - self._began >= STEADY:
            self._backoff.reset()
        else:
            delay = self._backoff.next_delay()
        self.due = now + delay
        return os.waitstatus_to_exitcode(status)

    @property
    def runs(self) -> bool:
        """Whether there is such a process, as far as was seen."""
        return self._pid is not None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)


class Supervisor:
    """Keeps a node's processes running. `tell` prints a line."""

    def __init__(self, config: Config, services: Sequence[str], tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._signals = Signals(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
        self._children = [
            *(Child(name, partial(self._fork, partial(_serve, name), name)) for name in services),
            Child("watcher", partial(self._fork, partial(_watch, config, services, tell))),
        ]
        os.environ[SUPERVISED] = "1"
        self._input, self._kept_open = os.pipe()
        """The children's standard input, which ends when this process does, however it ends."""
        _import_all(services)

    def run(self) -> int:
        """Run until told to stop, or until a process cannot run (EXIT_CONFIG); the exit code."""
        with self._signals:
            code = self._keep_running()
            self._stop()
        os.close(self._input)
        os.close(self._kept_open)
        return code

    def _keep_running(self) -> int:
        while True:
            now = time.monotonic()
            for child in self._children:
                if child.due is not None and child.due <= now and (error := child.start()):
                    self._tell(f"{child.name} cannot be started now ({error}); trying again")
            due = [child.due for child in self._children if child.due is not None]
            if self._signals.wait(max(min(due) - now, 0.0) if due else None) - {signal.SIGCHLD}:
                return 0
            for child in self._children:
                code = child.ended()
                if code == EXIT_CONFIG:
                    return code
                if code is not None:
                    self._tell(f"{child.name} ended ({_how_it_ended(code)}); starting it again")

    def _stop(self) -> None:
        """End them: SIGTERM, and SIGKILL where it takes too long."""
        until = time.monotonic() + STOP_WITHIN
        for child in self._children:
            child.signal(signal.SIGTERM)
        while self._any_runs() and (left := until - time.monotonic()) > 0:
            self._signals.wait(left)
        for child in self._children:
            child.signal(signal.SIGKILL)
        while self._any_runs():
            self._signals.wait(STOP_WITHIN)

    def _any_runs(self) -> bool:
        for child in self._children:
            child.ended()
        return any(child.runs for child in self._children)

    def _fork(self, main: Callable[[], None], name: str = "") -> int:
        def begin() -> None:
            os.close(self._kept_open)
            os.dup2(self._input, 0)
            os.close(self._input)
            main()

        return fork(begin, self._signals, f"services.{name}" if name else "")


def _import_all(services: Sequence[str]) -> None:
    """Import what the children need; the garbage collector shall not touch it, so that its pages stay shared."""
    with contextlib.suppress(ImportError):
        importlib.import_module("uvloop")
    for name in services:
        importlib.import_module(f"parley.services.{name}.service")
    gc.collect()
    gc.freeze()


def _serve(name: str) -> None:
    runpy.run_module(f"parley.services.{name}", run_name="__main__", alter_sys=True)


def _watch(config: Config, services: Sequence[str], tell: Callable[[str], None]) -> None:
    run_loop(Watcher(config, services, tell).run())


def _how_it_ended(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
