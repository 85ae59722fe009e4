"""A part of a run in a process of its own, on processors of its own, that ends with the run however that ends."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection
from typing import Any, Final, Self

PR_SET_PDEATHSIG: Final = 1
END: Final = 5.0
"""Seconds that it has to end by itself."""


class ChildFailed(RuntimeError):
    """The process ended, or did not answer in time."""


class Child:
    """Runs `function(pipe, *arguments)`; a context manager that leaves nothing behind."""

    def __init__(self, function: Callable[..., None], *arguments: object, processors: Collection[int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._theirs = theirs
        self._process = context.Process(target=_run, args=(theirs, processors, function, arguments), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def tell(self, what: object) -> None:
        """Say something."""
        try:
            self._pipe.send(what)
        except OSError as error:
            raise ChildFailed(f"it ended: {error}") from error

    def hear(self, timeout: float) -> Any:
        """Wait for what it says. ChildFailed where it does not, or failed."""
        try:
            if not self._pipe.poll(timeout):
                raise ChildFailed(f"no answer in {timeout:g} s")
            said = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ChildFailed("it ended without a word") from error
        if isinstance(said, _Failed):
            raise ChildFailed(said.why)
        return said

    def ask(self, what: object, timeout: float) -> Any:
        """Say something and wait for the answer."""
        self.tell(what)
        return self.hear(timeout)


class _Failed:
    """The last word of one that fails."""

    def __init__(self, why: str) -> None:
        self.why = why


def _run(
    pipe: Connection, processors: Collection[int], function: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's to handle
    os.sched_setaffinity(0, processors)
    try:
        function(pipe, *arguments)
    except Exception:  # noqa: BLE001 - whoever started it tells of it
        with contextlib.suppress(OSError):
            pipe.send(_Failed(traceback.format_exc()))
