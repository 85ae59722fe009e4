"""SYNC, answered: everything new in one person's conversations since a cursor.

A cursor stands between two chunks of records, or within one person's lines between two such places:

    base     all that was made of records up to this one has been told
    target   what is told now was made of records up to this one
    conversation, sequence   how far that has come; 0: it is done, and `target` is the next `base`

Lines of one conversation were made in the order of chunks, so those that are new have the highest sequences. A line
whose status changed is told again; `changed` says since which record. A cursor fits only the file that it came
from: it has the archive's epoch, and the checksum of its record, which is another one where a backup was restored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from parley.services.chat.archive import storage
from parley.services.chat.archive.lists import Conversation
from parley.services.chat.archive.reader import BYTES, Line, Reader, bounded
from parley.services.chat.archive.storage import place

_CURSOR: Final = Struct("<QQIQQQ")
_LONGEST: Final = 1 << 62
"""Numbers of a cursor are no larger: SQLite's go no further than 63 bits."""
GROUPED: Final = 256
"""Conversations that are read together."""


class Cursor(NamedTuple):
    """How far somebody has been told."""

    epoch: int
    base: int
    check: int
    """The checksum of the record `base`; 0: there is none."""
    target: int
    conversation: int = 0
    sequence: int = 0

    def to_bytes(self) -> bytes:
        """As it goes out: opaque to others."""
        return _CURSOR.pack(*self)


def cursor_from(data: bytes) -> Cursor | None:
    """A cursor that came back; None: it is none of ours."""
    if len(data) != _CURSOR.size:
        return None
    found = Cursor(*_CURSOR.unpack(data))
    return found if max(found) <= _LONGEST and found.base <= found.target else None


class Read(NamedTuple):
    """How far somebody has read a conversation."""

    conversation: Conversation
    sequence: int


class Synced(NamedTuple):
    """One page; `cursor` to go on with. `starts_over`: the cursor asked with was of no use."""

    lines: list[Line]
    read: list[Read]
    cursor: bytes
    more: bool
    starts_over: bool


class SyncReader(Reader):
    """A reader that answers SYNC, too."""

    def sync(self, person: str, cursor: bytes, *, limit: int = 0) -> Synced:
        """Find what is new since a cursor; empty: all that is kept. sqlite3.Error: it cannot be read."""
        self._begin()
        begin = self._continued(person, cursor) if cursor else None
        starts_over = bool(cursor) and begin is None
        if begin is None:
            begin = Cursor(storage.epoch(self._db, person), 0, 0, storage.projected(self._db))
        lines: list[Line] = []
        read: list[Read] = []
        size, most, at = 0, bounded(limit), begin
        try:
            for each, line, sequence, number in self._items(person, begin):
                size += line.size if line is not None else 0
                if len(lines) + len(read) >= most or (lines and size > BYTES):
                    return Synced(lines, read, at.to_bytes(), more=True, starts_over=starts_over)
                if line is None:
                    read.append(Read(each, sequence))
                else:
                    lines.append(line.without_bytes() if size > BYTES else line)
                at = begin._replace(conversation=number, sequence=line.sequence if line else _LONGEST)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_INTERRUPT" or at == begin:
                raise
            return Synced(lines, read, at.to_bytes(), more=True, starts_over=starts_over)
        end = Cursor(begin.epoch, begin.target, self._check(begin.target) or 0, begin.target)
        more = begin.conversation > 0 and storage.projected(self._db) > begin.target  # it took several pages
        return Synced(lines, read, end.to_bytes(), more=more, starts_over=starts_over)

    def _check(self, number: int) -> int | None:
        """The checksum of a record; None: it is gone."""
        row = self._db.execute("SELECT crc FROM record WHERE id = ?", (number,)).fetchone()
        return None if row is None else int(row[0])

    def _continued(self, person: str, data: bytes) -> Cursor | None:
        """Where a cursor goes on; None: it fits this file no more."""
        cursor, projected = cursor_from(data), storage.projected(self._db)
        if cursor is None or cursor.epoch != storage.epoch(self._db, person) or cursor.target > projected:
            return None
        if cursor.base and self._check(cursor.base) != cursor.check:
            return None
        return cursor if cursor.conversation else cursor._replace(target=projected)

    def _items(self, person: str, cursor: Cursor) -> Iterator[tuple[Conversation, Line | None, int, int]]:
        """Conversation by conversation its lines, then how far it was read, as None and the sequence."""
        rows = self._conversations_from(person, cursor.conversation, cursor)
        while rows:
            for number, is_group, name, server_id, read in rows:
                each = Conversation(person, bool(is_group), name, server_id)
                after = cursor.sequence if number == cursor.conversation else 0
                if after == _LONGEST:
                    continue
                for line in self._new_lines(each, number, after, cursor):
                    yield each, line, line.sequence, number
                if read:
                    yield each, None, read, number
            rows = self._conversations_from(person, rows[-1][0] + 1, cursor) if len(rows) == GROUPED else []

    def _conversations_from(self, person: str, first: int, cursor: Cursor) -> list[tuple[int, int, str, str, int]]:
        """Some conversations in which there may be something new: of a hundred thousand, an answer has few."""
        return self._db.execute(
            "SELECT id, is_group, name, server_id, read FROM conversation"
            " WHERE person = ? AND id >= ? AND (place >= ? OR changed > ?) ORDER BY id LIMIT ?",
            (person, first, place(cursor.base + 1, 0), cursor.base, GROUPED),
        ).fetchall()

    def _new_lines(self, each: Conversation, number: int, after: int, cursor: Cursor) -> Iterator[Line]:
        """Lines that changed, then those that are new."""
        first = self._first_from(number, place(cursor.base + 1, 0))
        changed = self._db.execute(
            "SELECT sequence FROM changed WHERE conversation = ? AND record BETWEEN ? AND ?"
            " AND sequence > ? AND sequence < ? ORDER BY sequence LIMIT ?",
            (number, cursor.base + 1, cursor.target, after, first, bounded(_LONGEST) + 1),
        )
        for (sequence,) in changed.fetchall():
            yield from self._lines(each, number, "sequence = ?", (sequence,), "", 1)
        bounds = max(after, first - 1), place(cursor.target + 1, 0)
        yield from self._lines(each, number, "sequence > ? AND place < ?", bounds, "", bounded(_LONGEST) + 1)
