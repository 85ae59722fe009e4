"""Processes that are there at once: forked, as `parley serve` does, from one that has imported what they need.

    popen = start_forked("chat", environment, file) or subprocess.Popen(…)
    popen = start_forked_command(["status"], environment, out, err) or subprocess.Popen(…)

The tests start thousands of processes, and each would import for longer than most of them live. What they are
forked from is started with the first of them, in its network, with what an interpreter reads of an environment at
its start. Commands are forked from what most of them import, and import what is their own.
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
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from parley.services.node.forking import Signals, fork
from parley.services.node.supervisor import SERVICES

ROOT = Path(__file__).resolve().parents[2]
PARLEY = str(Path(sys.executable).with_name("parley"))
NODE = ("uvloop", *(f"parley.services.{service}.service" for service in SERVICES))
COMMANDS = ("pydantic", "parley.cli.people.commands")
"""Modules of a node's processes, and of most commands."""
REQUEST = 1 << 17
"""Bytes of a request at most: an environment."""
LATER = ("HOME", "PARLEY_", "PYTEST_", "XDG_")
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

    def kill(self) -> None:
        """End it, if it has not ended."""
        self.send_signal(signal.SIGKILL)


class Origin:
    """What processes are forked from, seen from the tests."""

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forking", str(theirs.fileno()), *modules],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def start(self, what: Mapping[str, Any], environment: Mapping[str, str], out: int, err: int) -> Forked:
        """Fork a process; these descriptors take what it writes."""
        readable, writable = os.pipe()
        try:
            pid = self._ask({**what, "environment": dict(environment)}, readable, out, err)
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
"""What all are forked from, by what it has imported, and what it has of an environment and of a place."""
_asked: Counter[str] = Counter()
"""How often each of them was asked for."""


def start_forked(service: str, environment: Mapping[str, str], file: IO[bytes]) -> Forked | None:
    """A service of this checkout, with that environment, writing to `file`.

    None where there is nothing to fork it from: with what few tests have, processes import for themselves.
    """
    origin = _origin_of(NODE, environment)
    return origin and origin.start({"service": service}, environment, file.fileno(), file.fileno())


def start_forked_command(
    arguments: Sequence[str], environment: Mapping[str, str], out: int, err: int
) -> Forked | None:
    """`parley` with these arguments, in a session of its own, writing to these descriptors; None as above."""
    origin = _origin_of(COMMANDS, environment)
    return origin and origin.start({"arguments": list(arguments)}, environment, out, err)


def _origin_of(modules: Sequence[str], environment: Mapping[str, str]) -> Origin | None:
    """The one to fork from, which is made where it was wanted before; the first of all at once."""
    if not hasattr(os, "pidfd_open"):
        return None
    own = {k: v for k, v in sorted(environment.items()) if k in AT_ONCE or not k.startswith(LATER)}
    place = [str(Path("/proc/thread-self/ns", kind).readlink()) for kind in ("net", "mnt")]
    key = json.dumps([modules, own, *place])
    _asked[key] += 1
    if key not in _origin and (_asked[key] > 1 or not _origin):
        _origin[key] = Origin(own, modules)
        atexit.register(_origin[key].end)
    return _origin.get(key)


def main() -> None:
    """Import what is needed, then fork what is asked for, until nobody can ask any more."""
    for module in sys.argv[2:]:
        with contextlib.nullcontext() if module.startswith("parley.") else contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as connection, Signals() as signals:
        while True:
            said, descriptors, _, _ = socket.recv_fds(connection, REQUEST, 3)
            if not said:
                return
            request = json.loads(said)
            if "ended" in request:
                answer = os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1])
            else:
                answer = _fork(connection, signals, request, descriptors)
            connection.send(str(answer).encode())


def _fork(connection: socket.socket, signals: Signals, request: Mapping[str, Any], descriptors: list[int]) -> int:
    name = f"services.{request['service']}" if "service" in request else ""
    begun, beginning = os.pipe()

    def begin() -> None:
        connection.close()
        if not name:
            os.setsid()
        os.close(begun)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        if name:
            os.close(beginning)
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        else:
            _run_command(request["arguments"], beginning)

    try:
        pid = fork(begin, signals, name)
    finally:
        for descriptor in (*descriptors, beginning):
            os.close(descriptor)
    os.read(begun, 1)  # who knows its pid may signal it
    os.close(begun)
    return pid


def _run_command(arguments: Sequence[str], beginning: int) -> None:
    """Run the script, and end as an interpreter does: with its last thread, by the signal that interrupts it."""
    sys.argv = [PARLEY, *arguments]
    is_interrupted = False
    try:
        os.close(beginning)
        runpy.run_path(PARLEY, run_name="__main__")
    except KeyboardInterrupt:
        traceback.print_exc()
        is_interrupted = True
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    if is_interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
