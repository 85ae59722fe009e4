"""Erasure: what was taken away is in no byte of the mailbox's file, nor of the journal beside it.

SQLite leaves the bytes of a deleted row in the file until something else is written there, and in its journal until
that begins from the front again. So what is to be erased is deleted with `secure_delete`, which writes zeros, and
the journal is emptied into the file and cut to nothing, a moment later. All else is overwritten where that costs
nothing. All of it is done on the mailbox's thread.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Final

AGAIN: Final = 1.0
"""Seconds between two times that the journal is cut: each costs two fsyncs."""
_PATIENCE: Final = 5000
"""Milliseconds for which SQLite waits for somebody else who has the file, as Python sets it."""


class Erasure:
    """One file's. `is_pending`: something that was erased may still be in the journal."""

    def __init__(self, db: sqlite3.Connection, *, is_pending: bool) -> None:
        self._db = db
        is_always = db.execute("PRAGMA secure_delete").fetchone()[0] == 1  # as some systems build SQLite
        self._otherwise = "ON" if is_always else "FAST"
        db.execute(f"PRAGMA secure_delete={self._otherwise}")
        self._next = 0.0
        self.is_pending = is_pending

    @contextlib.contextmanager
    def of(self, *, erases: bool) -> Iterator[None]:
        """A transaction; `erases`: what it takes away is overwritten."""
        if not erases:
            yield
            return
        self._db.execute("PRAGMA secure_delete=ON")
        try:
            yield
            self.is_pending = True
        finally:
            self._db.execute(f"PRAGMA secure_delete={self._otherwise}")

    def cut_journal(self, now: float) -> None:
        """Cut the journal to nothing, if that is due; while somebody else reads it, it is tried again later.

        `now`: seconds, monotonic.
        """
        if not self.is_pending or now < self._next:
            return
        self._next = now + AGAIN
        with contextlib.suppress(sqlite3.Error):  # a full disk: later
            self._db.execute("PRAGMA busy_timeout=0")
            try:
                is_busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                self.is_pending = bool(is_busy)
            finally:
                self._db.execute(f"PRAGMA busy_timeout={_PATIENCE}")
