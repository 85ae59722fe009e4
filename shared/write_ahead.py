"""SQLite's write-ahead log for a file that several processes open at once.

SQLite does not wait where two of them turn it on in a new file: each has begun to read it, and would wait for the
other to end for ever. It says "database is locked" at once.
Source: https://www.sqlite.org/c3ref/busy_handler.html
"""

from __future__ import annotations

import sqlite3
from typing import Final

_TRIES: Final = 100
"""One of those who are in each other's way wins each time, so there are hardly more tries than processes."""


def turn_on(db: sqlite3.Connection) -> None:
    """Have the file of a connection use a write-ahead log, whoever opens it at the same time.

    The connection is in autocommit mode. sqlite3.Error: the file cannot be used, or is in use for longer than the
    connection waits.
    """
    for _ in range(_TRIES):
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        else:
            return
        db.execute("BEGIN EXCLUSIVE")  # waits for whoever was in the way, in no longer than the connection's time
        db.execute("COMMIT")
    raise sqlite3.OperationalError("database is locked")
