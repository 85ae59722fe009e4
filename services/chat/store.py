"""The disk behind the mailbox: SQLite (WAL, synchronous=FULL) on a thread of its own, with group commits.

All that is waiting to be written goes into one transaction; what is safe is told on the event loop.
SQLite, because it is everywhere, survives power cuts, and an operator can look into it with its shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from services.chat.mailbox import Destination, Item
from shared.addresses import User
from shared.errors import ConfigError

VERSION: Final = 1
BATCH: Final = 10_000
"""Writes in one transaction at most."""
LOADED: Final = 4 * 1024 * 1024
"""Bytes of waiting messages that are read at once, and the one that goes beyond."""
SETTLED: Final = 50_000
"""Final statuses read back at the start."""

RETRY: Final = 1.0
"""Seconds between attempts to write or read what could not be."""

SCHEMA: Final = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY, destination TEXT NOT NULL,
    author TEXT NOT NULL, author_server TEXT NOT NULL, snowflake INTEGER NOT NULL,
    recipient TEXT NOT NULL, recipient_server TEXT NOT NULL,
    size INTEGER NOT NULL, kept_at REAL NOT NULL, raw BLOB NOT NULL
);
CREATE INDEX message_destination ON message (destination, id, size);
CREATE TABLE settled (
    author TEXT NOT NULL, author_server TEXT NOT NULL, snowflake INTEGER NOT NULL,
    recipient TEXT NOT NULL, recipient_server TEXT NOT NULL, status INTEGER NOT NULL, at REAL NOT NULL
);
CREATE INDEX settled_at ON settled (at);
CREATE TABLE owed (id INTEGER PRIMARY KEY, destination TEXT NOT NULL, raw BLOB NOT NULL);
CREATE INDEX owed_destination ON owed (destination);
CREATE TABLE known (destination TEXT PRIMARY KEY) WITHOUT ROWID;
"""

Write = tuple[str, tuple[object, ...]]
"""A statement and its values."""

_INSERT: Final = "INSERT OR REPLACE INTO message VALUES (?,?,?,?,?,?,?,?,?,?)"
_PROBE: Final = f"PRAGMA user_version={VERSION}"
"""Changes nothing, but has to be written."""


@dataclass
class Work:
    """Something to write, for the sake of an item or not; or something to read, and who gets it."""

    write: Write | None = None
    item: Item | None = None
    read: tuple[Destination, int, int] | None = None
    found: Callable[[list[Item]], None] | None = None


class Store:
    """One server's file. `kept` and `not_kept` hear, on the event loop, what was and what could not be written."""

    def __init__(
        self, directory: Path, *, kept: Callable[[list[Item]], None], not_kept: Callable[[list[Item]], None]
    ) -> None:
        """Open, or make, `directory`/chat.db.

        Raises:
            ConfigError: it cannot be used: not ours to write, in use by another process, or corrupt.

        """
        self._path = directory / "chat.db"
        self._kept = kept
        self._not_kept = not_kept
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self.error = ""
        """Why nothing can be written now; empty: all is well."""
        self._lock = _lock(directory)
        try:
            self._db = self._open()
        except BaseException:
            os.close(self._lock)
            raise
        self.next_id = int(self._one("SELECT COALESCE(MAX(id), 0) + 1 FROM message"))
        self._waiting: list[Write] = []
        """Writes that concern no waiting message, and could not be made yet."""
        self._unread: list[Work] = []
        """What could not be read yet."""
        self._thread = threading.Thread(target=self._run, name="mailbox", daemon=True)
        self._thread.start()

    # At the start, on the caller's thread --------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        """Raise ConfigError, and leave the file as it is, where it is no whole mailbox of ours."""
        try:
            if not self._path.exists():
                _make(self._path)
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                _check(db, self._path)
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
            except BaseException:
                db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise _unusable(self._path, str(error)) from None
        return db

    def _one(self, query: str) -> int:
        row = self._db.execute(query).fetchone()
        return int(row[0])

    def counts(self) -> list[tuple[Destination, int, int]]:
        """Per destination: how many messages wait, and their bytes."""
        rows = self._db.execute("SELECT destination, COUNT(*), SUM(size) FROM message GROUP BY destination")
        return [(self._destination(name), count, size) for name, count, size in rows]

    def known(self) -> list[Destination]:
        """Every user and server ever seen here."""
        return [self._destination(name) for (name,) in self._db.execute("SELECT destination FROM known")]

    def owed(self) -> list[tuple[Destination, bytes]]:
        """The statuses that could not be told yet, in order."""
        rows = self._db.execute("SELECT destination, raw FROM owed ORDER BY id")
        return [(self._destination(name), raw) for name, raw in rows]

    def settled(self) -> list[tuple[User, int, User, int]]:
        """The last final statuses of messages that were on disk: author, snowflake, recipient, status."""
        rows = self._db.execute(
            "SELECT author, author_server, snowflake, recipient, recipient_server, status FROM settled "
            "ORDER BY rowid DESC LIMIT ?",
            (SETTLED,),
        ).fetchall()
        return [(User(a, s), _unsigned(n), User(r, t), status) for a, s, n, r, t, status in reversed(rows)]

    def waiting(self) -> list[tuple[User, int, User]]:
        """The last messages that wait, in order: author, snowflake, recipient."""
        rows = self._db.execute(
            "SELECT author, author_server, snowflake, recipient, recipient_server FROM message "
            "ORDER BY id DESC LIMIT ?",
            (SETTLED,),
        ).fetchall()
        return [(User(a, s), _unsigned(n), User(r, t)) for a, s, n, r, t in reversed(rows)]

    # While running, from the event loop -------------------------------------------------------

    def keep(self, destination: Destination, item: Item) -> None:
        """Write a message; `kept` tells when it is safe, `not_kept` that it could not be."""
        author, recipient = item.author, item.recipient
        values = (
            item.id, _name(destination), author.user_id, author.server_id, _signed(item.snowflake),
            recipient.user_id, recipient.server_id, len(item.raw), time.time(), item.raw,
        )  # fmt: skip
        self._queue.put(Work((_INSERT, values), item))

    def forget(self, item: Item, status: int) -> None:
        """A kept message was answered finally, or another server has it now."""
        author, recipient = item.author, item.recipient
        key = author.user_id, author.server_id, _signed(item.snowflake), recipient.user_id, recipient.server_id
        self._put("INSERT INTO settled VALUES (?,?,?,?,?,?,?)", *key, status, time.time())
        self._put("DELETE FROM message WHERE id = ?", item.id)

    def owe(self, destination: Destination, raw: bytes) -> None:
        """Keep a status for somebody who cannot be told now."""
        self._put("INSERT INTO owed (destination, raw) VALUES (?,?)", _name(destination), raw)

    def paid(self, destination: Destination) -> None:
        """They were told."""
        self._put("DELETE FROM owed WHERE destination = ?", _name(destination))

    def know(self, destination: Destination) -> None:
        """A user or server was seen for the first time."""
        self._put("INSERT OR IGNORE INTO known VALUES (?)", _name(destination))

    def load(self, destination: Destination, after: int, limit: int, found: Callable[[list[Item]], None]) -> None:
        """Read the next messages that wait there, in order: those with ids greater than `after`."""
        self._queue.put(Work(read=(destination, after, limit), found=found))

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._queue.put(None)
        self._thread.join()
        self._db.close()
        os.close(self._lock)

    def _put(self, statement: str, *values: object) -> None:
        self._queue.put(Work((statement, values)))

    # On the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        running = True
        while running:
            batch, running = self._take()
            self._write(batch)
            reads = self._unread + [work for work in batch if work.read is not None]
            self._unread = [work for work in reads if not self._read(work)]

    def _take(self) -> tuple[list[Work], bool]:
        """All that is waiting, up to BATCH; and whether to go on. After an error, it may be nothing."""
        batch: list[Work] = []
        with contextlib.suppress(Empty):
            work = self._queue.get(timeout=RETRY if self.error else None)
            while work is not None:
                batch.append(work)
                if len(batch) == BATCH:
                    break
                work = self._queue.get_nowait()
            return batch, work is not None
        return batch, True

    def _write(self, batch: list[Work]) -> None:
        writes = self._waiting + [work.write for work in batch if work.write is not None]
        items = [work.item for work in batch if work.item is not None]
        if self.error:
            writes.append((_PROBE, ()))
        if not writes:
            return
        try:
            self._commit(writes)
        except sqlite3.Error as error:
            self._failed(error, batch, items)
            return
        self._waiting = []
        self.error = ""
        if items:
            self._tell(self._kept, items)

    def _commit(self, writes: Sequence[Write]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in writes:
                self._db.execute(statement, values)
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _failed(self, error: sqlite3.Error, batch: list[Work], items: list[Item]) -> None:
        """Nothing of the batch was written: no message of it is safe, and the rest is tried again."""
        self.error = str(error)
        self._waiting += [work.write for work in batch if work.write is not None and work.item is None]
        if items:
            self._tell(self._not_kept, items)

    def _read(self, work: Work) -> bool:
        """Whether it could be read."""
        if work.read is None or work.found is None:
            return True
        destination, after, limit = work.read
        try:
            items, size = [], 0
            for row in self._db.execute(
                "SELECT id, author, author_server, snowflake, recipient, recipient_server, raw FROM message "
                "WHERE destination = ? AND id > ? ORDER BY id LIMIT ?",
                (_name(destination), after, limit),
            ):
                items.append(_item(row))
                size += len(items[-1].raw)
                if size >= LOADED:
                    break
        except sqlite3.Error as error:
            self.error = str(error)
            return False
        self._tell(work.found, items)
        return True

    def _tell(self, whom: Callable[[list[Item]], None], items: list[Item]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(whom, items)

    @staticmethod
    def _destination(name: str) -> Destination:
        kind, _, rest = name.partition(":")
        return User.parse(rest) if kind == "user" else rest


def _make(path: Path) -> None:
    """Make a mailbox under another name first: so a file without a schema is a damaged one."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    db = sqlite3.connect(new, isolation_level=None)
    try:
        db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
    finally:
        db.close()
    new.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)  # a name survives a power cut only so
    os.close(directory)


def _check(db: sqlite3.Connection, path: Path) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise ConfigError(f"{path} is of a newer Parley (schema {version}): use that one")
    if version == 0:
        raise _unusable(path, "it is empty or another program's")
    damage = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if damage != "ok":
        raise _unusable(path, " ".join(damage.split()))


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path} cannot be used ({why}): restore it from a backup, or move it away to begin anew")


def _item(row: tuple[int, str, str, int, str, str, bytes]) -> Item:
    number, author, author_server, snowflake, recipient, recipient_server, raw = row
    item = Item(User(author, author_server), _unsigned(snowflake), User(recipient, recipient_server), raw)
    item.id = number
    item.is_saved = item.is_safe = True
    return item


def _name(destination: Destination) -> str:
    return f"user:{destination}" if isinstance(destination, User) else f"server:{destination}"


def _signed(snowflake: int) -> int:
    """SQLite's integers are signed."""
    return snowflake - (1 << 64) if snowflake >> 63 else snowflake


def _unsigned(snowflake: int) -> int:
    return snowflake & ((1 << 64) - 1)


def _lock(directory: Path) -> int:
    """One process a file: two would each deliver what the other keeps."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / "chat.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{directory} cannot be written to ({error.strerror}): set PARLEY_DATA_DIR") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigError(f"{directory} is in use by another chat process of this name") from None
    return descriptor
