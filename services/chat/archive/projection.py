"""Lines and words, made from records: each person's lists in order, and the index that searches go by.

All of it can be made again from the records. A chunk is projected as a whole, in one transaction with the note
how far this has come: so after a crash it goes on with the next chunk, and nothing is there twice. That a
message comes again is chat's to recognise; what it cannot know after a crash, the keys of the latest messages
tell.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError

from parley.services.chat.archive import storage
from parley.services.chat.archive.entries import COPY, MESSAGE, READ, STATUS, Entry, entries
from parley.services.chat.archive.lists import (
    RECEIVED_LINE,
    Conversation,
    conversation,
    group_of,
    lines_of,
    message_of,
)
from parley.services.chat.archive.storage import OF_CONVERSATION, Record, place
from parley.services.chat.archive.texts import is_spaceless, text_of, tokens
from parley.services.chat.message.statuses import INTERIM
from parley.shared.addresses import Group, Recipient, User
from parley.shared.errors import StorageError
from parley.shared.wire.messages import pb

KNOWN: Final = 65_536
"""Lines of which it is remembered that they are there."""
CONVERSATIONS: Final = 65_536
"""Conversations in memory."""

_NEW: Final = (
    "INSERT INTO conversation (person, is_group, name, server_id, last, place, read) VALUES (?, ?, ?, ?, 0, 0, 0)"
)
_FIND: Final = "SELECT id, last, place, read FROM conversation WHERE " + OF_CONVERSATION  # noqa: S608 - a constant


class _Head:
    """A conversation's row, while it is in memory."""

    __slots__ = ("is_changed", "last", "number", "place", "read")

    def __init__(self, number: int, last: int, at: int, read: int) -> None:
        self.number, self.last, self.place, self.read = number, last, at, read
        self.is_changed = False


class Projection:
    """Makes lines and words; the file's one writer calls it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._heads: OrderedDict[Conversation, _Head] = OrderedDict()
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self.broken = 0
        """Records that could not be read, and were passed by."""
        self.touched: set[str] = set()
        """The people whose lists were changed, until somebody takes them."""
        self._at = 0
        """The last record of the chunk that is projected."""
        self._lines: list[tuple[int, int, int, int]] = []
        self._terms: list[tuple[int, str]] = []
        self._grams: list[tuple[int, str]] = []
        self._is_repeating = False
        """Whether entries are only looked at, to know their keys."""

    def remember(self) -> None:
        """Know the keys of the latest lines, as the last process did."""
        newest = storage.projected(self._db)
        first, count = newest + 1, 0
        sizes = self._db.execute("SELECT id, length(body) FROM record WHERE id <= ? ORDER BY id DESC", (newest,))
        for number, size in sizes:
            first, count = number, count + size // 128
            if count >= KNOWN:
                break
        after = first - 1
        while after < newest and (chunk := storage.read_chunk(self._db, after)):
            for _record, entry in self._entries(chunk):
                if entry.kind == MESSAGE and (message := message_of(entry)) is not None:
                    for each, status in lines_of(entry, message):
                        self._is_new(entry.key, each, status)
                elif entry.kind == COPY:
                    self._is_new(entry.key, Conversation(_person(entry), True, "", ""), RECEIVED_LINE)
            after = chunk[-1].number

    def project(self, chunk: list[Record]) -> int:
        """Make the lines and words of one chunk; how many entries it had. sqlite3.Error: nothing was made."""
        try:
            with storage.transaction(self._db, is_safe=False):
                count = self._read(chunk)
                self._write(chunk[-1].day)
                storage.set_projected(self._db, chunk[-1].number)
        except BaseException:
            self.forget()
            self._known.clear()
            raise
        return count

    def forget(self) -> None:
        """Hold nothing of the file in memory: it was changed, or what was made was not written."""
        self._heads.clear()
        for each in (self._lines, self._terms, self._grams):
            each.clear()

    def _entries(self, chunk: list[Record]) -> Iterable[tuple[Record, Entry]]:
        for record in chunk:
            try:
                for entry in entries(record.body):
                    yield record, entry
            except StorageError:
                self.broken += 1

    def _read(self, chunk: list[Record]) -> int:
        count = 0
        self._at = chunk[-1].number
        groups: dict[bytes, tuple[int, Group]] = {}
        for record, entry in self._entries(chunk):
            count += 1
            at = place(record.number, entry.offset)
            if entry.kind == MESSAGE:
                self._message(entry, at, record.day, groups)
            elif entry.kind == COPY and (found := groups.get(entry.key)) is not None:
                each = conversation(_person(entry), found[1])
                if self._is_new(entry.key, each, RECEIVED_LINE):
                    self._add_line(each, found[0], RECEIVED_LINE)
            elif entry.kind == STATUS:
                self._status(entry)
            elif entry.kind == READ:
                self._mark_read(entry)
        return count

    def _message(self, entry: Entry, at: int, day: int, groups: dict[bytes, tuple[int, Group]]) -> None:
        message = message_of(entry)
        if message is None:
            self.broken += 1
            return
        if (group := group_of(message)) is not None:
            groups.setdefault(entry.key, (at, group))
        has: list[Conversation] = []
        for each, status in lines_of(entry, message):
            if status != RECEIVED_LINE and group is None and self._status(entry):
                continue  # it waited, and now it is delivered
            if not self._is_new(entry.key, each, status):
                continue
            number, sequence = self._add_line(each, at, status)
            has.append(each)
            if status in INTERIM:
                row = (entry.key, number, sequence, day)
                self._db.execute("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?)", row)
        if has and (text := text_of(message)):
            self._terms.append((at, f"{text} {tokens(has)}"))
            if is_spaceless(text):
                self._grams.append((at, text))

    def _is_new(self, key: bytes, each: Conversation, status: int) -> bool:
        """Whether somebody's list does not have that message yet, as far as is known."""
        line = b"%s%d%s" % (key, status == RECEIVED_LINE, each.person.encode(errors="surrogatepass"))
        if line in self._known:
            return False
        self._known[line] = None
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return True

    def _add_line(self, each: Conversation, at: int, status: int) -> tuple[int, int]:
        head = self._head(each)
        head.last += 1
        head.place = at
        head.is_changed = True
        self._lines.append((head.number, head.last, at, status))
        return head.number, head.last

    def _head(self, each: Conversation) -> _Head:
        head = self._known_head(each)
        if head is None:
            head = self._heads[each] = _Head(self._db.execute(_NEW, each).lastrowid or 0, 0, 0, 0)
        return head

    def _known_head(self, each: Conversation) -> _Head | None:
        """The head of a conversation; None: there is none."""
        head = self._heads.get(each)
        if head is None and (row := self._db.execute(_FIND, each).fetchone()) is not None:
            head = self._heads[each] = _Head(*row)
        return head

    def _status(self, entry: Entry) -> bool:
        """Note what became of a message that waited; whether one of that key did."""
        row = self._db.execute("SELECT conversation, sequence FROM pending WHERE key = ?", (entry.key,)).fetchone()
        if row is None:
            return False
        self._flush_lines()
        self._db.execute("UPDATE line SET status = ? WHERE conversation = ? AND sequence = ?", (entry.status, *row))
        self._db.execute("INSERT OR REPLACE INTO changed VALUES (?, ?, ?)", (*row, self._at))
        self._db.execute("UPDATE conversation SET changed = ? WHERE id = ?", (self._at, row[0]))
        self.touched.update(
            whose for (whose,) in self._db.execute("SELECT person FROM conversation WHERE id = ?", row[:1])
        )
        if entry.status not in INTERIM:
            self._db.execute("DELETE FROM pending WHERE key = ?", (entry.key,))
        return True

    def _mark_read(self, entry: Entry) -> None:
        """Somebody has read so far: forward only, not beyond what is there, and only of what is there at all."""
        try:
            mark = pb.ReadMark.FromString(entry.data)
        except DecodeError:
            self.broken += 1
            return
        other: Recipient = Group.of(mark.group) if mark.HasField("group") else User.of(mark.user)
        head = self._known_head(conversation(mark.person, other))
        if head is not None and (until := min(mark.sequence, head.last)) > head.read:
            head.read, head.is_changed = until, True
            self._db.execute("UPDATE conversation SET changed = ? WHERE id = ?", (self._at, head.number))

    def _write(self, day: int) -> None:
        self._flush_lines()
        changed = [
            (head.last, head.place, head.read, head.number) for head in self._heads.values() if head.is_changed
        ]
        self._db.executemany("UPDATE conversation SET last = ?, place = ?, read = ? WHERE id = ?", changed)
        for each, head in self._heads.items():
            if head.is_changed:
                head.is_changed = False
                self.touched.add(each.person)
        write_terms(self._db, "terms", day, self._terms)
        write_terms(self._db, "grams", day, self._grams)
        self._terms.clear()
        self._grams.clear()
        while len(self._heads) > CONVERSATIONS:
            self._heads.popitem(last=False)

    def _flush_lines(self) -> None:
        if self._lines:
            self._db.executemany("INSERT INTO line VALUES (?, ?, ?, ?)", self._lines)
            self._lines.clear()


def write_terms(db: sqlite3.Connection, kind: str, day: int, rows: list[tuple[int, str]]) -> None:
    """Put texts into a day's index of that kind: `terms` or `grams`."""
    if not rows:
        return
    tokenizer = "unicode61 remove_diacritics 2" if kind == "terms" else "trigram"
    db.execute(
        f"CREATE VIRTUAL TABLE IF NOT EXISTS {kind}_{day} USING fts5"
        f"(text, content='', columnsize=0, detail=none, tokenize='{tokenizer}')"
    )
    db.executemany(f"INSERT INTO {kind}_{day} (rowid, text) VALUES (?, ?)", rows)  # noqa: S608 - ours, a number


def _person(entry: Entry) -> str:
    return entry.data.decode(errors="surrogatepass")


__all__ = ["Projection", "write_terms"]
