"""Keys of messages that wait: the latest in memory, all others in an index that is written many at a time.

Theory of operation. A key is a hash, so its place in an index may be on any page. An index that is written with
each message has every commit rewrite most of its pages, several of them for each message where many wait. So the
keys of the latest messages are in memory alone, and in the rows of the messages themselves. When these are MANY, or
MUCH is to be read to know them again, they are put into the table `mail_key`, in its order, in one transaction.

    message's number   its key is found
    up to the mark     in `mail_key`
    beyond it          in memory, which a start reads from the messages' rows

A message may be written after the mark has passed its number, as it was in flight before: its key is put into the
table with it. A key that is in the table of a message that is gone does no harm: whoever asks looks at the message.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from typing import Final

from parley.services.chat.storage.rows import Write

MANY: Final = 1 << 15
"""Keys in memory, beside those that are being written to the table."""
MUCH: Final = 16 * 1024 * 1024
"""Bytes of messages whose keys are in memory."""

SCHEMA: Final = """
CREATE TABLE mail_key (key INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (key, id)) WITHOUT ROWID;
CREATE TABLE keyed (one INTEGER PRIMARY KEY CHECK (one = 1), id INTEGER NOT NULL);
INSERT INTO keyed VALUES (1, 0);
"""
TRIGGER: Final = """
CREATE TRIGGER message_key_over AFTER DELETE ON message WHEN old.id <= (SELECT id FROM keyed) BEGIN
    DELETE FROM mail_key WHERE key = old.key AND id = old.id;
END;
"""
_MARK: Final = "SELECT id FROM keyed"
_BEYOND: Final = "SELECT key, id FROM message WHERE id > (SELECT id FROM keyed) AND (key <> 0 OR key_rest <> 0)"
_INDEX: Final = f"INSERT OR IGNORE INTO mail_key {_BEYOND} AND id <= ? ORDER BY key"
_INDEX_ONE: Final = (
    "INSERT OR IGNORE INTO mail_key SELECT key, id FROM message "
    "WHERE id = ? AND id <= (SELECT id FROM keyed) AND (key <> 0 OR key_rest <> 0)"
)
_SET_MARK: Final = "UPDATE keyed SET id = MAX(id, ?)"
IN_TABLE: Final = "SELECT key FROM mail_key ORDER BY key"
IN_MEMORY: Final = f"SELECT key FROM ({_BEYOND}) ORDER BY key"  # noqa: S608 - a constant
_AT: Final = "SELECT destination FROM message WHERE id = ? AND key = ? AND key_rest = ?"
_BY_KEY: Final = (
    "SELECT destination FROM message WHERE id IN (SELECT id FROM mail_key WHERE key = ?1) AND key = ?1 "
    "AND key_rest = ?2"
)


def index_all(db: sqlite3.Connection) -> None:
    """Put all keys into the table, within a transaction."""
    last = db.execute("SELECT COALESCE(MAX(id), 0) FROM message").fetchone()[0]
    _index(db, last)


def index_late(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Put the keys of these messages into the table, within a transaction, where the mark has passed them."""
    for number in numbers:
        db.execute(_INDEX_ONE, (number,))


def _index(db: sqlite3.Connection, last: int) -> None:
    db.execute(_INDEX, (last,))
    db.execute(_SET_MARK, (last,))


class MailKeys:
    """One mailbox's. On the event loop, but for what is said to be on the store's thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._mark: int = db.execute(_MARK).fetchone()[0]
        """On the thread: keys of messages up to this number are in the table."""
        self._latest: dict[int, int] = dict(db.execute(_BEYOND))
        """First half of a key → the message's number."""
        self._being_written: dict[int, int] = {}
        self._is_writing = False
        self._size = 0
        self._last = 0
        """The greatest number that was put here."""

    def add(self, first: int, number: int, size: int) -> None:
        """A message is to be written: the first half of its key, its number, its bytes."""
        self._latest[first] = number
        self._size += size
        self._last = max(self._last, number)

    @property
    def is_due(self) -> bool:
        """Whether those in memory are to be written to the table."""
        return (len(self._latest) >= MANY or self._size >= MUCH) and not self._is_writing

    def begin(self) -> Callable[[sqlite3.Connection], None]:
        """Begin to write them: what the thread is to call once all that was asked for before is written."""
        self._being_written, self._latest = self._latest, {}
        self._is_writing, self._size, last = True, 0, self._last

        def write(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            try:
                _index(db, last)
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
            self._mark = max(self._mark, last)

        return write

    def written(self, _done: None) -> None:
        """All that was being written is in the table."""
        self._being_written, self._is_writing = {}, False

    def find(self, db: sqlite3.Connection, first: int, rest: int) -> str | None:
        """The destination of a message that waits, by its key; None: none is there, or it is not committed."""
        for known in (self._latest, self._being_written):
            number = known.get(first)
            if number is not None and (row := db.execute(_AT, (number, first, rest)).fetchone()) is not None:
                return str(row[0])
        row = db.execute(_BY_KEY, (first, rest)).fetchone()
        return None if row is None else str(row[0])

    def late(self, messages: Iterable[Write]) -> list[int]:
        """On the thread: the numbers of those messages that the mark has passed (rows.INSERT)."""
        mark = self._mark
        return [values[0] for _, values in messages if values[0] <= mark]  # type: ignore[misc, operator] # a number
