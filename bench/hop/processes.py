"""The processes that are measured: started, waited for, looked at and stopped, each by its id."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from bench.cost import tree

READY = 30.0
"""Seconds within which a server must answer."""
STOP = 5.0
"""Seconds that a server has to end, when asked to."""
POLL = 0.02
TAIL = 6
"""Lines of its output that tell why a server does not answer."""


class UnavailableError(Exception):
    """A system cannot be measured here; says why."""


def program(name: str) -> str:
    """Where a program is, in the administrator's folders too."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        raise UnavailableError(f"{name} is not installed")
    return path


class Program:
    """One server: a process with its children, which ends with this one at the latest."""

    def __init__(
        self,
        stack: ExitStack,
        directory: Path,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        guard = shutil.which("setpriv")
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                [*([guard, "--pdeathsig", "KILL"] if guard else []), *command],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.pid = self._popen.pid
        stack.callback(self.stop)

    def wait_port(self, address: str, port: int) -> None:
        """Wait until it listens there. UnavailableError where it has ended, or takes too long."""
        deadline = time.monotonic() + READY
        while time.monotonic() < deadline:
            if self._popen.poll() is not None:
                raise UnavailableError(f"{self.name} ended with {self._popen.returncode}: {self._last_words()}")
            with suppress(OSError), socket.create_connection((address, port), 1.0):
                return
            time.sleep(POLL)
        raise UnavailableError(f"{self.name} does not listen within {READY:g} s: {self._last_words()}")

    def stop(self) -> None:
        """Ask it to end; end it and what it started if it does not."""
        children = [psutil.Process(pid) for pid in tree([self.pid])[1:] if psutil.pid_exists(pid)]
        self._popen.terminate()
        try:
            self._popen.wait(STOP)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def _last_words(self) -> str:
        return " / ".join(self._log.read_text(errors="replace").splitlines()[-TAIL:])


def dial(stack: ExitStack, address: str, port: int) -> socket.socket:
    """A client's socket."""
    sock = stack.enter_context(socket.create_connection((address, port), READY))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_until(sock: socket.socket, *wanted: bytes, timeout: float = READY) -> bytes:
    """Read until one of these has come; return all that came. UnavailableError where it does not come."""
    data = b""
    deadline = time.monotonic() + timeout
    while not any(each in data for each in wanted):
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            more = sock.recv(65536)
        except TimeoutError:
            more = b""
        if not more:
            raise UnavailableError(f"{wanted!r} did not come, but {data[-300:]!r}")
        data += more
    return data


def probe(author: socket.socket, recipient: socket.socket, message: bytes, wanted: bytes) -> None:
    """Send a message again and again until one has come: the two servers know each other's clients by then."""
    deadline = time.monotonic() + READY
    while True:
        author.sendall(message)
        try:
            read_until(recipient, wanted, timeout=0.5)
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
        else:
            break
    for sock in (author, recipient):
        quiet(sock)


def quiet(sock: socket.socket, silence: float = 0.3) -> bytes:
    """Read what still comes, until nothing came for that many seconds."""
    data = b""
    sock.settimeout(silence)
    with suppress(TimeoutError):
        while more := sock.recv(65536):
            data += more
    return data
