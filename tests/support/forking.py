"""A node's processes, there at once: forked, as `parley serve` does, from one that has imported what they need.

    popen = start_forked("chat", environment, file) or subprocess.Popen(…)

The tests start thousands of processes, and each would import for longer than most of them live. What they are
forked from is started with the first of them, in its network, with what an interpreter reads of an environment at
its start.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from parley.services.node.forking import Signals, fork
from parley.services.node.supervisor import SERVICES

ROOT = Path(__file__).resolve().parents[2]
REQUEST = 1 << 17
"""Bytes of a request at most: an environment."""
LATER = ("PARLEY_", "PYTEST_", "XDG_")
"""Variables that begin so are read by what was imported, not while it is."""
AT_ONCE = ("PARLEY_PURE",)
"""But these, which decide what is imported."""


class Forked:
    """A process that was forked: what the tests use of `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: IO[bytes], origin: Origin) -> None:
        self.pid = pid
        self.stdin: IO[bytes] | None = stdin
        self.returncode: int | None = None
        self._origin = origin
        self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit code, -N where signal N ended it; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code. TimeoutExpired where it does not end within so many seconds."""
        if self.returncode is None:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"forked process {self.pid}", timeout or 0.0)
            self.returncode = self._origin.exit_code(self.pid)
            os.close(self._descriptor)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Origin:
    """What processes are forked from, seen from the tests."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forking", str(theirs.fileno())],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def start(self, service: str, environment: Mapping[str, str], file: IO[bytes]) -> Forked:
        """Fork a process; `file` takes what it writes."""
        readable, writable = os.pipe()
        try:
            pid = self._ask({"service": service, "environment": dict(environment)}, readable, file.fileno())
        except BaseException:
            os.close(writable)
            raise
        finally:
            os.close(readable)
        return Forked(pid, os.fdopen(writable, "wb"), self)

    def exit_code(self, pid: int) -> int:
        """The exit code of one that has ended."""
        return self._ask({"ended": pid})

    def end(self) -> None:
        """Fork nothing any more. What was forked goes on until it is told to stop."""
        self._ours.close()
        self._popen.wait()

    def _ask(self, request: Mapping[str, Any], *descriptors: int) -> int:
        with self._lock:
            socket.send_fds(self._ours, [json.dumps(request).encode()], descriptors)
            said = self._ours.recv(REQUEST)
        if not said:
            raise ConnectionError(f"what processes are forked from ended with {self._popen.wait()}")
        return int(said)


_origin: dict[str, Origin] = {}
"""What all are forked from, once there is one, by what it has of an environment and of a place."""


def start_forked(service: str, environment: Mapping[str, str], file: IO[bytes]) -> Forked | None:
    """A service of this checkout, with that environment, writing to `file`.

    None where there is nothing to fork it from: with what few tests have, processes import for themselves.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    own = {k: v for k, v in sorted(environment.items()) if k in AT_ONCE or not k.startswith(LATER)}
    key = json.dumps([own, *(str(Path("/proc/thread-self/ns", kind).readlink()) for kind in ("net", "mnt"))])
    if not _origin:
        _origin[key] = Origin(own)
        atexit.register(_origin[key].end)
    return _origin[key].start(service, environment, file) if key in _origin else None


def main() -> None:
    """Import what a node needs, then fork what is asked for, until nobody can ask any more."""
    with contextlib.suppress(ImportError):
        importlib.import_module("uvloop")
    for service in SERVICES:
        importlib.import_module(f"parley.services.{service}")
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as connection, Signals() as signals:
        while True:
            said, descriptors, _, _ = socket.recv_fds(connection, REQUEST, 2)
            if not said:
                return
            request = json.loads(said)
            if "ended" in request:
                answer = os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1])
            else:
                answer = _fork(connection, signals, request, descriptors)
            connection.send(str(answer).encode())


def _fork(connection: socket.socket, signals: Signals, request: Mapping[str, Any], descriptors: list[int]) -> int:
    name = f"services.{request['service']}"

    def begin() -> None:
        connection.close()
        stdin, file = descriptors
        for number, descriptor in ((0, stdin), (1, file), (2, file)):
            os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        runpy.run_module(name, run_name="__main__", alter_sys=True)

    try:
        return fork(begin, signals, name)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    main()
