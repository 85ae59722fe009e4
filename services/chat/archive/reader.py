"""Questions to the archive's file: conversations, lines of one, and a search.

Each has an end in number and in time.

A reader belongs to one thread. What takes longer than it may is broken off, and the answer says that there is
more.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from parley.services.chat.archive import storage
from parley.services.chat.archive.entries import FILED, MESSAGE, entry_at
from parley.services.chat.archive.files import frame_of
from parley.services.chat.archive.lists import RECEIVED_LINE, Conversation, conversation, group_of
from parley.services.chat.archive.storage import record_of
from parley.services.chat.archive.texts import Query, tokens
from parley.shared.addresses import User
from parley.shared.wire.messages import pb

MOST: Final = 200
"""Lines of one answer."""
USUAL: Final = 50
BYTES: Final = 512 * 1024
"""Bytes of messages in one answer; one message that has more comes without them."""
UNREAD: Final = 1000
"""Messages that are counted as unread, at most."""
SECONDS: Final = 0.2
"""A question takes no longer, and a search says so."""
_EDIT: Final = (
    "(SELECT edit.place FROM edit WHERE edit.conversation = line.conversation AND edit.sequence = line.sequence)"
)
STEPS: Final = 1000
"""SQLite's steps between two looks at the clock."""
NEAR: Final = 512
"""Lines around the one where a message is looked for: places of one chunk may stand in another order."""


class Line(NamedTuple):
    """One message of somebody's list."""

    conversation: Conversation
    sequence: int
    status: int
    at: float
    """Unix time when it came; 0: it is gone."""
    message: bytes
    """The payload of the MESSAGE; empty: it is gone, deleted, or too large for this answer."""
    edit: bytes = b""
    """The payload of the MESSAGE that changed it last; empty: none did."""
    number: int = 0
    """Of a group's line: its place there, before the sequence."""

    @property
    def size(self) -> int:
        """Bytes of both."""
        return len(self.message) + len(self.edit)

    def without_bytes(self) -> Line:
        """The same without the message, which is too large."""
        return self._replace(message=b"", edit=b"")


class Lines(NamedTuple):
    """Lines, whether there are more, and where to go on."""

    lines: list[Line]
    more: bool = False
    next: int = 0
    read: int = 0


class Summary(NamedTuple):
    """One conversation: its last line, unread messages, and how far it was read."""

    conversation: Conversation
    last: Line | None
    unread: int
    read: int


class Reader:
    """One connection to the file."""

    def __init__(self, path: Path) -> None:
        """Open the file; sqlite3.Error: that cannot be."""
        self._db = storage.open_reader(path)
        self._until = 0.0
        self._record: storage.Record | None = None
        self._db.set_progress_handler(self._is_over, STEPS)

    @property
    def torn(self) -> int:
        """Files that were read and are not what they were."""
        return storage.files_of(self._db).torn

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _is_over(self) -> bool:
        return time.monotonic() > self._until

    def _begin(self) -> None:
        self._until = time.monotonic() + SECONDS
        self._record = None

    def conversations(self, person: str, limit: int) -> tuple[list[Summary], bool]:
        """The conversations of one person, the latest first; whether there are more."""
        self._begin()
        limit = bounded(limit)
        sql = (
            "SELECT is_group, name, server_id, id, last, place, read FROM conversation"
            " WHERE person = ? ORDER BY place DESC LIMIT ?"
        )
        found, size = [], 0
        rows = self._db.execute(sql, (person, limit + 1)).fetchall()
        for is_group, name, server_id, number, last, _place, read in rows[:limit]:
            each = Conversation(person, bool(is_group), name, server_id)
            line = next(self._last_lines(each, number, last), None)
            size += line.size if line else 0
            if line is not None and size > BYTES:
                line = line.without_bytes()
            unread = self._db.execute(
                "SELECT COUNT(*) FROM (SELECT 1 FROM line WHERE conversation = ? AND sequence > ? AND status = ?"
                " LIMIT ?)",
                (number, read, RECEIVED_LINE, UNREAD),
            ).fetchone()[0]
            if line is not None:
                found.append(Summary(each, line, unread, read))
        return found, len(rows) > limit

    def history(
        self, each: Conversation, *, before: int = 0, after: int | None = None, since: float = 0.0, limit: int = 0
    ) -> Lines:
        """Lines of a conversation: the newest first; with `after` the oldest behind that sequence first."""
        self._begin()
        limit = bounded(limit)
        row = self._db.execute(
            "SELECT id, read FROM conversation WHERE " + storage.OF_CONVERSATION,  # noqa: S608 - a constant
            each,
        ).fetchone()
        if row is None:
            return Lines([])
        number, read = row
        sign, order, begin = (">", "", _number(after)) if after is not None else ("<", "DESC", _number(before))
        if each.is_group:
            found = self._group_lines(each, number, sign, begin, order, limit + 1)
        else:
            begin = begin if after is not None or before else 1 << 62
            found = self._lines(each, number, f"sequence {sign} ?", (begin,), order, limit + 1)
        lines: list[Line] = []
        size = 0
        try:
            for line in found:
                if line.at < since and after is None:
                    return Lines(lines, more=False, read=read)
                size += line.size
                if len(lines) == limit or (lines and size > BYTES):
                    return Lines(lines, more=True, read=read)
                lines.append(line.without_bytes() if size > BYTES else line)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_INTERRUPT" or not lines:
                raise
            return Lines(lines, more=True, read=read)
        return Lines(lines, read=read)

    def _last_lines(self, each: Conversation, number: int, last: int) -> Iterator[Line]:
        """The last line of a conversation, if it is there."""
        if each.is_group:
            return self._group_lines(each, number, "<", 0, "DESC", 1)
        return self._lines(each, number, "sequence = ?", (last,), "", 1)

    def _group_lines(
        self, each: Conversation, number: int, sign: str, begin: int, order: str, limit: int
    ) -> Iterator[Line]:
        """Lines of a group's conversation before or behind that sequence, as the group has them; 0: all."""
        before = self._db.execute(
            "SELECT number FROM numbered WHERE conversation = ? AND sequence <= ? ORDER BY sequence DESC LIMIT 1",
            (number, begin),
        ).fetchone()
        place = (before[0] if before else 0, begin) if begin or sign == ">" else (1 << 62, 0)
        return self._lines(each, number, f"(number, sequence) {sign} (?, ?)", place, order, limit, by="number")

    def _lines(
        self,
        each: Conversation,
        number: int,
        where: str,
        values: tuple[int, ...],
        order: str,
        limit: int,
        *,
        by: str = "",
    ) -> Iterator[Line]:
        """Lines in the order of their sequence, or of a column before that."""
        table, column = ("numbered CROSS JOIN line USING (conversation, sequence)", "number")
        if not each.is_group:
            table, column = "line", "0"
        by = f"{by} {order}, " if by else ""
        sql = (
            f"SELECT sequence, place, status, {_EDIT}, {column} FROM {table} WHERE conversation = ? AND {where}"  # noqa: S608 - all ours
            f" ORDER BY {by}sequence {order} LIMIT ?"
        )
        rows = self._db.execute(sql, (number, *values, limit)).fetchall()
        for sequence, at, status, changed_at, place_in_group in rows:
            line = Line(each, sequence, status, *self._message(at), number=place_in_group)
            yield line if changed_at is None else self._changed(line, changed_at)

    def _changed(self, line: Line, at: int) -> Line:
        """A line with its edit; of what was deleted nothing is told, blanked or not."""
        when, edit = self._message(at)
        if edit and pb.ChatMessage.FromString(edit).edit.deletes:
            return line._replace(at=line.at or when, message=b"", edit=edit)
        return line._replace(edit=edit)

    def _message(self, at: int) -> tuple[float, bytes]:
        """When a message came, and its payload."""
        number, offset = record_of(at)
        if self._record is None or self._record.number != number:
            found = storage.read_record(self._db, number)
            self._record = found if found is not None and found.is_whole else None
        entry = entry_at(self._record.body, offset) if self._record is not None else None
        if self._record is None or entry is None or entry.kind not in (MESSAGE, FILED):
            return 0.0, b""
        frame = entry.data if entry.kind == MESSAGE else frame_of(self._db, entry.data)
        begin = frame.find(b" ", frame.find(b" ") + 1) + 1
        return entry.when + self._record.clock if frame else 0.0, frame[begin:-1]

    # Search -----------------------------------------------------------------------------------

    def search(self, person: str, query: Query, *, before: int = 0, limit: int = 0) -> Lines:
        """Lines of one person's with all that is asked for, the newest first; `next` to go on with as `before`."""
        self._begin()
        limit = bounded(limit)
        lines: list[Line] = []
        size, last = 0, _number(before or 1 << 62)
        try:
            for at in self._candidates(person, query, last):
                line = self._line_at(person, query, at)
                if line is not None:
                    size += line.size
                    if len(lines) == limit or (lines and size > BYTES):
                        return Lines(lines, more=True, next=last)
                    lines.append(line.without_bytes() if size > BYTES else line)
                last = at
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_INTERRUPT":
                raise
            return Lines(lines, more=True, next=last)
        return Lines(lines)

    def _candidates(self, person: str, query: Query, before: int) -> Iterator[int]:
        """Places of messages that the indexes find, the newest first."""
        rows = self._db.execute(
            "SELECT person, is_group, name, server_id FROM conversation WHERE person = ?", (person,)
        )
        mine = tokens(Conversation(*row) for row in rows.fetchall())
        if not mine:
            return
        people = " OR ".join(f'"{each}"' for each in mine.split())
        for day in storage.term_tables(self._db, "terms"):
            asked = [(f"terms_{day}", f"({query.terms}) AND ({people})" if query.terms else f"({people})")]
            if query.grams:
                asked.insert(0, (f"grams_{day}", query.grams))
            yield from self._of_day(asked, before)

    def _of_day(self, asked: list[tuple[str, str]], before: int) -> Iterator[int]:
        sql = " INTERSECT ".join(
            f"SELECT rowid FROM {table} WHERE {table} MATCH ? AND rowid < ?"  # noqa: S608 - ours, a number
            for table, _expression in asked
        )
        values = [value for _table, expression in asked for value in (expression, before)]
        try:
            for (at,) in self._db.execute(f"{sql} ORDER BY rowid DESC", values):
                yield at
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):  # a day without that script, or one that has just gone
                raise

    def _line_at(self, person: str, query: Query, at: int) -> Line | None:
        """The person's line of a message; None: they do not have it, or it is not what was asked for."""
        _when, payload = self._message(at)
        if not payload:
            return None
        message = pb.ChatMessage.FromString(payload)
        text = (message.edit.text if message.HasField("edit") else message.textContent).casefold()
        if query.parts and not all(part in text for part in query.parts):
            return None
        author, group = User.of(message.author), group_of(message)
        if group is not None:
            others = [conversation(person, group)]
        else:
            user = User.of(message.user)
            others = [conversation(person, user if author.user_id == person else author)]
            if author.user_id == person and user.user_id == person:
                others.append(conversation(person, author))
        for each in others:
            line = self._edited_line(each, at) if message.HasField("edit") else self._found_line(each, at)
            if line is not None:
                return line
        return None

    def _found_line(self, each: Conversation, at: int) -> Line | None:
        """The line of a message in a conversation; None: it is not there, or has other words now."""
        number = self._number(each)
        sequence = self._find_line(number, at) if number is not None else None
        if number is None or sequence is None:
            return None
        line = next(self._lines(each, number, "sequence = ?", (sequence,), "", 1), None)
        return line if line is not None and not line.edit else None

    def _edited_line(self, each: Conversation, at: int) -> Line | None:
        """The line of which the edit that stands there holds."""
        number = self._number(each)
        row = self._db.execute(
            "SELECT sequence FROM edit WHERE conversation = ? AND place = ?", (number, at)
        ).fetchone()
        if number is None or row is None:
            return None
        return next(self._lines(each, number, "sequence = ?", row, "", 1), None)

    def _number(self, each: Conversation) -> int | None:
        row = self._db.execute(
            "SELECT id FROM conversation WHERE " + storage.OF_CONVERSATION,  # noqa: S608 - a constant
            each,
        ).fetchone()
        return None if row is None else int(row[0])

    def _find_line(self, number: int, at: int) -> int | None:
        """The sequence of a message in a conversation, by halving: places nearly go by sequence."""
        low = self._first_from(number, at)
        near = self._db.execute(
            "SELECT sequence FROM line WHERE conversation = ? AND sequence BETWEEN ? AND ? AND place = ?",
            (number, low - NEAR, low + NEAR, at),
        ).fetchone()
        return None if near is None else int(near[0])

    def _first_from(self, number: int, at: int) -> int:
        """About the sequence from which on a conversation's lines stand at that place or behind it.

        Exact where the place is between two chunks; within one, places may stand in another order.
        """
        row = self._db.execute("SELECT MAX(sequence) FROM line WHERE conversation = ?", (number,)).fetchone()
        low, high = 1, (row[0] or 0) + 1
        while low < high:
            middle = (low + high) // 2
            found = self._db.execute(
                "SELECT sequence, place FROM line WHERE conversation = ? AND sequence >= ?"
                " ORDER BY sequence LIMIT 1",
                (number, middle),
            ).fetchone()
            if found is None or found[1] >= at:
                high = middle
            else:
                low = found[0] + 1
        return low

    def figures(self) -> dict[str, float]:
        """How much there is."""
        self._until = time.monotonic() + 10 * SECONDS
        days = self._db.execute("SELECT COUNT(*), MIN(at) FROM day").fetchone()
        files, size = storage.figures_of_files(self._db)
        return {
            "days": days[0],
            "oldest_at": days[1] or 0.0,
            "conversations": self._db.execute("SELECT COUNT(*) FROM conversation").fetchone()[0],
            "records": self._db.execute("SELECT COALESCE(MAX(last) - MIN(first) + 1, 0) FROM day").fetchone()[0],
            "bytes": storage.used_bytes(self._db),
            "body_files": files,
            "body_files_bytes": size,
            "unprojected_records": max(0, storage.last_record(self._db) - storage.projected(self._db)),
        }


def bounded(limit: int) -> int:
    """How many lines are answered to who asks for so many."""
    return max(1, min(limit or USUAL, MOST))


def _number(value: int) -> int:
    """A number from outside, as SQLite takes it."""
    return min(value, 1 << 62)
