"""The thread that has the archive's file.

It writes chunks first, then makes lines and words, then removes old days.

What waits to be written is bounded, and beyond it dropped and counted: a disk that takes nothing must not fill
the memory. What waits to be projected stands in the file, and needs no bound.

It shares the interpreter and the processors with chat. So while chat is busy it projects a little at a time, and
rests in between: lists and words come later then, and messages do not.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from parley.services.chat.archive import retention, storage
from parley.services.chat.archive.entries import count
from parley.services.chat.archive.interface import WithoutEffect
from parley.services.chat.archive.projection import Projection
from parley.shared.telemetry.logs import Log
from parley.shared.trust.authors import KeysOf

MOST_UNWRITTEN: Final = 64 * 1024 * 1024
"""Bytes that may wait to be written."""
RETRY: Final = 1.0
"""Seconds between two attempts to write."""
UPKEEP: Final = 60.0
"""Seconds between two looks for days that are over."""
BLANK: Final = 6 * 3600.0
"""Seconds between two times at which deleted messages are blanked: the words of their days are made again."""
GATHER: Final = 0.2
"""Seconds for which chunks are gathered, to be projected together, unless somebody asks."""
BATCH: Final = 4 * 1024 * 1024
"""Bytes of chunks that are projected together at most, and not gathered any longer."""
LEAST: Final = 64 * 1024
"""Bytes of them at least."""
TURN: Final = 0.3
"""Seconds that projecting some may take while others come: meanwhile nothing is written."""
LOOK: Final = 64 * 1024 * 1024
"""Bytes that are written at most between two looks at how large the file is, and how full the disk."""
FREE, FREE_PART = 1024 * 1024 * 1024, 0.05
"""Bytes of the disk that are left to others, or this part of it where that is less: the mailbox is there, too."""
BUSY_LOOP: Final = 0.25
"""The part of its time for which the event loop is at work, from which on chat is busy."""
RESTS: Final = ((5.0, 9.0), (30.0, 3.0))
"""While it is: up to so many seconds of lag, a rest of so many times what projecting took; beyond these, LATEST."""
LATEST: Final = 1.0
QUIET: Final = 1.0
"""Seconds without a chunk after which no others come just now."""
BUSY: Final = 8 * 1024 * 1024
"""Bytes that wait to be written, beyond which nothing is projected until they are."""


class Policy(NamedTuple):
    """How much is kept."""

    days: float
    size: int
    """Bytes of the file."""


class Chunk(NamedTuple):
    """Entries on their way to the file."""

    entries: bytes
    age: float
    """The mailbox's age (seconds): the days count by it."""
    clock: float
    at: float
    """Unix time."""
    put: float
    """When it was handed over (seconds, monotonic)."""


class Worker:
    """One archive's thread. `figures` are read by metrics, from another thread."""

    def __init__(
        self,
        path: Path,
        policy: Policy,
        log: Log,
        touched: Callable[[set[str]], None] = lambda _people: None,
        load: Callable[[], float] = lambda: 0.0,
        keys: KeysOf = lambda _user: None,
    ) -> None:
        """Open or make the file. `touched` hears, on the thread, whose lists were changed.

        `load` tells it which part of its time the event loop is at work, `keys` on the thread authors' devices.

        Raises:
            Unusable: it cannot be used.

        """
        self._touched = touched
        self._load = load
        self._rests_until = 0.0
        """When projecting goes on, unless somebody asks (seconds, monotonic)."""
        self._path, self._policy, self._log = path, policy, log
        self._db = storage.open_file(path)
        self._projected = storage.projected(self._db)
        self._last = max(storage.last_record(self._db), self._projected)
        self._projection = Projection(self._db, keys)
        self._changed = threading.Condition()
        self._unwritten: deque[Chunk] = deque()
        self._unwritten_bytes = 0
        self._tasks: deque[Callable[[sqlite3.Connection], None]] = deque()
        self._behind: deque[tuple[int, float]] = deque()
        """Last records of chunks that are not projected, and when they came."""
        self._unprojected_bytes = 0
        self._batch = LEAST
        """Bytes that were projected in a turn, as far as is known."""
        self._put = self._written_puts = self._projected_puts = self._asked_puts = 0
        self._put_at = 0.0
        """When the last one was."""
        self._put_ends: deque[tuple[int, int]] = deque()
        """Last records of chunks, and which put they were."""
        self._is_closing = False
        if self._projected < self._last:
            self._behind.append((self._last, time.monotonic() - GATHER))
        self._age = 0.0
        self._blank_at = 0.0
        self._unseen = 0
        """Bytes that were written since the last look at the disk."""
        self.is_full = False
        """Whether there is no room, though all days but the last have gone: nothing more is kept until there is."""
        self.messages = self.dropped = 0
        self.size = storage.used_bytes(self._db)
        self.error = ""
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)
        self._thread.start()

    # From the event loop ----------------------------------------------------------------------

    def put(self, chunk: Chunk) -> bool:
        """Have a chunk written; False: there is no room, it is dropped and counted."""
        with self._changed:
            if self.is_full or self._unwritten_bytes + len(chunk.entries) > MOST_UNWRITTEN:
                self.dropped += count(chunk.entries)
                return False
            self._unwritten.append(chunk)
            self._unwritten_bytes += len(chunk.entries)
            self._put += 1
            self._put_at = chunk.put
            self._changed.notify_all()
        return True

    def do(self, task: Callable[[sqlite3.Connection], None]) -> None:
        """Have something done on the thread, which alone may change the file."""
        with self._changed:
            self._tasks.append(task)
            self._changed.notify_all()

    @property
    def put_so_far(self) -> int:
        """How many chunks were put."""
        return self._put

    @property
    def lag(self) -> float:
        """Seconds for which the oldest message is not in the lists yet."""
        with self._changed:
            oldest = self._behind[0][1] if self._behind else self._unwritten[0].put if self._unwritten else None
        return 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)

    @property
    def edits_without_effect(self) -> Mapping[WithoutEffect, int]:
        """How many edits changed nothing in a list, by why."""
        return self._projection.edits.without_effect

    @property
    def backlog(self) -> int:
        """Bytes of entries that are in no list yet: those that wait to be written, and those in the file."""
        with self._changed:
            return self._unwritten_bytes + (self._unprojected_bytes if self._behind else 0)

    def close(self) -> None:
        """Write what waits, and end. What is not projected is so at the next start."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    # From a reader's thread ---------------------------------------------------------------------

    def wait_for(self, put: int, seconds: float) -> bool:
        """Wait until that many chunks are in the lists; whether they are."""
        with self._changed:
            self._asked_puts = max(self._asked_puts, put)
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._projected_puts >= put or self._is_closing, seconds)

    # The thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._projection.remember()
            self._serve()
        except Exception as error:  # noqa: BLE001 - the thread's end is told by its metric, and chat goes on
            self.error = repr(error)
            self._log.error("archive_broken", path=str(self._path), exc_info=error)
        finally:
            self._db.close()

    def _serve(self) -> None:
        upkeep = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, self._pause())
                chunks, self._unwritten = self._unwritten, deque()
                tasks, self._tasks = self._tasks, deque()
                is_closing = self._is_closing
            for task in tasks:
                self._projection.forget()
                task(self._db)
            try:
                self._write(chunks)
                if is_closing:
                    return
                if self._is_due():
                    self._project_some()
                if time.monotonic() >= upkeep or self._unseen >= LOOK:
                    upkeep = time.monotonic() + UPKEEP
                    self._keep_up()
            except sqlite3.Error as error:
                self._failed(error, chunks)
                if is_closing:
                    return

    def _has_work(self) -> bool:
        return bool(self._unwritten or self._tasks or self._is_closing or (self._is_due() and not self.error))

    def _is_due(self) -> bool:
        """Whether there is something to project, and has been for long enough, or much, or is asked for."""
        if not self._behind or self._unwritten_bytes >= BUSY:
            return False
        if self._projected_puts < self._asked_puts:
            return True
        now = time.monotonic()
        if now < self._rests_until:
            return False
        return self._unprojected_bytes >= BATCH or now - self._behind[0][1] >= GATHER

    def _pause(self) -> float:
        """Seconds until something is to be done, if nothing comes meanwhile."""
        if self.error:
            return RETRY
        if not self._behind:
            return UPKEEP
        return max(0.0, self._rests_until - time.monotonic(), self._behind[0][1] + GATHER - time.monotonic())

    def _failed(self, error: sqlite3.Error, chunks: deque[Chunk]) -> None:
        if not self.error:
            self._log.error("archive_write_failed", error=str(error))
        self.error = str(error)
        with self._changed:
            self._unwritten.extendleft(reversed(chunks))
            if not self._is_closing:
                self._changed.wait(RETRY)

    def _write(self, chunks: deque[Chunk]) -> None:
        """Write all that waits, several chunks in one commit; what is written is taken out of `chunks`."""
        while chunks:
            first = chunks[0]
            taken = [first]
            size = len(first.entries)
            for chunk in list(chunks)[1:]:
                if chunk.clock != first.clock or size + len(chunk.entries) > storage.COMMIT:
                    break
                taken.append(chunk)
                size += len(chunk.entries)
            day = int(first.age // storage.DAY)
            parts = [chunk.entries for chunk in taken]
            lasts = storage.write_chunks(self._db, parts, self._last + 1, day, first.clock, first.at)
            for _ in taken:
                chunks.popleft()
            self._last, self._age = lasts[-1], first.age
            self.messages += sum(map(count, parts))
            self.error = ""
            self._unseen += size
            with self._changed:
                self._unwritten_bytes -= size
                self._unprojected_bytes += size
                for last, chunk in zip(lasts, taken, strict=True):
                    self._written_puts += 1
                    self._behind.append((last, chunk.put))
                    self._put_ends.append((last, self._written_puts))

    def _project_some(self) -> None:
        """Project as much as the moment allows, and rest afterwards while chat is busy."""
        began = time.monotonic()
        if self._load() > BUSY_LOOP:
            self._project(LEAST)
            ended, lag = time.monotonic(), self.lag
            times = next((times for seconds, times in RESTS if lag < seconds), LATEST)
            self._rests_until = ended + times * (ended - began)
        else:
            self._project(BATCH if began - self._put_at > QUIET else self._batch)

    def _project(self, most: int) -> None:
        """Project chunks of about `most` bytes."""
        begun = time.monotonic()
        records = storage.read_chunks(self._db, self._projected, most)
        size = sum(len(record.body) for record in records)
        if records:
            self._projection.project(records)
            took = time.monotonic() - begun
            self._batch = max(LEAST, min(BATCH, 2 * most, int(size * TURN / max(took, 1e-3))))
        with self._changed:
            self._projected = records[-1].number if records else self._last
            while self._behind and self._behind[0][0] <= self._projected:
                self._behind.popleft()
            while self._put_ends and self._put_ends[0][0] <= self._projected:
                self._projected_puts = self._put_ends.popleft()[1]
            self._unprojected_bytes = max(0, self._unprojected_bytes - size) if self._behind else 0
            self._changed.notify_all()
        people, self._projection.touched = self._projection.touched, set()
        if people:
            self._touched(people)

    def _keep_up(self) -> None:
        """Remove the days that are over, and the oldest while the file is too large."""
        today = int(self._age // storage.DAY)
        removed = retention.remove_before(self._db, today - self._policy.days) if self._age else 0
        removed += retention.shrink(self._db, limit := self._limit())
        if time.monotonic() >= self._blank_at:
            self._blank_at = time.monotonic() + BLANK
            retention.blank_due(self._db)
        if removed:
            self._projection.forget()
            self._log.info("archive_days_removed", days=removed)
        self.size, self._unseen = storage.used_bytes(self._db), 0
        is_full = self.size > limit
        if is_full and not self.is_full:
            self._log.error("archive_full", path=str(self._path), bytes=self.size, limit=limit)
        self.is_full = is_full

    def _limit(self) -> int:
        """Bytes that the file may have, by the policy and by what is left of the disk."""
        disk = shutil.disk_usage(self._path.parent)
        left = disk.free - min(FREE, int(disk.total * FREE_PART))
        return min(self._policy.size, max(0, storage.used_bytes(self._db) + left))
