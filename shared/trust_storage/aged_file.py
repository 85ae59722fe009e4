"""A file of ours that knows how old it is: SQLite, opened by all processes of a node at once, and by commands.

Its age grows while a machine runs, whatever the clock says (shared/trust/ages.py). Each call waits for the disk;
what must not wait calls from a thread.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from parley.shared import write_ahead
from parley.shared.directories import make_directory
from parley.shared.runtime.moments import Moment, moment
from parley.shared.trust.ages import passed

BUSY: Final = 5.0
"""Seconds for which another process's transaction is waited for."""
CLOCK: Final = """
CREATE TABLE IF NOT EXISTS clock (
    one INTEGER PRIMARY KEY CHECK (one = 1), age REAL NOT NULL, wall REAL NOT NULL, running REAL NOT NULL,
    boot TEXT NOT NULL
);
"""
_SET_CLOCK: Final = "INSERT OR REPLACE INTO clock VALUES (1,?,?,?,?)"


class AgedFile:
    """A file of that name, made where there is none: the directory 0700, the file 0600. OSError, sqlite3.Error.

    `schema` makes the tables of `version`; a file of a greater version is a newer Parley's.
    """

    def __init__(self, path: Path, schema: str, version: int) -> None:
        self.path = path
        make_directory(path.parent, 0o700)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._db = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(schema, version)
            self._inode = path.stat().st_ino
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _prepare(self, schema: str, version: int) -> None:
        write_ahead.turn_on(self._db)
        self._db.execute("PRAGMA synchronous=FULL")
        if self._schema_version() > version:
            raise sqlite3.DatabaseError(f"{self.path} is of a newer Parley")
        if self._schema_version() < version:
            self._db.execute("BEGIN IMMEDIATE")
            if self._schema_version() < version:  # no other process has made it meanwhile
                for statement in f"{schema} {CLOCK}".split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={version}")
            self._db.execute("COMMIT")
        self._age, self._written = self._clock() or (0.0, moment())

    def _schema_version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    # Time ------------------------------------------------------------------------------------------------

    def _clock(self) -> tuple[float, Moment] | None:
        row = self._db.execute("SELECT age, wall, running, boot FROM clock").fetchone()
        return (row[0], Moment(*row[1:])) if row is not None else None

    @property
    def written(self) -> tuple[float, Moment]:
        """The age of the file when its clock was written last, and the moment of that."""
        return self._age, self._written

    def _tick(self) -> float:
        """Write how old the file is; that age in seconds. Inside of a transaction."""
        now = moment()
        before = self._clock()
        age = before[0] + passed(before[1], now) if before is not None else 0.0
        self._db.execute(_SET_CLOCK, (age, *now))
        self._age, self._written = age, now
        return age

    @property
    def version(self) -> int:
        """A number that changes when another process has written."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    @property
    def is_there(self) -> bool:
        """Whether the file is still the one that has this name."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def read_clock(self) -> None:
        """Take over how old the file is by what was written last."""
        self._age, self._written = self._clock() or (self._age, self._written)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[float]:
        """A transaction; the age of the file in it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._tick()
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
