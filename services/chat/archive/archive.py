"""The archive as the chat process has it: told of messages, asked by clients, closed at the end.

Where the file cannot be used, chat goes on without an archive, and says so: a log line, and a metric.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from parley.services.chat.archive.collector import Collector
from parley.services.chat.archive.storage import NAME, Unusable
from parley.services.chat.archive.sync import SyncReader
from parley.services.chat.archive.worker import Chunk, Policy, Worker
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.runtime.thread_load import ThreadLoad
from parley.shared.telemetry.logs import Log
from parley.shared.trust.authors import KeysOf

COMMIT: Final = 0.05
"""Seconds for which entries are gathered."""
FRESH: Final = 0.5
"""Seconds after a question for which its answer waits for what was told before."""
ASKED: Final = 64
"""Questions that may wait for an answer."""
SWITCH: Final = 0.0002
"""Seconds for which the archive's threads may keep the interpreter while the event loop waits for it; Python's own
5 ms would be added to a message's way at each turn of the loop."""
STEP: Final = 0.5
"""Seconds by which the clock has to differ to be set again."""

T = TypeVar("T")


class Archive:
    """One server's archive."""

    def __init__(
        self,
        directory: Path,
        server_id: str,
        policy: Policy,
        *,
        age: Callable[[], float],
        keys: KeysOf = lambda _user: None,
        log: Log,
        faults: Faults,
    ) -> None:
        """Open, or make, `directory`/archive.db; `age` is the mailbox's (seconds), by which days count.

        `keys` tells authors' devices, on the archive's thread.

        Raises:
            Unusable: it cannot be used; the file is left as it is.

        """
        self._path = directory / NAME
        self._age = age
        self.policy = policy
        self._loop = asyncio.get_running_loop()
        sys.setswitchinterval(min(SWITCH, sys.getswitchinterval()))
        self.news: Callable[[set[str]], None] = lambda _people: None
        """Hears, on the loop, whose lists were changed."""
        self._is_open = True
        self.worker = Worker(self._path, policy, log, self._touched, ThreadLoad().part, keys)
        self._faults = faults
        self._timer = SupervisedTimer("handing over entries", self.hand_over, faults)
        self.collector = Collector(server_id, self.begun)
        self._is_announced = False
        self._clock = time.time() - time.monotonic()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="archive-reader")
        self._reader: SyncReader | None = None
        self._asked = 0

    def begun(self) -> None:
        """There is something to hand over soon; told again: much."""
        now = time.monotonic()
        self._timer.set(now if self._is_announced else now + COMMIT)
        self._is_announced = True

    def hand_over(self) -> None:
        """Have all that was told written."""
        self._is_announced = False
        self._timer.cancel()
        entries = self.collector.take()
        if not entries:
            return
        now, wall = time.monotonic(), time.time()
        if abs(wall - now - self._clock) > STEP:
            self._clock = wall - now
        self.worker.put(Chunk(entries, self._age(), self._clock, wall, now))

    def _touched(self, people: set[str]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to be told
            self._loop.call_soon_threadsafe(self._tell, people)

    def _tell(self, people: set[str]) -> None:
        if self._is_open:
            self.news(people)

    def ask(self, question: Callable[[SyncReader], T], answer: Callable[[T | None], None]) -> bool:
        """Have a question answered on the reader's thread, and `answer` called on the loop; None: it failed.

        It sees all that was told so far, unless that takes too long. False: too many wait.
        """
        if self._asked >= ASKED or not self._is_open:
            return False
        self.hand_over()
        self._asked += 1
        asked, until = self.worker.put_so_far, time.monotonic() + FRESH

        def read() -> T | None:
            self.worker.wait_for(asked, until - time.monotonic())
            try:
                if self._reader is None:
                    self._reader = SyncReader(self._path)
                return question(self._reader)
            except sqlite3.Error:
                return None

        def answered(future: asyncio.Future[T | None]) -> None:
            self._asked -= 1
            if not self._is_open or future.cancelled():
                return
            error = future.exception()
            if error is not None:  # whatever it is, who asks is not to wait for ever
                self.failed("answering a question about history", error)
            answer(None if error is not None else future.result())

        self._loop.run_in_executor(self._readers, read).add_done_callback(answered)
        return True

    def failed(self, what: str, error: BaseException) -> None:
        """Log and count an error that nobody foresaw."""
        self._faults.stray(what, error)

    async def change(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Have the file changed on its thread; what was told before is in it.

        sqlite3.Error: it cannot be changed, or is so far behind that some of that would come after the change.
        """
        self.hand_over()
        done: asyncio.Future[T] = self._loop.create_future()

        def task(db: sqlite3.Connection) -> None:
            try:
                result = change(db)
            except Exception as error:  # noqa: BLE001 - it is given to who asked
                self._loop.call_soon_threadsafe(_fail, done, error)
            else:
                self._loop.call_soon_threadsafe(_succeed, done, result)

        asked = self.worker.put_so_far
        if not await self._loop.run_in_executor(self._readers, self.worker.wait_for, asked, 10 * FRESH):
            raise sqlite3.OperationalError("the archive is behind, and cannot be changed now")
        self.worker.do(task)
        return await done

    def close(self) -> None:
        """Write all that was told, and close the file."""
        self.hand_over()
        self._is_open = False
        self.worker.close()
        self._readers.shutdown(wait=True, cancel_futures=True)
        if self._reader is not None:
            self._reader.close()


def _succeed(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[T], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


__all__ = ["Archive", "Policy", "Unusable"]
