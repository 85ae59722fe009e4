"""The cache's file: SQLite, one for each user, shared by all programs of that user on this machine.

It holds what the server holds, and nothing longer: it can be removed at any time, and is filled again. Each call
waits for the disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from parley.client.outbox.history import HistoryLine, line_of, named, time_of
from parley.shared import write_ahead
from parley.shared.addresses import Group, Recipient, User
from parley.shared.wire.messages import pb

VERSION: Final = 2
BUSY: Final = 5.0
"""Seconds for which another program's transaction is waited for."""
MOST: Final = 512 * 1024 * 1024
"""Bytes of the file; beyond them the oldest lines go."""
UNSENT: Final = 10_000
"""Messages of ours that are kept until a server has them."""
STEP: Final = 1000
"""Lines that go at a time."""
SCRUB: Final = 60.0
"""Seconds from one rebuilding of the file until the next: it is written as a whole."""
_SCHEMA: Final = """
CREATE TABLE line (
    is_group INTEGER NOT NULL, name TEXT NOT NULL, server_id TEXT NOT NULL, sequence INTEGER NOT NULL,
    at REAL NOT NULL, received INTEGER NOT NULL, line BLOB NOT NULL,
    PRIMARY KEY (is_group, name, server_id, sequence)
) WITHOUT ROWID;
CREATE INDEX line_at ON line (at);
CREATE TABLE read (
    is_group INTEGER NOT NULL, name TEXT NOT NULL, server_id TEXT NOT NULL, sequence INTEGER NOT NULL,
    PRIMARY KEY (is_group, name, server_id)
) WITHOUT ROWID;
CREATE TABLE unsent (snowflake INTEGER PRIMARY KEY, message BLOB NOT NULL);
CREATE TABLE cursor (one INTEGER PRIMARY KEY CHECK (one = 1), cursor BLOB NOT NULL);
"""
_NUMBERED: Final = """
ALTER TABLE line ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
CREATE INDEX line_order ON line (is_group, name, server_id, number, sequence);
"""
"""Since version 2: the place of a line in its group, before its sequence."""
_LAST: Final = "SELECT is_group, name, server_id, max(sequence) FROM line GROUP BY is_group, name, server_id"
_OF: Final = "is_group = ? AND name = ? AND server_id = ?"
_ADD: Final = "INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_READ: Final = """
INSERT INTO read VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence > sequence
"""
_LATEST: Final = """
SELECT last.line, (
    SELECT count(*) FROM line WHERE line.is_group = last.is_group AND line.name = last.name
    AND line.server_id = last.server_id AND line.received AND line.sequence > coalesce((
        SELECT read.sequence FROM read WHERE read.is_group = last.is_group AND read.name = last.name
        AND read.server_id = last.server_id
    ), 0)
) FROM (SELECT is_group, name, server_id FROM line GROUP BY is_group, name, server_id) AS each
JOIN line AS last USING (is_group, name, server_id) WHERE last.sequence = (
    SELECT sequence FROM line WHERE line.is_group = last.is_group AND line.name = last.name
    AND line.server_id = last.server_id ORDER BY number DESC, sequence DESC LIMIT 1
) ORDER BY last.at DESC LIMIT ?
"""


class CacheFile:
    """A file of that name, made where there is none: the directory 0700, the file 0600. OSError, sqlite3.Error."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        self._most = most
        self._scrubbed = -SCRUB
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._db = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(path)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, path: Path) -> None:
        write_ahead.turn_on(self._db)
        self._db.execute("PRAGMA synchronous=NORMAL")  # the server has it all
        self._db.execute("PRAGMA secure_delete=ON")
        if self._version() > VERSION:
            raise sqlite3.DatabaseError(f"{path} is of a newer Parley")
        with self._writing():
            version = self._version()
            if version < VERSION:  # no other program has made it meanwhile
                for statement in (_NUMBERED if version else _SCHEMA + _NUMBERED).split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={VERSION}")
        self._scrub()

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        """Let go of the file; first with what was deleted out of it."""
        self._scrubbed = -SCRUB
        with contextlib.suppress(sqlite3.Error):
            self._scrub()
        self._db.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def read(self) -> tuple[bytes, dict[Recipient, int]]:
        """Read the server's cursor (empty: nothing is here), and the last sequence of each conversation.

        Both as of one moment: another program may write.
        """
        self._db.execute("BEGIN")
        try:
            cursor = self._db.execute("SELECT cursor FROM cursor").fetchone()
            rows = self._db.execute(_LAST).fetchall()
        finally:
            self._db.execute("COMMIT")
        last = {(Group if row[0] else User)(row[1], row[2]): row[3] for row in rows}
        return cursor[0] if cursor is not None else b"", last

    def take(self, answer: pb.SyncAnswer, floor: float = 0.0) -> None:
        """Take a page of the server's over, all of it or nothing; the oldest lines go while the file is too large.

        What it removes, or what was deleted, stays in no file beside this one either. No line counts as older than
        `floor` (Unix time): the server keeps nothing from before, so its clock was wrong, as without a battery.
        """
        with self._writing():
            if answer.startOver:
                for table in ("line", "read"):
                    self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - ours
            rows = ((*_key(named(each)), _sequence(each), *_columns(each, floor)) for each in answer.lines)
            self._db.executemany(_ADD, rows)
            self._db.executemany(_READ, ((*_key(named(each)), _sequence(each)) for each in answer.read))
            self._db.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?)", (answer.cursor,))
            if answer.startOver or any(line_of(each).is_deleted for each in answer.lines):
                self._db.execute("PRAGMA application_id=1")
        if answer.startOver or any(each.edit for each in answer.lines):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._scrub()
        self._shrink()

    def _scrub(self) -> None:
        """Rebuild the file where something was deleted, unless that was done just now: then the next call does it.

        SQLite overwrites what is deleted where it stands (secure_delete), and not the copies that it left in pages
        from which it had moved lines. `application_id` says, over a restart, that it is due.
        """
        is_due = bool(self._db.execute("PRAGMA application_id").fetchone()[0])
        if not is_due or time.monotonic() - self._scrubbed < SCRUB:
            return
        self._scrubbed = time.monotonic()
        with contextlib.suppress(sqlite3.OperationalError):  # another program has it, or the disk is full: later
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA application_id=0")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def remove_before(self, at: float) -> None:
        """Remove what came before that time (Unix seconds)."""
        with self._writing():
            self._db.execute("DELETE FROM line WHERE at < ?", (at,))

    def _shrink(self) -> None:
        while self._size() > self._most and (count := self._count()):
            with self._writing():
                step = min(STEP, (count + 1) // 2)
                self._db.execute(
                    "DELETE FROM line WHERE at <= (SELECT max(at) FROM (SELECT at FROM line ORDER BY at LIMIT ?))",
                    (step,),
                )

    def _count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM line").fetchone()[0])

    def _size(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    # What no server has yet -----------------------------------------------------------------------

    def keep(self, message: pb.ChatMessage) -> None:
        """Keep a message of ours until `sent`; of more than UNSENT none."""
        if self._db.execute("SELECT count(*) FROM unsent").fetchone()[0] < UNSENT:
            row = message.messageSnowflake, message.SerializeToString()
            self._db.execute("INSERT OR REPLACE INTO unsent VALUES (?, ?)", row)

    def sent(self, snowflake: int) -> None:
        """A server has it."""
        self._db.execute("DELETE FROM unsent WHERE snowflake = ?", (snowflake,))

    def unsent(self, since: int) -> list[pb.ChatMessage]:
        """Messages that no server has, in the order of their numbers; those with a lower number are given up."""
        self._db.execute("DELETE FROM unsent WHERE snowflake < ?", (since,))
        rows = self._db.execute("SELECT message FROM unsent ORDER BY snowflake").fetchall()
        return [pb.ChatMessage.FromString(row[0]) for row in rows]

    # Questions ----------------------------------------------------------------------------------

    def lines(self, other: Recipient, *, before: int = 0, limit: int = 50, since: float = 0.0) -> list[HistoryLine]:
        """Lines of a conversation, the newest first."""
        rows = self._db.execute(
            f"SELECT line FROM line WHERE {_OF} AND (number, sequence) < (?, ?) AND at >= ?"  # noqa: S608 - ours
            " ORDER BY number DESC, sequence DESC LIMIT ?",
            (*_key(other), *self._place(other, before), since, limit),
        )
        return list(_lines(rows))

    def _place(self, other: Recipient, before: int) -> tuple[int, int]:
        """The place of the line with that sequence; 0: behind all."""
        if not before:
            return 1 << 62, 0
        found = self._db.execute(
            f"SELECT number FROM line WHERE {_OF} AND sequence <= ? ORDER BY sequence DESC LIMIT 1",  # noqa: S608 - ours
            (*_key(other), before),
        ).fetchone()
        return (found[0] if found is not None else 0), before

    def latest(self, limit: int = 50) -> list[tuple[HistoryLine, int]]:
        """The last line of each conversation and how many are unread there, the latest first."""
        rows = self._db.execute(_LATEST, (limit,)).fetchall()
        return [(line_of(pb.HistoryLine.FromString(line)), unread) for line, unread in rows]


def remove(path: Path) -> None:
    """Remove a cache's file, if there is one, and what SQLite has beside it. OSError."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _key(other: Recipient) -> tuple[bool, str, str]:
    return isinstance(other, Group), *other


def _columns(line: pb.HistoryLine, floor: float) -> tuple[float, bool, bytes, int]:
    number = min(line.groupNumber, (1 << 62) - 1)
    return max(time_of(line), floor), line.received, line.SerializeToString(), number


def _sequence(each: pb.HistoryLine | pb.ReadReceiptAck) -> int:
    """A sequence from the server, as SQLite takes it."""
    return min(each.sequence, (1 << 62) - 1)


def _lines(rows: Iterable[tuple[bytes]]) -> Iterator[HistoryLine]:
    return (line_of(pb.HistoryLine.FromString(row[0])) for row in rows)
