"""The thread that has the archive's file.

It writes chunks first, then makes lines and words, then removes old days.

It is a thread of the archive's own process (process/), which takes no more chunks than this one can write. What
waits to be projected stands in the file, and needs no bound.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from parley.services.chat.archive import files as archive_files
from parley.services.chat.archive import retention, storage
from parley.services.chat.archive.process.messages import Position
from parley.services.chat.archive.projection import Projection
from parley.services.chat.archive.shares import SPARE
from parley.services.chat.archive.usage import Usage
from parley.shared.trust.authors import KeysOf

RETRY: Final = 1.0
"""Seconds between two attempts to write."""
UPKEEP: Final = 60.0
"""Seconds between two looks for days that are over."""
BLANK: Final = 6 * 3600.0
"""Seconds between two times at which deleted messages are blanked: the words of their days are made again."""
GATHER: Final = 0.2
"""Seconds for which chunks are gathered, to be projected together, unless somebody asks."""
BATCH: Final = 8 * 1024 * 1024
"""Bytes of chunks that are projected together at most, and not gathered any longer."""
LEAST: Final = 64 * 1024
"""Bytes of them at least."""
TURN: Final = 0.4
"""Seconds that projecting some may take while others come: meanwhile nothing is written."""
LOOK, LOOKS = 64 * 1024 * 1024, 64
"""Bytes that are written at most between two looks at how large the file is, and how full the disk; or, where that
is less, such a part of the room."""
FREE, FREE_PART = 1024 * 1024 * 1024, 0.05
"""Bytes of the disk that are left to others, or this part of it where that is less: the mailbox is there, too."""
QUIET: Final = 1.0
"""Seconds without a chunk after which no others come just now."""
BUSY: Final = 2 * 1024 * 1024
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
    number: int = 0
    """It grows; 0: one more than that of the chunk before."""


class Interrupted(Exception):
    """Nobody is there who knows authors' devices: what was begun is not made, and nothing more is begun."""


class Task(NamedTuple):
    """Something to be done with the file once all chunks before it are in lists."""

    run: Callable[[sqlite3.Connection | None], None]
    """None: they are not in time."""
    until: float
    """Seconds, monotonic."""
    put: int = 0
    """The last chunk before it."""


class Log(Protocol):
    """Where the thread tells what happens."""

    def info(self, event: str, **fields: object) -> object:
        """Tell it."""

    def error(self, event: str, **fields: object) -> object:
        """It is a fault."""


class Worker:
    """One archive's thread: `start` begins it."""

    def __init__(
        self,
        path: Path,
        policy: Policy,
        log: Log,
        *,
        server_id: str = "",
        session: int = 0,
        touched: Callable[[set[str]], None] = lambda _people: None,
        keys: KeysOf = lambda _user: None,
        moved: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """Open or make the file. `session` is the number of who hands chunks over, by which those are known again.

        `server_id` is this server's: the others have a share each (shares.py).

        On the thread, `keys` tells authors' devices (Interrupted: nobody knows any more), `touched` hears whose
        lists were changed, `moved` that `position` is another one, and `ended` that the thread is over.

        Raises:
            Unusable: it cannot be used.

        """
        self._touched, self._moved, self._ended = touched, moved, ended
        self._session = session
        self._path, self._policy, self._log = path, policy, log
        self._db = storage.open_file(path)
        self._projected = storage.projected(self._db)
        self._last = max(storage.last_record(self._db), self._projected)
        self._projection = Projection(self._db, keys)
        self._usage = Usage(self._db, server_id, self._last)
        self._room = policy.size
        """Bytes that the file may have, as they were looked at last."""
        self._changed = threading.Condition()
        self._unwritten: deque[Chunk] = deque()
        self._unwritten_bytes = 0
        self._tasks: deque[Task] = deque()
        self._behind: deque[tuple[int, float]] = deque()
        """Last records of chunks that are not projected, and when they came."""
        self._unprojected_bytes = storage.bytes_behind(self._db, self._projected)
        self._batch = LEAST
        """Bytes that were projected in a turn, as far as is known."""
        self._put = self._written_puts = storage.handed_over(self._db, session)
        self._projected_puts = self._asked_puts = 0
        self._put_at = 0.0
        """When the last one was."""
        self._put_ends: deque[tuple[int, int]] = deque()
        """Last records of chunks, and which put they were."""
        self._is_closing = self._is_interrupted = False
        if self._projected < self._last:
            self._behind.append((self._last, time.monotonic() - GATHER))
            self._put_ends.append((self._last, self._put))
        else:
            self._projected_puts = self._put
        self._age = 0.0
        self._blank_at = 0.0
        self._unseen = 0
        """Bytes that were written since the last look at the disk."""
        self.is_full = False
        """Whether there is no room, though all days but the last have gone: nothing more is kept until there is."""
        self.messages = 0
        archive_files.sweep(self._db)
        self.size = storage.used_bytes(self._db)
        self.files = storage.figures_of_files(self._db)
        """Large messages that are files, and their bytes."""
        self.error = ""
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    # From another thread ----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, chunk: Chunk) -> None:
        """Have a chunk written."""
        with self._changed:
            self._put = chunk.number or self._put + 1
            self._unwritten.append(chunk._replace(number=self._put))
            self._unwritten_bytes += len(chunk.entries)
            self._put_at = chunk.put
            self._changed.notify_all()

    def has_room(self, most: int, seconds: float) -> bool:
        """Whether at most so many bytes wait to be written, now or within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._unwritten_bytes <= most, seconds)

    def do(self, task: Task) -> None:
        """Have something done on the thread, which alone may change the file."""
        with self._changed:
            self._tasks.append(task._replace(put=self._put))
            self._asked_puts = self._put
            self._changed.notify_all()

    def hurry(self, put: int) -> None:
        """Put the chunks up to that one into lists as soon as can be: somebody waits."""
        with self._changed:
            self._asked_puts = max(self._asked_puts, put)
            self._changed.notify_all()

    def wait_for(self, put: int, seconds: float) -> bool:
        """Wait until the chunks up to that one are in the lists; whether they are."""
        self.hurry(put)
        with self._changed:
            return self._changed.wait_for(lambda: self._projected_puts >= put or self._is_closing, seconds)

    def position(self) -> Position:
        """How far it has come."""
        with self._changed:
            return Position(
                written=self._written_puts,
                listed=self._projected_puts,
                messages=self.messages,
                size=self.size,
                backlog=self._unprojected_bytes if self._behind else 0,
                oldest=self._behind[0][1] if self._behind else 0.0,
                is_full=self.is_full,
                error=self.error,
                files=self.files[0],
                files_size=self.files[1],
                torn=storage.files_of(self._db).torn,
                without_effect={why.value: count for why, count in self._projection.edits.without_effect.items()},
                not_kept={whose.value: count for whose, count in self._usage.shares.refused.items()},
            )

    def close(self) -> None:
        """Write what waits, and end. What is not projected is so at the next start."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    # The thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._projection.remember()
            self._serve()
        except Exception as error:  # noqa: BLE001 - another process goes on with the file
            self.error = repr(error)
            self._log.error("archive_broken", path=str(self._path), exc_info=error)
        finally:
            self._db.close()
            self._ended()

    def _serve(self) -> None:
        upkeep = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, self._pause())
                chunks, self._unwritten = self._unwritten, deque()
                is_closing = self._is_closing
            try:
                self._write(chunks)
                if is_closing:
                    self._usage.save()
                    return
                if self._is_due():
                    self._project(BATCH if time.monotonic() - self._put_at > QUIET else self._batch)
                self._do_tasks()
                if self._usage.is_behind:
                    self._usage.step()
                if time.monotonic() >= upkeep or self._unseen >= min(LOOK, max(LEAST, self._room // LOOKS)):
                    upkeep = time.monotonic() + UPKEEP
                    self._keep_up()
            except Interrupted:
                self._is_interrupted = True
            except sqlite3.Error as error:
                self._failed(error, chunks)
                if is_closing:
                    return

    def _do_tasks(self) -> None:
        """Do what all chunks before are in lists for, or are not in time."""
        with self._changed:
            due = [task for task in self._tasks if self._is_to_do(task)]
            self._tasks = deque(task for task in self._tasks if task not in due)
        for task in due:
            if self._projected_puts < task.put:
                task.run(None)
            else:
                self._projection.forget()
                task.run(self._db)

    def _is_to_do(self, task: Task) -> bool:
        return self._projected_puts >= task.put or time.monotonic() >= task.until

    def _has_work(self) -> bool:
        if self._unwritten or self._is_closing or any(map(self._is_to_do, self._tasks)):
            return True
        if self._usage.is_behind and not self.error:
            return True
        return self._is_due() and not self.error

    def _is_due(self) -> bool:
        """Whether there is something to project, and has been for long enough, or much, or is asked for."""
        if not self._behind or self._unwritten_bytes >= BUSY or self._is_interrupted:
            return False
        if self._projected_puts < self._asked_puts:
            return True
        return self._unprojected_bytes >= BATCH or time.monotonic() - self._behind[0][1] >= GATHER

    def _pause(self) -> float:
        """Seconds until something is to be done, if nothing comes meanwhile."""
        if self.error or self._is_interrupted:
            return RETRY
        if not self._behind:
            return UPKEEP
        return max(0.0, self._behind[0][1] + GATHER - time.monotonic())

    def _failed(self, error: sqlite3.Error, chunks: deque[Chunk]) -> None:
        if not self.error:
            self._log.error("archive_write_failed", error=str(error))
        self.error = str(error)
        self._do_tasks()
        self._moved()
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
            used = self.size + self._unseen
            sifted = []
            for chunk in taken:
                sifted.append(self._usage.shares.sift(chunk.entries, used, self._room))
                used += sum(sifted[-1].held.values())
            parts = [each.kept for each in sifted]
            handed_over = self._session, taken[-1].number
            lasts = storage.write_chunks(
                self._db, parts, self._last + 1, day, first.clock, first.at, handed_over=handed_over
            )
            for _ in taken:
                chunks.popleft()
            self._usage.wrote(day, [each.held for each in sifted], lasts[-1])
            for each in sifted:
                archive_files.discard(self._path.parent, each.left_out)
            self._last, self._age = lasts[-1], first.age
            self.messages += sum(each.entries for each in sifted)
            self.error = ""
            self._unseen += sum(max(len(each.kept), sum(each.held.values())) for each in sifted)
            with self._changed:
                self._unwritten_bytes -= size
                self._unprojected_bytes += size
                for last, chunk in zip(lasts, taken, strict=True):
                    self._written_puts = chunk.number
                    self._behind.append((last, chunk.put))
                    self._put_ends.append((last, self._written_puts))
                self._changed.notify_all()
            self._moved()

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
        self._moved()
        if people:
            self._touched(people)

    def _keep_up(self) -> None:
        """Remove the days that are over, and the oldest while the file is too large."""
        today = int(self._age // storage.DAY)
        removed = retention.remove_before(self._db, today - self._policy.days) if self._age else 0
        removed += retention.shrink(self._db, (limit := self._limit()) // SPARE * (SPARE - 1))
        self._room = limit
        self._usage.forget_days()
        self._usage.save()
        self._usage.shares.measure()
        if time.monotonic() >= self._blank_at:
            self._blank_at = time.monotonic() + BLANK
            retention.blank_due(self._db)
            self._projection.edits.forget()  # those whose messages come no more are given up
        if removed:
            self._projection.forget()
            self._log.info("archive_days_removed", days=removed)
        self.size, self._unseen = storage.used_bytes(self._db), 0
        self.files = storage.figures_of_files(self._db)
        is_full = self.size > limit
        if is_full and not self.is_full:
            self._log.error("archive_full", path=str(self._path), bytes=self.size, limit=limit)
        self.is_full = is_full
        self._moved()

    def _limit(self) -> int:
        """Bytes that the file may have, by the policy and by what is left of the disk."""
        disk = shutil.disk_usage(self._path.parent)
        left = disk.free - min(FREE, int(disk.total * FREE_PART))
        return min(self._policy.size, max(0, storage.all_bytes(self._db) + left))
