"""The numbers of received messages on disk, so that an old one is known as such after a restart, too.

One small SQLite file for each user, shared by all programs of that user on this machine: what each has received is
added to what the others have. It holds hashes and numbers, and no name.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from parley.shared.trust.replays import MOST, SENDER, WINDOW, Sender, add_numbers
from parley.shared.trust_storage.aged_file import AgedFile

VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE numbers (sender BLOB PRIMARY KEY, numbers BLOB NOT NULL, used INTEGER NOT NULL);
CREATE INDEX numbers_used ON numbers (used);
"""
_SET: Final = "INSERT OR REPLACE INTO numbers SELECT ?, ?, 1 + coalesce(max(used), 0) FROM numbers"
_TRIM: Final = """
DELETE FROM numbers WHERE sender IN (SELECT sender FROM numbers ORDER BY used DESC LIMIT -1 OFFSET ?)
"""


class NumbersFile(AgedFile):
    """One user's file, made where there is none. OSError, sqlite3.Error. Each call waits for the disk."""

    def __init__(self, path: Path, most: int = MOST, window: int = WINDOW) -> None:
        super().__init__(path, _SCHEMA, VERSION)
        self._most = most
        self._window = window

    def read(self) -> Iterator[tuple[Sender, array[int]]]:
        """The numbers of each sender, of the one that was silent the longest first."""
        rows = self._db.execute("SELECT sender, numbers FROM numbers ORDER BY used DESC LIMIT ?", (self._most,))
        for sender, numbers in reversed(rows.fetchall()):
            if len(sender) == SENDER:
                yield sender, self._read(numbers)

    def add(self, numbers: Mapping[Sender, Sequence[int]]) -> None:
        """Add what was received to what is there, in one transaction."""
        with self._writing():
            for sender, more in numbers.items():
                row = self._db.execute("SELECT numbers FROM numbers WHERE sender = ?", (sender,)).fetchone()
                known = self._read(row[0]) if row is not None else array("Q")
                add_numbers(known, more, self._window)
                self._db.execute(_SET, (sender, known.tobytes()))
            self._db.execute(_TRIM, (self._most,))

    def _read(self, data: bytes) -> array[int]:
        known = array("Q")
        if len(data) % known.itemsize:
            raise sqlite3.DatabaseError(f"{self.path} holds what are no numbers")
        known.frombytes(data)
        return known
