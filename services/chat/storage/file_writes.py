"""The files of a commit: written and safe before it, and gone after it where no message refers to them any more.

A crash in between leaves a file that nothing refers to, which the next start removes. On the mailbox's thread.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final

from parley.services.chat.message.life import Envelope
from parley.services.chat.storage import queries, rows
from parley.services.chat.storage.bodies import Body
from parley.services.chat.storage.body_files import BodyFiles
from parley.services.chat.storage.rows import Write
from parley.services.chat.storage.unwritten import Work

_OF_MESSAGE: Final = f"SELECT {queries.FILE_OF} FROM message WHERE id = ?"  # noqa: S608 - a constant
_OF_BODY: Final = "SELECT data FROM body WHERE id = ? AND size IS NOT NULL"


class FileWrites:
    """Those of one mailbox."""

    def __init__(self, db: sqlite3.Connection, files: BodyFiles) -> None:
        self._db, self._files = db, files
        self._looked_at: set[bytes] = set()
        """Digests to which nothing may refer once the commit is over."""

    @contextlib.contextmanager
    def of(self, works: Iterable[Work]) -> Iterator[None]:
        """Around a commit; written or not, what nothing refers to afterwards goes."""
        if self._files.count:
            for work in works:
                if work.is_large:
                    self._look_at(work.writes)
        try:
            yield
        finally:
            digests, self._looked_at = self._looked_at, set()
            with contextlib.suppress(sqlite3.Error, OSError):  # the next start finds them
                self._files.drop([each for each in digests if not queries.is_file_used(self._db, each)])

    def _look_at(self, writes: Iterable[Write]) -> None:
        for statement, values in writes:
            row = None
            if statement in (rows.DELETE, rows.REWRITE):
                row = self._db.execute(_OF_MESSAGE, (values[-1],)).fetchone()
            elif statement is rows.END_BODY:
                row = self._db.execute(_OF_BODY, values).fetchone()
            if row is not None and row[0] is not None:
                self._looked_at.add(row[0])

    def in_file(self, write: Write, of: Envelope | Body | None = None) -> Write:
        """The same write, with the digest of a file in place of what is large; `of`: the content belongs to this.

        sqlite3.OperationalError: the file cannot be written.
        """

        def put(content: bytes) -> bytes:
            try:
                digest = self._files.put(content, of.digest if of is not None else b"")
            except OSError as error:
                raise sqlite3.OperationalError(f"{self._files.directory}: {error}") from error
            self._looked_at.add(digest)
            if of is not None:
                of.in_file(content, digest)
            return digest

        return rows.in_file(write, put)

    def sync(self) -> None:
        """Have all of them be safe. sqlite3.OperationalError: they cannot be."""
        try:
            self._files.sync()
        except OSError as error:
            raise sqlite3.OperationalError(f"{self._files.directory}: {error}") from error
