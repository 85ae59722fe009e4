"""The disk behind the mailbox: SQLite (WAL, synchronous=FULL) on a thread of its own, with group commits.

All that is waiting to be written goes into one transaction; what is safe is told on the event loop.
SQLite, because it is everywhere, survives power cuts, and an operator can look into it with its shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any, Final
from weakref import WeakValueDictionary

from parley.services.chat.deduplication.delivered_keys import DeliveredKeys
from parley.services.chat.deduplication.stored_keys import StoredKeys, fingerprint
from parley.services.chat.groups.group_numbers import GroupNumbers
from parley.services.chat.message.life import Envelope, File
from parley.services.chat.message.model import Destination, HandedOver, Key, Name, Pair, name_of
from parley.services.chat.message.statuses import Status
from parley.services.chat.shared_copies.in_flight import SharedCopy
from parley.services.chat.storage import mail_keys, moves, queries, rows, schema, shared_rows
from parley.services.chat.storage.back_pressure import BackPressure
from parley.services.chat.storage.bodies import LARGE, Body, Known
from parley.services.chat.storage.body_files import ARCHIVE, HANDED, JOURNAL, MAILBOX, TAKEN_WITHIN, BodyFiles
from parley.services.chat.storage.erasure import Erasure
from parley.services.chat.storage.file_writes import FileWrites
from parley.services.chat.storage.mail_keys import MailKeys
from parley.services.chat.storage.mailbox import Moves
from parley.services.chat.storage.quotas import MailTally
from parley.services.chat.storage.rows import Write
from parley.services.chat.storage.unwritten import Unwritten, Work
from parley.shared.addresses import User
from parley.shared.errors import ConfigError

BATCH: Final = 10_000
"""Writes in one transaction at most."""
SETTLED: Final = 500_000
"""Final statuses of messages that were on disk: so many are kept, to answer who sends one again."""
HANDED_OVER: Final = 1_000_000
"""Messages that other servers have: of so many the last status is waited for."""
MANY: Final = 64
"""Writes beyond which it is first tried whether anything can be written again."""
RETRY: Final = 1.0
"""Seconds between attempts to write or read what could not be."""

_CLOCK: Final = "INSERT OR REPLACE INTO clock VALUES (1,?,?,?,?)"


class Store:
    """One server's file. `persisted` and `not_persisted` hear what was written and what was not.

    `handed_over` hears of which messages it was noted that another server has them, or tried in vain.
    `broken` hears of an error that is ours: nothing is written any more. `committed` hears, on the store's own
    thread, how long each transaction took, and of how many writes it was.
    """

    def __init__(
        self,
        directory: Path,
        *,
        persisted: Callable[[list[Envelope]], None],
        not_persisted: Callable[[list[Envelope]], None],
        handed_over: Callable[[list[Envelope]], None] = lambda _envelopes: None,
        broken: Callable[[BaseException], None] = lambda _error: None,
        committed: Callable[[float, int], None] = lambda _seconds, _writes: None,
        pressure: BackPressure | None = None,
    ) -> None:
        """Open, or make, `directory`/chat.db.

        Raises:
            ConfigError: it cannot be used: not ours to write, in use by another process, or corrupt.

        """
        self._persisted = persisted
        self._not_persisted = not_persisted
        self._tell_handed_over = handed_over
        self._broken = broken
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[list[Work] | None] = SimpleQueue()
        self._asked: list[Work] = []
        """Work of this turn of the loop. It is handed over at the turn's end: each time costs a switch."""
        self._left: list[Work] = []
        """Work that the last batch had no room for."""
        self.pressure = BackPressure() if pressure is None else pressure
        """The messages that are being written: counted here, and taken off by the side that is told the result."""
        self.error = ""
        """Why nothing can be written now; empty: all is well."""
        self._path = path = directory / "chat.db"
        self._lock = schema.lock(directory)
        try:
            has_journal = _is_there(directory / "chat.db-wal")
            self._db = schema.open_file(path)
            self._erasure = Erasure(self._db, is_pending=has_journal)
            self._reader = sqlite3.connect(path, isolation_level=None)
            self._reader.execute("PRAGMA query_only=1")
            self._ages, self._mail_keys = schema.ages(self._db), MailKeys(self._db)
            self._seen = StoredKeys()
            self._seen.renew(1, queries.fingerprints(self._db))
            self._settled = self._one("SELECT COUNT(*) FROM settled")
            self._handed_over = self._one("SELECT COUNT(*) FROM handed_over")
            self.secret = queries.secret(self._reader)
            """The secret that messages' keys are made with."""
            self._delivered, self.group_numbers = _open_delivered(directory), GroupNumbers.open(directory)
        except sqlite3.Error as error:
            os.close(self._lock)
            raise schema.unusable(path, str(error)) from None
        except BaseException:
            os.close(self._lock)
            raise
        self._open_files(directory)
        self._stale = 0
        """How many have been trimmed since the fingerprints were read."""
        self._unwritten = Unwritten()
        self._unread: list[Work] = []
        """Reads that could not be done yet."""
        self._thread = threading.Thread(target=self._run, name="mailbox", daemon=True)
        self._thread.start()
        if schema.is_large(path):
            threading.Thread(target=self._check, args=[path], daemon=True).start()

    def _open_files(self, directory: Path) -> None:
        self._bodies: Known = WeakValueDictionary()
        """Bodies of group messages that are in memory."""
        self.files = BodyFiles(directory / MAILBOX)
        """Large messages; the thread alone changes them."""
        self._handed = directory / ARCHIVE / HANDED
        self._is_journal_left = (directory / JOURNAL).is_dir() and any((directory / JOURNAL).iterdir())
        self._contents = queries.Reading(self._db, self._bodies, self.files)
        self._file_writes = FileWrites(self._db, self.files)
        self._unfiled: deque[Work] = deque()
        """Contents for the archive that have no file in the mailbox, or have it with the commit that comes next."""
        self._unlinked: deque[Work] = deque()
        """Those that have one, which goes as soon as their messages do."""

    # At the start, on the caller's thread --------------------------------------------------

    def _one(self, query: str) -> int:
        return int(self._reader.execute(query).fetchone()[0])

    @property
    def next_id(self) -> int:
        """Greater than the number of any message here."""
        return self._one("SELECT COALESCE(MAX(id), 0) + 1 FROM message")

    @property
    def next_body(self) -> int:
        """Greater than the number of any body that copies share here."""
        return self._one("SELECT COALESCE(MAX(id), 0) + 1 FROM body")

    @property
    def next_receipt(self) -> int:
        """Greater than the number of any status that is owed here."""
        return self._one("SELECT COALESCE(MAX(id), 0) + 1 FROM owed")

    def counts(self) -> list[tuple[Destination, int, int]]:
        """Per destination: how many messages wait, and their bytes."""
        found = self._reader.execute("SELECT destination, COUNT(*), SUM(size) FROM message GROUP BY destination")
        return [(rows.destination(name), count, size) for name, count, size in found]

    def shared(self) -> list[tuple[int, int, int]]:
        """(body, how many copies share it, its bytes)."""
        return self._reader.execute(queries.SHARED).fetchall()

    def count_by_author(self, found: Callable[[MailTally], None]) -> None:
        """Count the mail that waits now by author, beside everything else; `found` hears it on the event loop."""
        counter = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        counter.execute("BEGIN")
        counter.execute("SELECT id FROM message LIMIT 1").fetchone()  # what it sees is fixed from here on

        def run() -> None:
            with contextlib.closing(counter), contextlib.suppress(sqlite3.Error):
                self._tell(found, queries.tally(counter))

        threading.Thread(target=run, name="counting", daemon=True).start()

    def owed_counts(self) -> list[tuple[Destination, int]]:
        """Per destination: how many statuses could not be told yet."""
        found = self._reader.execute("SELECT destination, COUNT(*) FROM owed GROUP BY destination")
        return [(rows.destination(name), count) for name, count in found]

    def oldest_age(self) -> float:
        """Seconds since the oldest message that waits was written; 0.0 where none does."""
        row = self._reader.execute("SELECT kept_at FROM message ORDER BY id LIMIT 1").fetchone()
        return max(0.0, self._ages.now - row[0]) if row is not None else 0.0

    def known(self) -> list[Destination]:
        """Every user and server seen here and not forgotten."""
        return [destination for destination, *_ in self.known_names()]

    def known_names(self) -> list[tuple[Destination, str, float, bool]]:
        """The same, the oldest first: each with where it came from, the mailbox's age then, whether it is used."""
        found = self._reader.execute("SELECT destination, source, at, used FROM known ORDER BY at")
        return [(rows.destination(name), source, at, bool(used)) for name, source, at, used in found]

    @property
    def age(self) -> float:
        """Seconds for which this mailbox has existed."""
        return self._ages.now

    def members(self) -> list[tuple[str, User, bool]]:
        """(group, member, whether they have left) of every group that lives here, in the order of these events."""
        found = self._reader.execute("SELECT group_id, user, user_server, has_left FROM member ORDER BY rowid")
        return [(group, User(user, server), bool(left)) for group, user, server, left in found]

    def history_off(self) -> list[str]:
        """The groups of whose messages no server keeps anything."""
        return [row[0] for row in self._reader.execute("SELECT group_id FROM history_off")]

    def blocked(self) -> list[tuple[str, User]]:
        """(user here, whom they block)."""
        found = self._reader.execute("SELECT user, other, other_server FROM blocked ORDER BY rowid")
        return [(user, User(other, server)) for user, other, server in found]

    # While running, from the event loop -------------------------------------------------------

    @property
    def stored_keys(self) -> StoredKeys:
        """Of what is on disk, or was: `find` looks through them."""
        return self._seen

    @property
    def delivered_keys(self) -> DeliveredKeys | None:
        """Of what was delivered without ever waiting; None where there is no room for their file."""
        return self._delivered

    def find(self, key: Key) -> int | None:
        """The status of a message that is on disk or was; None: there is no such message.

        What has been put here lately and is not committed may be missing: the caller remembers that.
        """
        if not key:
            return None
        if fingerprint(key) in self._seen:
            status = queries.find(self._reader, key, self._mail_keys)
            if status is not None:
                return status
        if self._delivered is not None and key in self._delivered:
            return Status.DELIVERED
        return None

    def find_handed_over(self, name: Name) -> HandedOver | None:
        """A message that another server has, by what its statuses say of it; the same holds as for `find`."""
        return queries.find_handed_over(self._reader, name)

    def keep(self, destination: Destination, envelope: Envelope) -> None:
        """Write a message; `persisted` tells when it is safe, `not_persisted` that it could not be."""
        if envelope.key:
            first = fingerprint(envelope.key)
            self._seen.add(first)
            self._mail_keys.add(first, envelope.id, envelope.size)
        self.pressure.add(envelope)
        if envelope.body is not None:
            self._bodies[envelope.body.number] = envelope.body
        self._ask(Work(((rows.INSERT, rows.values(destination, envelope, self._ages.now)),), envelope, destination))
        if self._mail_keys.is_due:
            self._ask(Work(read=self._mail_keys.begin(), found=self._mail_keys.written))

    def keep_shared(self, shared: SharedCopy) -> None:
        """Write a shared copy that is in flight: nobody waits for that."""
        self._bodies[shared.body.number] = shared.body
        self._ask(Work(((rows.INSERT, shared_rows.values(shared, self._ages.now)),), shared=shared))

    def forget_shared(self, shared: SharedCopy) -> None:
        """It is answered, or its copies are written."""
        self._put((rows.DELETE, (shared.row_id,)))

    def forget(self, envelope: Envelope, status: int, *, erases: bool = False) -> None:
        """A kept message was answered finally; `erases`: none of its bytes is to be left."""
        self._note(envelope)
        settled = rows.settled(envelope.key, status, self._ages.now)
        is_large = envelope.size >= LARGE
        self._ask(Work(((rows.SETTLE, settled), (rows.DELETE, (envelope.id,))), erases=erases, is_large=is_large))
        self._count_settled()

    def rewrite(self, envelope: Envelope, before: Body | None) -> None:
        """A kept message says something else, and shared that body before: none of it is to be left."""
        writes: list[Write] = [(rows.REWRITE, rows.rewritten(envelope))]
        if envelope.body is not None:
            self._bodies[envelope.body.number] = envelope.body
            writes.insert(0, (rows.SHARE, rows.shared(envelope.body)))
        if before is not None and before is not envelope.body:
            writes.append((rows.END_BODY, (before.number,)))
        self._ask(Work(tuple(writes), erases=True, is_large=True))

    def hand_over(self, envelope: Envelope, status: int) -> None:
        """Another server has it now, whether it was kept here or not."""
        self._note(envelope)
        row = rows.handed_over(envelope, status, self._ages.now)
        writes = (rows.HAND_OVER, row), (rows.DELETE, (envelope.id,))
        self._ask(Work(writes, handed_over=envelope, is_large=envelope.size >= LARGE))
        self._handed_over += 1
        if self._handed_over >= HANDED_OVER + queries.TRIMMED:
            self._handed_over -= queries.TRIMMED
            self._put((queries.TRIM_HANDED_OVER, (queries.TRIMMED,)))

    def answered_late(self, envelope: Envelope, status: int) -> None:
        """Another server said the last of what it had for some time."""
        self._note(envelope)
        which = (*rows.name_values(name_of(envelope)), *rows.halves(envelope.key))
        settled = rows.settled(envelope.key, status, self._ages.now)
        self._put((rows.SETTLE, settled), (queries.END_HANDED_OVER, which))
        self._count_settled()

    def _note(self, envelope: Envelope) -> None:
        if envelope.key:
            self._seen.add(fingerprint(envelope.key))

    def _count_settled(self) -> None:
        self._settled += 1
        if self._settled >= SETTLED + queries.TRIMMED:
            self._trim()

    def _trim(self) -> None:
        """Forget the oldest statuses; and, now and then, by what they were recognised."""
        self._settled -= queries.TRIMMED
        self._put((queries.TRIM, (queries.TRIMMED,)))
        self._stale += queries.TRIMMED
        if self._stale >= SETTLED:
            self._stale = 0
            self._ask(Work(read=queries.fingerprints, found=partial(self._seen.renew, self._seen.mark())))

    def delivered(self, envelope: Envelope) -> None:
        """A message that never was here was delivered."""
        if self._delivered is not None and envelope.key:
            self._delivered.add(envelope.key)

    def owe(self, destination: Destination, number: int, payload: bytes) -> None:
        """Keep a status for somebody who cannot be told now, or has not said that it came."""
        self._put(("INSERT INTO owed VALUES (?,?,?,?)", (number, rows.name(destination), self._ages.now, payload)))

    def paid(self, destination: Destination, number: int) -> None:
        """A destination was told all statuses up to this number."""
        self._put(("DELETE FROM owed WHERE destination = ? AND id <= ?", (rows.name(destination), number)))

    def know(self, destination: Destination, source: str = "", *, used: bool = False) -> None:
        """A user or server was seen for the first time."""
        row = (rows.name(destination), used, source, self._ages.now)
        self._put(("INSERT OR IGNORE INTO known VALUES (?,?,?,?)", row))

    def use(self, destination: Destination) -> None:
        """One that is known is there in earnest."""
        self._put(("UPDATE known SET used = 1 WHERE destination = ?", (rows.name(destination),)))

    def forget_known(self, destination: Destination) -> None:
        """A user or server was seen in vain."""
        self._put(("DELETE FROM known WHERE destination = ? AND used = 0", (rows.name(destination),)))

    def join(self, group: str, user: User, done: Callable[[bool], None]) -> None:
        """Make somebody a member; `done` hears whether it is safe."""
        self._ask(Work((("INSERT OR REPLACE INTO member VALUES (?,?,?,0)", (group, *user)),), done=done))

    def leave(self, group: str, user: User, done: Callable[[bool], None]) -> None:
        """Make somebody a former member."""
        self._ask(Work((("INSERT OR REPLACE INTO member VALUES (?,?,?,1)", (group, *user)),), done=done))

    def forget_member(self, group: str, user: User, done: Callable[[bool], None]) -> None:
        """Know nothing of somebody's having been a member."""
        statement = "DELETE FROM member WHERE group_id = ? AND user = ? AND user_server = ?"
        self._ask(Work(((statement, (group, *user)),), done=done))

    def set_history(self, group: str, is_off: bool, done: Callable[[bool], None]) -> None:
        """Note whether servers are to keep nothing of what is written in a group."""
        statement = (
            "INSERT OR IGNORE INTO history_off VALUES (?)"
            if is_off
            else "DELETE FROM history_off WHERE group_id = ?"
        )
        self._ask(Work(((statement, (group,)),), done=done))

    def block(self, user: str, other: User, done: Callable[[bool], None]) -> None:
        """Note that one of our users takes nothing from another user."""
        self._ask(Work((("INSERT OR IGNORE INTO blocked VALUES (?,?,?)", (user, *other)),), done=done))

    def unblock(self, user: str, other: User, done: Callable[[bool], None]) -> None:
        """Note that they do again."""
        statement = "DELETE FROM blocked WHERE user = ? AND other = ? AND other_server = ?"
        self._ask(Work(((statement, (user, *other)),), done=done))

    def file(self, file: File, then: Callable[[bytes | None], None]) -> None:
        """Give the archive the content of a message as a file; `then` hears its SHA-256, None: it cannot be."""
        self._ask(Work(filed=file, found=then))

    def when_safe(self, then: Callable[[], None]) -> None:
        """Call when all that was put here so far is committed."""
        self._ask(Work(safe=then))

    def load(
        self,
        destination: Destination,
        after: int,
        limit: int,
        found: Callable[[list[Envelope]], None],
        pair: Pair | None = None,
    ) -> None:
        """Read the next messages that wait there, in order: those with ids greater than `after`, or a pair's."""

        def read(db: sqlite3.Connection) -> list[Envelope]:
            envelopes = queries.load(db, destination, after, limit, self._contents, pair)
            for envelope in envelopes:
                envelope.arrived = self._ages.moment(envelope.arrived)
            return self._unwritten.add_to(envelopes, destination, after, limit, pair)

        self._ask(Work(read=read, found=found))

    def look_through(
        self, destination: Destination, pair: Pair, target: int, found: Callable[[list[Envelope]], None]
    ) -> None:
        """Read what waits last of a pair, bears this number or seems to be an edit of it."""

        def read(db: sqlite3.Connection) -> list[Envelope]:
            envelopes = queries.look_through(db, destination, pair, target, self._contents)
            for envelope in envelopes:
                envelope.arrived = self._ages.moment(envelope.arrived)
            return envelopes

        self._ask(Work(read=read, found=found))

    def move(self, source: Destination, found: Callable[[Moves], None]) -> None:
        """Move what waits at a server to its recipients, or at a user to their server: some, and tell how much."""
        self._ask(Work(read=lambda db: moves.move(db, source), found=found))

    def load_owed(
        self, destination: Destination, after: int, limit: int, found: Callable[[list[tuple[int, bytes]]], None]
    ) -> None:
        """Read the next statuses owed there, in order: (number, payload)."""
        self._ask(Work(read=lambda db: queries.load_owed(db, destination, after, limit), found=found))

    def expired(
        self, seconds: float, after: int, limit: int, found: Callable[[list[tuple[Destination, Envelope]]], None]
    ) -> None:
        """Read the next messages that have waited for so long; and drop what has been owed for so long."""
        before = self._ages.now - seconds
        self._put((_CLOCK, self._ages.to_write()))
        self._put(("DELETE FROM owed WHERE at < ?", (before,)))
        self._put((queries.EXPIRE_HANDED_OVER, (before - seconds,)))  # it waits there as long as it may here
        self._ask(Work(read=lambda db: queries.expired(db, before, after, limit), found=found))

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._hand_over()
        self._queue.put(None)
        self._thread.join()
        self._db.close()
        self._reader.close()
        if self._delivered is not None:
            self._delivered.close()
        self.group_numbers.close()
        os.close(self._lock)

    def _ask(self, work: Work) -> None:
        if not self._asked:
            self._loop.call_soon(self._hand_over)
        self._asked.append(work)

    def _hand_over(self) -> None:
        if self._asked:
            asked, self._asked = self._asked, []
            self._queue.put(asked)

    def _put(self, *writes: Write) -> None:
        self._ask(Work(writes))

    def _check(self, path: Path) -> None:
        """Read a large file once, beside everything else, for damage; on a thread of its own."""
        try:
            with contextlib.closing(sqlite3.connect(path)) as db:
                schema.check_whole(db, path)
        except ConfigError as error:
            self._tell(self._broken, error)
        except sqlite3.Error as error:
            self._tell(self._broken, schema.unusable(path, str(error)))

    # On the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self.files.sweep(queries.files(self._db))
            if not self._is_journal_left:
                BodyFiles(self._handed).sweep((), TAKEN_WITHIN)  # whoever was to take those is gone
            running = True
            while running:
                batch, running = self._take()
                self._sort_files(batch)
                self._file(self._unlinked)  # before any of them is deleted here
                self._write(batch)
                self._file(self._unfiled, _digests(batch))  # behind what is kept: of that it is another name
                reads = self._unread + [work for work in batch if work.read is not None]
                self._unread = [work for work in reads if not self._read(work)]
                self._erasure.cut_journal(time.monotonic())
            with contextlib.suppress(sqlite3.Error):  # on a full disk, what was written last stands
                self._db.execute(_CLOCK, self._ages.to_write())
        except BaseException as error:  # noqa: BLE001 - whatever it is, nothing is written any more
            self.error = repr(error)
            self._tell(self._broken, error)

    def _take(self) -> tuple[list[Work], bool]:
        """All that is waiting, up to BATCH; and whether to go on. Nothing, where something is to be tried again."""
        batch, self._left = self._left, []
        has_files = self._unfiled or self._unlinked
        patience = 0.0 if has_files else RETRY if self.error or self._erasure.is_pending else None
        with contextlib.suppress(Empty):
            while len(batch) < BATCH:
                asked = self._queue.get_nowait() if batch else self._queue.get(timeout=patience)
                if asked is None:
                    return batch, False
                batch += asked
            self._left = batch[BATCH:]
            del batch[BATCH:]
        return batch, True

    def _sort_files(self, batch: list[Work]) -> None:
        """Take what the archive is to have as files, by whether the mailbox has a file of it already."""
        for work in batch:
            if work.filed is not None:
                (self._unlinked if work.filed[1] else self._unfiled).append(work)

    def _file(self, works: deque[Work], digests: Mapping[int, bytes] = MappingProxyType({})) -> None:
        """Hand over files to the archive: some, as the mailbox comes first. `digests`: what `_digests` found."""
        size = 0
        while works and size < rows.LOADED:
            work = works.popleft()
            if work.filed is None or work.found is None:
                continue
            content, digest = work.filed
            size += len(content)
            handed = None
            with contextlib.suppress(OSError):
                handed = self.files.hand(content, digest or digests.get(id(content), b""), self._handed)
            self._tell(work.found, handed)

    def _write(self, batch: list[Work]) -> None:
        works = self._unwritten.drain() + [work for work in batch if work.read is None and work.filed is None]
        if works or self.error:
            self._write_works(works)

    def _write_works(self, works: list[Work]) -> None:
        try:
            self._commit(works)
        except sqlite3.Error as error:
            self._failed(error, works)
            return
        except Exception as error:  # noqa: BLE001 - one that can never be written must not stop the others
            self._divide(error, works)
            return
        self.error = ""
        if envelopes := [work.envelope for work in works if work.envelope is not None]:
            self._tell(self._persisted, envelopes)
        self._end_handing_over(works)
        for work in works:
            if work.done is not None:
                self._tell(work.done, True)
            elif work.safe is not None:
                self._loop_call(work.safe)

    def _commit(self, works: list[Work]) -> None:
        """Write messages first and delete them last; other changes come between, in the order of their requests."""
        sorted_ = _Sorted(works)
        kept, shared, others = sorted_.kept, sorted_.shared, sorted_.others
        deleted, settled, handed_over = (sorted_.many[head] for head in (rows.DELETE, rows.SETTLE, rows.HAND_OVER))
        if not kept and not shared and not deleted and not others and not self.error:
            return
        if self.error and len(works) > MANY:
            self._db.execute(_CLOCK, self._ages.to_write())  # as all of them are tried often
        began = time.monotonic()
        with self._erasure.of(erases=any(work.erases for work in works)), self._file_writes.of(works):
            in_file = self._file_writes.in_file
            messages = [in_file(write, of) if of.size >= LARGE else write for write, of in kept]
            messages += shared
            shares = [in_file((rows.SHARE, rows.shared(body)), body) for body in sorted_.bodies.values()]
            others = [in_file(write) for write in others]
            self._file_writes.sync()
            self._transact((messages, settled, handed_over, deleted), shares + others)
        count = len(messages) + len(settled) + len(handed_over) + len(deleted) + len(others)
        self._committed(time.monotonic() - began, count)

    def _transact(self, rows_of: tuple[list[Write], ...], others: list[Write]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for many in rows_of:
                self._write_many(many)
            mail_keys.index_late(self._db, self._mail_keys.late(rows_of[0]))
            for statement, values in others:
                self._db.execute(statement, values)
            self._db.execute(_CLOCK, self._ages.to_write())  # after an error: whether it can be written
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _write_many(self, writes: list[Write]) -> None:
        """Many rows a statement; of few sizes, so that SQLite's module knows the statements."""
        start = 0
        while start < len(writes):
            count = next(size for size in rows.SIZES if size <= len(writes) - start)
            some = writes[start : start + count]
            head, first = some[0]
            values = list(chain.from_iterable(values for _, values in some))
            self._db.execute(rows.statement(head, len(first), count), values)
            start += count

    def _divide(self, error: Exception, works: list[Work]) -> None:
        """Something among these can never be written, whatever the disk does: refuse it alone."""
        middle = len(works) // 2
        if middle:
            self._write_works(works[:middle])
            self._write_works(works[middle:])
            return
        self.error = repr(error)
        self._refuse(works)

    def _failed(self, error: sqlite3.Error, works: list[Work]) -> None:
        """Nothing of these was written: what is not tried again is refused."""
        self.error = str(error)
        refused = self._unwritten.add(works, is_passing=isinstance(error, sqlite3.OperationalError))
        self._end_handing_over(works)
        self._refuse(refused)

    def _refuse(self, works: list[Work]) -> None:
        """Tell whoever waits for it."""
        if envelopes := [work.envelope for work in works if work.envelope is not None]:
            self._tell(self._not_persisted, envelopes)
        self._end_handing_over(works)
        for work in works:
            if work.done is not None:
                self._tell(work.done, False)

    def _end_handing_over(self, works: list[Work]) -> None:
        """Written or not, and once: what could not be is tried again, and nobody waits for it."""
        envelopes = []
        for work in works:
            if work.handed_over is not None:
                envelopes.append(work.handed_over)
                work.handed_over = None
        if envelopes:
            self._tell(self._tell_handed_over, envelopes)

    def _read(self, work: Work) -> bool:
        """Whether it could be read."""
        if work.read is None or work.found is None:
            return True
        try:
            found = work.read(self._db)
        except Exception as error:  # noqa: BLE001 - it is tried again, and meanwhile the others have their turns
            self.error = str(error) if isinstance(error, sqlite3.Error) else repr(error)
            return False
        self._tell(work.found, found)
        return True

    def _tell(self, whom: Callable[[Any], None], what: object) -> None:
        self._loop_call(whom, what)

    def _loop_call(self, whom: Callable[..., None], *what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(whom, *what)


class _Sorted:
    """Works by what is written, in the order of their requests."""

    def __init__(self, works: list[Work]) -> None:
        self.kept: list[tuple[Write, Envelope]] = []
        """Messages that are not over meanwhile."""
        self.shared: list[Write] = []
        self.bodies: dict[int, Body] = {}
        """The bodies that they share."""
        self.many: dict[str, list[Write]] = {rows.DELETE: [], rows.SETTLE: [], rows.HAND_OVER: []}
        """Writes that are done many at a time."""
        self.others: list[Write] = []
        for work in works:
            if (envelope := work.envelope) is not None:
                if not envelope.is_over:
                    self.kept.append((work.writes[0], envelope))
                    self._note(envelope.body)
            elif (shared := work.shared) is None:
                for write in work.writes:
                    self.many.get(write[0], self.others).append(write)
            elif shared.missing:
                self.shared.append(work.writes[0])
                self._note(shared.body)

    def _note(self, body: Body | None) -> None:
        if body is not None:
            self.bodies[body.number] = body


def _digests(works: Iterable[Work]) -> dict[int, bytes]:
    """The digests of large contents that were written just now, by the identity of each content."""
    kept = [work.envelope for work in works if work.envelope is not None and work.envelope.size >= LARGE]
    return {id(each.content): each.digest for each in kept}


def _is_there(path: Path) -> bool:
    """Whether a file is there, and has anything in it."""
    return path.exists() and path.stat().st_size > 0


def _open_delivered(directory: Path) -> DeliveredKeys | None:
    """Without room for it all else goes on: what is delivered at once is then known to this process only."""
    try:
        (directory / "delivered").unlink(
            missing_ok=True
        )  # an older Parley wrote it, with keys that anybody could compute
        return DeliveredKeys.open(directory / "delivered.keys")
    except OSError:
        return None
