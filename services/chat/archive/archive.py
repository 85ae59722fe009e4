"""The archive as chat has it: told of messages, asked by clients, closed at the end.

A process of its own has the file (process/); questions are answered here, on a thread with a reader. Where the file
cannot be used, chat goes on without an archive, and says so: a log line, and a metric.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from parley.services.chat.archive import files, storage
from parley.services.chat.archive.changes import Change
from parley.services.chat.archive.collector import Collector
from parley.services.chat.archive.entries import count
from parley.services.chat.archive.journal.journal import Journal
from parley.services.chat.archive.journal.segment_files import SegmentFiles
from parley.services.chat.archive.process.archive_process import ArchiveProcess, ChangeFailed
from parley.services.chat.archive.process.forker import Forker
from parley.services.chat.archive.process.handover import Handover
from parley.services.chat.archive.process.messages import Begin, FromProcess, Position, Put, Ready, Touched
from parley.services.chat.archive.storage import NAME, Unusable
from parley.services.chat.archive.sync import SyncReader
from parley.services.chat.archive.worker import Policy
from parley.services.chat.storage.body_files import JOURNAL
from parley.shared.limits.queues import SharedQueue
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.runtime.thread_load import ThreadLoad
from parley.shared.telemetry.logs import Log
from parley.shared.trust.authors import KeysOf

COMMIT: Final = 0.05
"""Seconds for which entries are gathered."""
FRESH: Final = 2.0
"""Seconds for which an answer waits for what was told before the question: on a busy machine messages go first."""
ASKED: Final = 64
"""Questions that may wait for an answer; the addresses that ask share these places."""
BUSY_LOOP: Final = 0.25
"""The part of its time for which the event loop is at work, from which on chat is busy."""
RESTS, LONGEST_REST = 3.0, 0.5
"""While it is, the reader rests so many times what an answer took, and so many seconds at most."""
SWITCH: Final = 0.0002
"""Seconds for which the reader's thread may keep the interpreter while the event loop waits for it; Python's own
5 ms would be added to a message's way at each turn of the loop."""
STEP: Final = 0.5
"""Seconds by which the clock has to differ to be set again."""
SYNC: Final = 0.5
"""Seconds after which what is not in the archive yet is made safe from a power cut in the journal."""

T = TypeVar("T")


class _Question(NamedTuple):
    """A question that waits until what was told before it is in lists, and for its turn."""

    put: int
    until: float
    question: Callable[[SyncReader], Any]
    answer: Callable[[Any], None]
    displaced: Callable[[], None]


class Archive:
    """One server's archive."""

    def __init__(
        self,
        directory: Path,
        server_id: str,
        policy: Policy,
        *,
        forker: Forker,
        age: Callable[[], float],
        keys: KeysOf = lambda _user: None,
        log: Log,
        faults: Faults,
    ) -> None:
        """Open, or make, `directory`/archive.db; `age` is the mailbox's (seconds), by which days count.

        `keys` tells authors' devices.

        Raises:
            Unusable: it cannot be used; the file is left as it is.

        """
        self._path = directory / NAME
        self._clock = time.time() - time.monotonic()
        self.segments = SegmentFiles(directory / JOURNAL, self._clock)
        self.segments.began_unusable = lambda why: log.error(
            "archive_journal_unusable", detail="a killed process loses what the archive does not have", error=why
        )
        with contextlib.closing(storage.open_file(self._path)) as db:
            # The journal may have lost what the archive has: its numbers must go on behind both.
            base = max(self.segments.end_of_left, storage.handed_over(db, self.segments.session))
        self._age = age
        self._log = log
        self.policy = policy
        self._loop = asyncio.get_running_loop()
        sys.setswitchinterval(min(SWITCH, sys.getswitchinterval()))
        self.news: Callable[[set[str]], None] = lambda _people: None
        """Hears whose lists were changed."""
        self._is_open = True
        self._faults = faults
        self._timer = SupervisedTimer("handing over entries", self.hand_over, faults)
        self._late = SupervisedTimer("answering late questions", self._look, faults)
        self._questions: SharedQueue[_Question] = SharedQueue(ASKED)
        """By the address that asks."""
        self.journal = Journal(self.segments, base)
        self.collector = Collector(server_id, self.begun, self.journal)
        self._is_announced = False
        self._syncs: ThreadPoolExecutor | None = None
        self._sync = SupervisedTimer("syncing the archive's journal", self._sync_journal, faults)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="archive-reader")
        self._load = ThreadLoad().part
        self._rests_until = 0.0
        """When the reader goes on (seconds, monotonic)."""
        self._closing = threading.Event()
        self._reader: SyncReader | None = None
        self._is_reading = False
        begin = Begin(str(self._path), server_id, self.segments.session, policy.days, policy.size)
        handover = Handover(begin, base, self._left)
        self.process = ArchiveProcess(forker, begin, keys, log, faults, self._heard, handover)

    def begun(self) -> None:
        """There is something to hand over soon; told again: much."""
        now = time.monotonic()
        self._timer.set(now if self._is_announced else now + COMMIT)
        self._is_announced = True

    def hand_over(self) -> None:
        """Have all that was told written."""
        self._is_announced = False
        self._timer.cancel()
        number, entries = self.collector.take()
        if not entries:
            return
        now, wall = time.monotonic(), time.time()
        if abs(wall - now - self._clock) > STEP:
            self._clock = wall - now
            self.segments.set_clock(self._clock)
        if not self.process.put(number, entries, self._age(), self._clock, wall, now):
            files.discard(self._path.parent, b"".join(entries))
            self._release()
        else:
            self._sync.set(now + SYNC)

    def _left(self, written: int) -> list[Put]:
        """The chunks that the process before left, behind what it had written."""
        now, wall = time.monotonic(), time.time()
        found = [
            Put(each.number, each.entries, self._age(), each.clock, wall, now)
            for each in self.segments.left(written)
        ]
        if found:
            self._log.info("archive_journal_replayed", entries=sum(count(each.entries) for each in found))
        return found

    def _release(self) -> None:
        """Let the journal go as far as the archive has it."""
        done = self.process.handover.done
        self.segments.release(done)
        self.journal.release(done)

    def _sync_journal(self) -> None:
        """Have what waits for long be safe from a power cut, if anything does."""
        oldest = self.process.handover.oldest
        if oldest is None or not self._is_open:
            return
        now = time.monotonic()
        if now - oldest >= SYNC:
            if self._syncs is None:
                self._syncs = ThreadPoolExecutor(1, thread_name_prefix="archive-journal")
            self._syncs.submit(self.segments.syncing())
        self._sync.set(max(oldest, now) + SYNC)

    def _heard(self, message: FromProcess) -> None:
        match message:
            case Position() | Ready():
                self._release()
                self._look()
            case Touched(people):
                self.news(set(people))

    def ask(
        self,
        question: Callable[[SyncReader], T],
        answer: Callable[[T | None], None],
        *,
        origin: str = "",
        displaced: Callable[[], None] = lambda: None,
    ) -> bool:
        """Have a question answered on the reader's thread, and `answer` called on the loop; None: it failed.

        It sees all that was told so far, unless that takes too long. False: too many wait. Addresses (`origin`) are
        answered in turn; `displaced` is called instead of `answer` where it gave its place up to another one.
        """
        if not self._is_open:
            return False
        self.hand_over()
        put = self.process.handover.put_so_far
        asked = _Question(put, time.monotonic() + FRESH, question, answer, displaced)
        without = self._questions.add(origin, asked)
        if without is asked:
            return False
        self.process.ask(put)
        self._look()
        if without is not None:
            without.displaced()
        return True

    def _look(self) -> None:
        """Read for the next question that has waited for all that it is to see, or long enough."""
        if self._is_reading:
            return
        now, listed = time.monotonic(), self.process.handover.position.listed
        found = self._questions.take(lambda asked: asked.put <= listed or asked.until <= now)
        if found is not None:
            self._is_reading = True
            self._late.cancel()
            self._read(*found)
        elif (until := self._questions.oldest(lambda asked: asked.until)) is not None:
            self._late.set(until)
        else:
            self._late.cancel()

    def _read(self, origin: Hashable, asked: _Question) -> None:
        def read() -> object:
            self._closing.wait(max(0.0, self._rests_until - time.monotonic()))
            began = time.monotonic()
            try:
                if self._reader is None:
                    self._reader = SyncReader(self._path)
                return asked.question(self._reader)
            except sqlite3.Error:
                return None
            finally:
                ended = time.monotonic()
                self._rests_until = ended + rest_after(ended - began, self._load())

        def answered(future: asyncio.Future[object]) -> None:
            self._is_reading = False
            self._questions.done(origin)
            if not self._is_open or future.cancelled():
                return
            self._look()
            error = future.exception()
            if error is not None:  # whatever it is, who asks is not to wait for ever
                self.failed("answering a question about history", error)
            asked.answer(None if error is not None else future.result())

        self._loop.run_in_executor(self._readers, read).add_done_callback(answered)

    def failed(self, what: str, error: BaseException) -> None:
        """Log and count an error that nobody foresaw."""
        self._faults.stray(what, error)

    async def change(self, change: Change) -> int:
        """Have the file changed; what was told before is in it. Its count: days, or messages.

        ChangeFailed: it cannot be changed, or is so far behind that some of that would come after the change.
        """
        self.hand_over()
        return await self.process.change(change)

    @property
    def files(self) -> tuple[int, int, int]:
        """How many large messages are files, their bytes, and how many were torn; looked at once a minute."""
        position = self.process.handover.position
        torn = position.torn + (self._reader.torn if self._reader is not None else 0)
        return position.files, position.files_size, torn

    def close(self) -> None:
        """Have all that was told written, and wait for it."""
        self._closing.set()
        self.collector.end()
        self.hand_over()
        self._is_open = False
        self._questions.clear()
        self._late.cancel()
        self._sync.cancel()
        self.process.close()
        done = self.process.handover.done
        self.segments.release(done)
        self.journal.close(done)
        self._readers.shutdown(wait=True, cancel_futures=True)
        if self._syncs is not None:
            self._syncs.shutdown(wait=True)
        self.segments.close()
        if self._reader is not None:
            self._reader.close()


def rest_after(took: float, load: float) -> float:
    """Seconds that the reader rests after an answer, by the load of the event loop: they share the interpreter."""
    return min(RESTS * took, LONGEST_REST) if load > BUSY_LOOP else 0.0


__all__ = ["Archive", "ChangeFailed", "Policy", "Unusable"]
