"""How busy a thread is: the part of the time for which it computes, or waits for a processor.

Linux tells both (proc(5), /proc/…/schedstat). Elsewhere nobody knows, and a thread counts as idle.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

LEAST = 0.02
"""Seconds between two looks: in less there is too little to tell from."""


class ThreadLoad:
    """The load of the thread that makes this; `part` may be asked by another."""

    def __init__(self) -> None:
        self._path = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/schedstat"
        self._at, self._spent = time.monotonic(), self._read()
        self._part = 0.0

    def _read(self) -> float:
        with contextlib.suppress(OSError, ValueError, IndexError):
            descriptor = os.open(self._path, os.O_RDONLY)
            try:
                computed, waited, *_ = os.read(descriptor, 128).split()
            finally:
                os.close(descriptor)
            return (int(computed) + int(waited)) / 1e9
        return 0.0

    def part(self) -> float:
        """From 0 to 1, since it was asked last."""
        now = time.monotonic()
        if now - self._at >= LEAST:
            spent = self._read()
            self._part = min(1.0, max(0.0, (spent - self._spent) / (now - self._at)))
            self._at, self._spent = now, spent
        return self._part
