"""Forking for a process without threads and event loop: the child, its name for people, and signals as events."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Self

from parley.shared.runtime.process_title import set_title


class Signals:
    """Signals to wait for; a context manager. They are held back while it forks: none gets lost or comes twice."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self.numbers = numbers

    def __enter__(self) -> Self:
        self._readable, self._writable = os.pipe()
        for end in (self._readable, self._writable):
            os.set_blocking(end, False)
        self._before = {number: signal.signal(number, _wake) for number in self.numbers}
        self._descriptor_before = signal.set_wakeup_fd(self._writable, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._descriptor_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._readable)
        os.close(self._writable)

    def wait(self, timeout: float | None) -> set[int]:
        """Wait for signals, or so many seconds; which ones came."""
        select.select([self._readable], [], [], timeout)
        try:
            return set(os.read(self._readable, 4096))
        except BlockingIOError:
            return set()

    def forget(self) -> None:
        """In a child: they are nobody's any more and end it, until it handles them itself."""
        signal.set_wakeup_fd(-1)
        for number in self.numbers:
            signal.signal(number, signal.SIG_DFL)
        os.close(self._readable)
        os.close(self._writable)


def _wake(_number: int, _frame: object) -> None:
    """Nothing: the number is written to the pipe."""


def fork(begin: Callable[[], None], signals: Signals, module: str = "") -> int:
    """Run `begin` in a child that ends with it, as an interpreter does; its pid.

    The child's command line is that of `python -m MODULE`; empty: it stays as it is.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.numbers)
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.numbers)
        raise
    if pid == 0:
        os._exit(_run(begin, signals, module))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.numbers)
    return pid


def _run(begin: Callable[[], None], signals: Signals, module: str) -> int:
    """The child: its exit code."""
    code = 1
    try:
        if module:
            set_title(module)
        code = _exit_code(begin, signals)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - whatever it is, the parent's code must not go on in the child
        traceback.print_exc()
    return code


def _exit_code(begin: Callable[[], None], signals: Signals) -> int:
    try:
        signals.forget()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.numbers)
        begin()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    return 0
