"""Starts the archive's process, again and again: a process without threads and event loop forks it.

Chat forks that one before it has either. Where it did not, or that one has died, an interpreter is started for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from typing import Final

from parley.services.chat.archive.process.serving import serve
from parley.shared.runtime.process_title import set_title

NICENESS: Final = 10
"""Messages go first."""
MODULE: Final = "services.chat.archive.process"
IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A terminal and a service manager send these to all processes at once: chat tells ours when it is over."""


class Forker:
    """Chat's hold on that process."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._pid = 0
        self._started: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process; 0: there is none."""
        return self._started.pid if self._started is not None else self._pid

    def fork(self) -> None:
        """Fork it, if nothing forbids that: this process has neither threads nor an event loop yet."""
        if self._socket is not None or threading.active_count() > 1:
            return
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            ours.close()
            os._exit(_run(theirs))
        theirs.close()
        self._socket = ours

    def start(self) -> socket.socket:
        """Have the archive's process started, in place of the one before; our end of its socket.

        Raises:
            OSError: it cannot be now.

        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._socket or self._spawn(), [b"\0"], [theirs.fileno()])
            except OSError:
                ours.close()
                self.close()  # it died; the next time there will be another
                raise
        ours.setblocking(False)
        return ours

    def _spawn(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-m", f"parley.{MODULE}", str(number)]
            self._started = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[number])  # noqa: S603 - ours
        self._socket = ours
        return ours

    def close(self) -> None:
        """End it, once the archive's process has ended."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._started is not None:
            self._started.wait()
            self._started = None
        if self._pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0


def keep_forking(asked: socket.socket) -> None:
    """Fork the archive's process for each descriptor that comes, one after another, until chat is over."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    set_title(MODULE)
    pid = 0
    while True:
        try:
            data, descriptors, _flags, _address = socket.recv_fds(asked, 1, 1)
        except ConnectionError:
            data, descriptors = b"", []
        if pid:
            if data:  # chat has given that one up
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if not data:
            return
        pid = os.fork()
        if pid == 0:
            asked.close()
            serve(socket.socket(fileno=descriptors[0]))
            return
        os.close(descriptors[0])


def _run(asked: socket.socket) -> int:
    """The exit code of a fork: chat's code must not go on in it, whatever happens."""
    try:
        keep_forking(asked)
    except BaseException:  # noqa: BLE001 - see above
        traceback.print_exc()
        return 1
    return 0
