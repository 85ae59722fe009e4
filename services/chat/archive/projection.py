"""Lines and words, made from records: each person's lists in order, and the index that searches go by.

All of it can be made again from the records. Several chunks are projected as a whole, in one transaction with the
note how far this has come: so after a crash it goes on with the next chunk, and nothing is there twice. That a
message comes again is chat's to recognise; what it cannot know after a crash, the keys of the latest messages
tell.

Most messages are texts between two who wrote a moment ago: those are read without protobuf (plain.py), and the
two people's lists are found by one look.
"""

from __future__ import annotations

import sqlite3
from itertools import chain
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from parley.services.chat.archive import storage
from parley.services.chat.archive.edits import EARLY, Edits
from parley.services.chat.archive.entries import (
    AGAIN,
    BLANK,
    COPY,
    FILED,
    MESSAGE,
    NO_STATUS,
    READ,
    RECEIVED,
    SENT,
    STATUS,
    digests_of,
    gone_digest,
)
from parley.services.chat.archive.filed import filed_of
from parley.services.chat.archive.files import frame_of
from parley.services.chat.archive.lists import (
    RECEIVED_LINE,
    Conversation,
    conversation,
    conversations_of,
    group_of,
    message_of,
)
from parley.services.chat.archive.plain import Kept, read_entries
from parley.services.chat.archive.storage import OF_CONVERSATION, Record, place
from parley.services.chat.archive.texts import is_spaceless, searched, text_of, tokens
from parley.services.chat.message.statuses import INTERIM
from parley.shared.addresses import Group, Recipient, User
from parley.shared.trust.authors import KeysOf, edit_in
from parley.shared.wire.messages import pb

KNOWN: Final = 65_536
"""Messages of which it is remembered who has them."""
CONVERSATIONS: Final = 65_536
"""Conversations in memory."""
ASKED: Final = 500
"""Keys that one statement asks for."""

GATHERED: Final = 8 * 1024 * 1024
"""Bytes of words that SQLite gathers, to write them as one piece of the index; at most those of a transaction."""

_OF_ONE: Final = (
    "messageSnowflake",
    "content",
    "proof",
    "historyOff",
    "revised",
    "inEffect",
    "tellRead",
    "groupNumber",
)
"""Fields of a message that say nothing of who wrote to whom."""
_NEW: Final = (
    "INSERT INTO conversation (person, is_group, name, server_id, last, place, read) VALUES (?, ?, ?, ?, 0, 0, 0)"
)
_FIND: Final = "SELECT id, last, place, read FROM conversation WHERE " + OF_CONVERSATION  # noqa: S608 - a constant


_Groups = dict[bytes, tuple[int, Group, pb.ChatMessage | None, int]]
"""Messages to groups by their keys: where each stands, its group, the edit that it is, and its number."""
_Understood = tuple["_Parties", str, pb.ChatMessage | None, int]
"""The parties of a message, what is searched of it, an edit with its author, and its number in a group."""
_LARGEST: Final = (1 << 62) - 1
"""No number of another server's is larger: SQLite's have 63 bits."""
_TOP: Final = "SELECT COALESCE(MAX(number), 0) FROM numbered WHERE conversation = ?"


class _Head:
    """A conversation's row, while it is in memory."""

    __slots__ = ("is_moved", "last", "number", "person", "place", "read", "top")

    def __init__(self, person: str, number: int, last: int, at: int, read: int) -> None:
        self.person, self.number, self.last, self.place, self.read = person, number, last, at, read
        self.is_moved = False
        self.top = -1
        """The greatest number of a group's message there; -1: not looked up yet."""


class _Parties:
    """The conversations that the messages of one author to one recipient belong to, by the mark of an entry."""

    __slots__ = ("found", "group", "has", "is_one")

    def __init__(self, message: pb.ChatMessage) -> None:
        self.has = conversations_of(message)
        self.group = group_of(message)
        self.is_one = self.group is None and self.has[SENT] == self.has[RECEIVED]
        """Whether somebody writes to themselves."""
        self.found: dict[int, tuple[list[tuple[_Head, bool]], str]] = {}
        """By an entry's marks: the heads, and whether it is the author's; and the words by which each finds it."""


class _Known:
    """Keys of the latest messages, and who has each: at least KNOWN, and at most twice as many."""

    def __init__(self) -> None:
        self._new: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}

    def add(self, key: bytes, marks: int) -> int:
        """Those of the marks that the message did not have yet."""
        had = self._new.get(key)
        if had is None:
            had = self._old.get(key, 0)
        self._new[key] = had | marks
        if len(self._new) > KNOWN:
            self._old, self._new = self._new, {}
        return marks & ~had


class _Pending(NamedTuple):
    """The line of a message that waits, or of which nobody knows what became."""

    conversation: int
    sequence: int
    day: int


class Projection:
    """Makes lines and words; the file's one writer calls it."""

    def __init__(self, db: sqlite3.Connection, keys: KeysOf = lambda _user: None) -> None:
        """`keys` knows authors' devices."""
        self._db = db
        self._heads: dict[Conversation, _Head] = {}
        self._parties: dict[bytes, _Parties] = {}
        """By author and recipient, encoded."""
        self._known = _Known()
        self._is_remembered = True
        """Whether it has what it had before something failed."""
        self._gone: set[bytes] = set()
        """Lines of messages to groups that were blanked before this process began: they come back no more."""
        self._revised: set[int] = set()
        """Conversations with a message that was changed while it waited: it may come as it was first, too."""
        self.broken = 0
        """Records that could not be read, and were passed by."""
        self.touched: set[str] = set()
        """The people whose lists were changed, until somebody takes them."""
        self._moved: list[_Head] = []
        self._altered: set[int] = set()
        """Conversations in which something was changed that stood there before."""
        self._lines: list[tuple[int, int, int, int]] = []
        self._numbered: list[int] = []
        """Row after row, as storage.insert takes them."""
        self._terms: list[tuple[int, str]] = []
        self._grams: list[tuple[int, str]] = []
        self._statuses: list[tuple[int, int, int]] = []
        self.edits: Final = Edits(db, keys)
        self._early_lists = self.edits.early_lists
        self._edited: list[tuple[int, int]] = []
        """Lines that were changed, by conversation and sequence."""
        self._pending: dict[bytes, _Pending] = {}
        """Of these chunks' messages those that wait."""
        self._pending_changes: dict[bytes, _Pending | None] = {}

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
        while after < newest and (records := storage.read_chunks(self._db, after)):
            for entry in chain.from_iterable(map(self._entries, records)):
                _offset, kind, marks, status, key, pair, data = entry
                if kind == FILED and (filed := filed_of(_bytes(data))) is not None:
                    kind, data = MESSAGE, filed.about.outline
                if kind == MESSAGE and (found := self._understood(pair, data)) is not None:
                    parties, _text, edit, _number = found
                    self._new_marks(parties, key, marks, status)
                    if parties.group is None and edit is not None and _is_revised(edit):
                        has = (self._known_head(each) for mark, each in parties.has.items() if mark & marks)
                        self._revised.update(head.number for head in has if head is not None)
                elif kind == COPY:
                    self._known.add(line_key(key, _person(data)), RECEIVED)
                elif kind == BLANK:
                    self._known.add(key, marks)
                    self._gone.update(digests_of(_bytes(data)))
            after = records[-1].number
        self._is_remembered = True

    def project(self, records: list[Record]) -> None:
        """Make the lines and words of whole chunks of one day. sqlite3.Error: nothing was made."""
        if not self._is_remembered:
            self.remember()
        try:
            with storage.transaction(self._db, is_safe=False):
                self._read(records)
                self._write(records[-1])
                storage.set_projected(self._db, records[-1].number)
        except BaseException:
            self.forget()
            self._known, self._is_remembered = _Known(), False  # it has keys of what is in no list
            raise

    def forget(self) -> None:
        """Hold nothing of the file in memory: it was changed, or what was made was not written."""
        self._forget_conversations()
        self._clear()
        self.edits.forget()

    def _clear(self) -> None:
        """Hold nothing that is to be written."""
        rows = self._lines, self._numbered, self._terms, self._grams
        for each in (*rows, self._moved, self._statuses, self._edited, self._altered):
            each.clear()
        self._pending.clear()
        self._pending_changes.clear()

    def _forget_conversations(self) -> None:
        self._heads.clear()
        self._revised.clear()
        self._parties.clear()

    # Reading ----------------------------------------------------------------------------------

    def _entries(self, record: Record) -> list[Kept]:
        if not record.is_whole:
            self.broken += 1
            return []
        found, size = read_entries(record.body)
        self.broken += size != len(record.body)
        return found

    def _read(self, records: list[Record]) -> None:
        self.edits.load()
        batch = [(record, self._entries(record)) for record in records]
        self._find_pending(batch)
        groups: _Groups = {}
        for record, found in batch:
            begin = place(record.number, 0)
            for entry in found:
                kind = entry[1]
                if kind == FILED:
                    whole = (*entry[:6], frame_of(self._db, _bytes(entry[6])))
                    self._message(whole, begin + entry[0], record.day, groups)
                elif kind == MESSAGE:
                    self._message(entry, begin + entry[0], record.day, groups)
                elif kind == COPY:
                    self._copy(entry, groups)
                elif kind == STATUS:
                    self._status(entry[4], entry[3])
                elif kind == READ:
                    self._mark_read(_bytes(entry[6]))

    def _understood(self, pair: bytes | None, data: bytes | str) -> _Understood | None:
        """Read a message; None: it cannot be read.

        Of a message that was changed while it waited (`revised`) the edit is there, too, and names that message.
        """
        if isinstance(data, str) and pair is not None:
            parties = self._parties.get(pair) or self._meet(pair)
            return None if parties is None else (parties, searched(data), None, 0)
        message = message_of(_bytes(data))
        if message is None:
            return None
        text, edit = text_of(message), None
        if message.WhichOneof("content") == "edit":
            edit = pb.ChatMessage()
            edit.CopyFrom(message)
        elif message.HasField("revised"):
            edit = edit_in(message)
            edit.messageSnowflake = edit.edit.target
        number = min(message.groupNumber, _LARGEST)
        for others in _OF_ONE:
            message.ClearField(others)
        pair = message.SerializeToString()
        parties = self._parties.get(pair) or self._parties.setdefault(pair, _Parties(message))
        return parties, text, edit, number

    def _meet(self, pair: bytes) -> _Parties | None:
        """Know an author and a recipient; None: that is what the bytes are not."""
        try:
            parties = self._parties[pair] = _Parties(pb.ChatMessage.FromString(pair))
        except DecodeError:
            return None
        return parties

    def _message(self, entry: Kept, at: int, day: int, groups: _Groups) -> None:
        _offset, _kind, marks, status, key, pair, data = entry
        found = self._understood(pair, data)
        if found is None:
            self.broken += 1
            return
        parties, text, edit, number = found
        before, edit = (edit, None) if edit is not None and _is_revised(edit) else (None, edit)
        marks = self._new_marks(parties, key, marks, status)
        if parties.group is not None and (marks or key not in groups):
            groups[key] = at, parties.group, edit, number
        comes_again = bool(entry[2] & AGAIN)
        if marks and edit is None and (comes_again or (parties.group is None and (before or self._revised))):
            marks = self._not_there(parties, marks, at, before, comes_again=comes_again)
        if not marks:
            return
        if edit is not None:
            self._change([each for mark, each in parties.has.items() if mark & marks], edit, text, at)
            return
        heads, names = parties.found.get(marks) or self._find(parties, marks)
        for head, is_author in heads:
            self._add_line(
                head, at, status if is_author else RECEIVED_LINE, None if parties.group is None else number
            )
            if is_author and (status in INTERIM or (status == NO_STATUS and parties.group is None)):
                self._set_pending(key, _Pending(head.number, head.last, day))
        if text:
            self._terms.append((at, f"{text} {names}"))
            if not text.isascii() and is_spaceless(text):
                self._grams.append((at, text))

    def _change(self, whose: list[Conversation], edit: pb.ChatMessage, text: str, at: int) -> None:
        """Apply an edit to these lists."""
        self._write_lines()
        is_found = False
        for each in whose:
            head = self._head(each)
            sequence = self.edits.apply(head.number, edit, at)
            is_found |= sequence is not None
            if sequence is not None and sequence != EARLY:
                self._altered.add(head.number)
                self._edited.append((head.number, sequence))
        if is_found and text:
            self._terms.append((at, f"{text} {tokens(whose)}"))
            if is_spaceless(text):
                self._grams.append((at, text))

    def _not_there(
        self, parties: _Parties, marks: int, at: int, before: pb.ChatMessage | None, *, comes_again: bool
    ) -> int:
        """Those of the marks under which a message is in no list, as it was first or as it was changed to.

        A server that had it unanswered gives it again as it is by then: with another text it has another key.
        `before`: the edit that it was changed by while it waited; None: it was not.
        """
        heads = {mark: self._head(each) for mark, each in parties.has.items() if mark & marks}
        if before is not None:
            self._revised.update(head.number for head in heads.values())
        heads = {mark: head for mark, head in heads.items() if comes_again or head.number in self._revised}
        named = before or (self.edits.naming(at) if heads else None)
        if named is not None:
            self._write_lines()
            marks &= ~sum(mark for mark, head in heads.items() if self.edits.is_there(head.number, named, at))
        return marks

    def _find(self, parties: _Parties, marks: int) -> tuple[list[tuple[_Head, bool]], str]:
        has = {mark: each for mark, each in parties.has.items() if mark & marks}
        found = [(self._head(each), mark == SENT) for mark, each in has.items()], tokens(has.values())
        parties.found[marks] = found
        return found

    def _new_marks(self, parties: _Parties, key: bytes, marks: int, status: int) -> int:
        """Those of an entry's marks for which a line is to be made, as far as is known."""
        marks &= SENT | RECEIVED
        if parties.group is not None:
            return sum(self._is_new(key, each.person, mark) for mark, each in parties.has.items() if mark & marks)
        if parties.is_one and marks & SENT:
            marks = SENT
        if self._pending and marks & SENT and self._status(key, status):
            marks &= ~SENT  # it waited, and now it is delivered
        return self._known.add(key, marks)

    def _is_new(self, key: bytes, person: str, mark: int) -> int:
        """That mark, if somebody's line of a message to a group is to be made, as far as is known; else 0."""
        line = line_key(key, person)
        return 0 if self._gone and gone_digest(line) in self._gone else self._known.add(line, mark)

    def _copy(self, entry: Kept, groups: _Groups) -> None:
        key, person = entry[4], _person(entry[6])
        found = groups.get(key)
        if found is None or not self._is_new(key, person, RECEIVED):
            return
        at, group, edit, number = found
        if edit is not None:
            self._change([conversation(person, group)], edit, "", at)
        else:
            self._add_line(self._head(conversation(person, group)), at, RECEIVED_LINE, number)

    def _add_line(self, head: _Head, at: int, status: int, number: int | None) -> None:
        """Add a line; of a group's the `number`, 0 where its server gave none: then it is behind all that came."""
        head.last += 1
        head.place = at
        if not head.is_moved:
            self._has_moved(head)
        self._lines.append((head.number, head.last, at, status))
        if number is not None:
            if head.top < 0:
                head.top = self._db.execute(_TOP, (head.number,)).fetchone()[0]
            self._numbered += (head.number, head.last, number or head.top)
            head.top = max(head.top, number)
        if head.number in self._early_lists and self.edits.are_early(at):
            self._write_lines()
            self.edits.put(head.number, at)

    def _has_moved(self, head: _Head) -> None:
        head.is_moved = True
        self._moved.append(head)

    def _head(self, each: Conversation) -> _Head:
        head = self._known_head(each)
        if head is None:
            head = self._heads[each] = _Head(each.person, self._db.execute(_NEW, each).lastrowid or 0, 0, 0, 0)
        return head

    def _known_head(self, each: Conversation) -> _Head | None:
        """The head of a conversation; None: there is none."""
        head = self._heads.get(each)
        if head is None and (row := self._db.execute(_FIND, each).fetchone()) is not None:
            head = self._heads[each] = _Head(each.person, *row)
        return head

    def _find_pending(self, batch: list[tuple[Record, list[Kept]]]) -> None:
        """Know those of these messages that wait."""
        if self._db.execute("SELECT 1 FROM pending LIMIT 1").fetchone() is None:
            return
        keys = [entry[4] for _record, found in batch for entry in found if entry[1] in (MESSAGE, FILED, STATUS)]
        for begin in range(0, len(keys), ASKED):
            some = keys[begin : begin + ASKED]
            sql = f"SELECT * FROM pending WHERE key IN ({', '.join('?' * len(some))})"  # noqa: S608 - ours
            self._pending.update((key, _Pending(*row)) for key, *row in self._db.execute(sql, some))

    def _set_pending(self, key: bytes, line: _Pending) -> None:
        self._pending[key] = self._pending_changes[key] = line

    def _status(self, key: bytes, status: int) -> bool:
        """Note what became of a message that waited; whether one of that key did."""
        line = self._pending.get(key)
        if line is None:
            return False
        if status == NO_STATUS:
            return True  # another process took it in once more: what was told of it before still holds
        self._statuses.append((status, line.conversation, line.sequence))
        self._altered.add(line.conversation)
        if status not in INTERIM:
            del self._pending[key]
            self._pending_changes[key] = None
        return True

    def _mark_read(self, data: bytes) -> None:
        """Somebody has read so far: forward only, not beyond what is there, and only of what is there at all."""
        try:
            mark = pb.ReadMark.FromString(data)
        except DecodeError:
            self.broken += 1
            return
        other: Recipient = Group.of(mark.group) if mark.HasField("group") else User.of(mark.user)
        head = self._known_head(conversation(mark.person, other))
        if head is not None and (until := min(mark.sequence, head.last)) > head.read:
            head.read = until
            self._altered.add(head.number)
            if not head.is_moved:
                self._has_moved(head)

    # Writing ----------------------------------------------------------------------------------

    def _write(self, last: Record) -> None:
        db = self._db
        self._write_lines()
        db.executemany(
            "UPDATE conversation SET last = ?, place = ?, read = ? WHERE id = ?",
            [(head.last, head.place, head.read, head.number) for head in self._moved],
        )
        self._write_changes(last.number)
        write_terms(db, "terms", last.day, self._terms)
        write_terms(db, "grams", last.day, self._grams)
        for head in self._moved:
            head.is_moved = False
            self.touched.add(head.person)
        self._clear()
        if max(len(self._heads), len(self._parties)) > CONVERSATIONS:
            self._forget_conversations()

    def _write_lines(self) -> None:
        self._lines.sort()  # each page of the table is changed once, and written once
        storage.insert(self._db, "line", 4, [*chain.from_iterable(self._lines)])
        storage.insert(self._db, "numbered", 3, self._numbered)
        self._lines.clear()
        self._numbered.clear()

    def _write_changes(self, last: int) -> None:
        """Write what changed of lines and conversations that were there before, with the record that did it."""
        db = self._db
        db.executemany("UPDATE line SET status = ? WHERE conversation = ? AND sequence = ?", self._statuses)
        lines = [*((number, sequence) for _status, number, sequence in self._statuses), *self._edited]
        db.executemany("INSERT OR REPLACE INTO changed VALUES (?, ?, ?)", [(*each, last) for each in lines])
        for number in self._altered:
            db.execute("UPDATE conversation SET changed = ? WHERE id = ?", (last, number))
            self.touched.update(db.execute("SELECT person FROM conversation WHERE id = ?", (number,)).fetchone())
        for key, line in self._pending_changes.items():
            if line is None:
                db.execute("DELETE FROM pending WHERE key = ?", (key,))
            else:
                db.execute("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?)", (key, *line))


def write_terms(db: sqlite3.Connection, kind: str, day: int, rows: list[tuple[int, str]]) -> None:
    """Put places, each with its text, into a day's index of that kind: `terms` or `grams`."""
    if not rows:
        return
    table = f"{kind}_{day}"
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is None:
        tokenizer = "unicode61 remove_diacritics 2" if kind == "terms" else "trigram"
        db.execute(
            f"CREATE VIRTUAL TABLE {table} USING fts5"
            f"(text, content='', columnsize=0, detail=none, tokenize='{tokenizer}')"
        )
        db.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('hashsize', {GATHERED})")  # noqa: S608 - ours
    # A statement of several rows would have what was gathered before it written as a piece of the index by itself.
    db.executemany(f"INSERT INTO {table} (rowid, text) VALUES (?, ?)", rows)  # noqa: S608 - ours


def _is_revised(edit: pb.ChatMessage) -> bool:
    """Whether an edit is that by which a message was changed while it waited, and not a message of its own."""
    return edit.edit.target == edit.messageSnowflake


def _bytes(data: bytes | str) -> bytes:
    """The bytes of an entry that is no plain message."""
    return data if isinstance(data, bytes) else data.encode()


def _person(data: bytes | str) -> str:
    return _bytes(data).decode(errors="surrogatepass")


def line_key(key: bytes, person: str) -> bytes:
    """Make the key of one person's line of a message to a group."""
    return key + person.encode(errors="surrogatepass")


__all__ = ["Projection", "line_key", "write_terms"]
