"""Writes what changes to a file, a moment later and on a thread, so that nobody waits for the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, Protocol, TypeVar

from parley.shared.telemetry.logs import Log

SOON: Final = 0.25
"""Seconds after which what changed is written: a crash loses as much."""
LAST: Final = 2.0
"""Seconds for which the end waits for the disk."""

Key = TypeVar("Key")
Value = TypeVar("Value")
_K = TypeVar("_K")
_V_contra = TypeVar("_V_contra", contravariant=True)


class LateFile(Protocol[_K, _V_contra]):
    """A file that takes what changed. OSError, sqlite3.Error."""

    def add(self, changes: Mapping[_K, _V_contra], /) -> None:
        """Write what changed."""

    def close(self) -> None:
        """Let go of the file."""


class LateWriting(Generic[Key, Value]):
    """One file's, from `begin` to `end`. `name` stands in the log."""

    def __init__(self, name: str, log: Log) -> None:
        self._name = name
        self._log = log
        self._file: LateFile[Key, Value] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing: Future[None] | None = None
        self.unwritten: dict[Key, Value] = {}
        """Changes that wait for the disk; `changed` is called after each."""

    @property
    def is_on(self) -> bool:
        """Whether anything is written."""
        return self._file is not None

    def begin(self, file: LateFile[Key, Value]) -> None:
        """Write to that file from now on."""
        self._file = file

    def failed(self, error: Exception) -> None:
        """Without the file all goes on in memory."""
        self._log.warning(f"{self._name}_not_read", error=str(error))
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def changed(self) -> None:
        """There is something to write, soon."""
        if self._timer is None and self.is_on:
            self._timer = asyncio.get_running_loop().call_later(SOON, self._write)

    def _write(self) -> None:
        self._timer = None
        if self._writing is not None and not self._writing.done():
            self._timer = asyncio.get_running_loop().call_later(SOON, self._write)
        elif self._file is not None and self.unwritten:
            changes, self.unwritten = self.unwritten, {}
            self._writing = self._on_thread().submit(self._file.add, changes)
            self._writing.add_done_callback(self._written)

    def _on_thread(self) -> ThreadPoolExecutor:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, self._name)
        return self._thread

    def _written(self, writing: Future[None]) -> None:
        """Called on the thread."""
        if not writing.cancelled() and (error := writing.exception()) is not None:
            self._log.warning(f"{self._name}_not_written", error=str(error))

    async def end(self) -> None:
        """Write what is left, and let go of the file."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file is None:
            return
        loop, thread = asyncio.get_running_loop(), self._on_thread()
        file, self._file = self._file, None
        changes, self.unwritten = self.unwritten, {}
        try:
            async with asyncio.timeout(LAST):
                await loop.run_in_executor(thread, _write_last, file, changes)
        except (OSError, sqlite3.Error, TimeoutError) as error:
            self._log.warning(f"{self._name}_not_written", error=str(error))
        thread.shutdown(wait=False)
        self._thread = None


def _write_last(file: LateFile[Key, Value], changes: Mapping[Key, Value]) -> None:
    try:
        if changes:
            file.add(changes)
    finally:
        file.close()
