"""Edits and deletions: which line one is of, and what becomes of the bytes of what was deleted.

An edit is a message of its own, kept where it stands in a record; a line that was changed has the place of the edit
that holds: a deletion for good, else the one with the greatest revision (`rank`). A message may be changed while it
is among the last lines of its conversation (LOOKED), by an edit that is as certainly its author's (`EditChecks`).
An edit that finds no message there waits for it (early_edits.py).
What was deleted is blanked in its record within hours, with all that it was edited to.

Each list of a group is looked through for itself. So it is remembered by whom the messages are that were looked at:
the members have them at the same places.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import islice
from struct import error as not_a_head
from typing import Final

from parley.services.chat.archive import storage
from parley.services.chat.archive.early_edits import EarlyEdits, GivenUp
from parley.services.chat.archive.entries import FILED, HEAD, entry_at
from parley.services.chat.archive.files import beginning_of, message_in
from parley.services.chat.archive.interface import WithoutEffect
from parley.services.chat.archive.plain import length_at
from parley.services.chat.archive.storage import record_of
from parley.shared.addresses import User
from parley.shared.trust.authors import EditChecks, KeysOf, signed_content
from parley.shared.wire.messages import pb
from parley.shared.wire.varints import varint

LOOKED: Final = 2000
"""Lines among which a message is looked for, from the newest back."""
ALIKE: Final = 16
"""Of those that begin as it does so many are read whole: who was given it can write more, with another end."""
EARLY: Final = 0
"""In place of a sequence: an edit is kept until its message comes (early_edits.py)."""
REMEMBERED: Final = 32_768
"""Messages of which it is remembered whose they are, at least; at most twice as many."""
_FRAME: Final = len(b"MESSAGE 123456789 ")
"""Bytes of a frame before its payload, at most."""
_BEGIN: Final = 96
"""Bytes from there on that are read at once: of most messages number and author."""
_NUMBER, _AUTHOR = 0x08, 0x12
"""The tags of a message's number and author, fields 1 and 2."""
_MEMBER: Final = 0x2A
"""The tag of `userOfGroup`, field 5: a copy of a group message begins with it, before its number and author."""
_MEMBER_HEAD: Final = 4
"""Bytes of that tag and the field's length, at most."""


class Edits:
    """Applies edits to lines that are written; for the file's one writer. `keys` knows authors' devices."""

    def __init__(self, db: sqlite3.Connection, keys: KeysOf) -> None:
        self._db = db
        self._checks = EditChecks(keys)
        self._begins = _Begins()
        self._early = EarlyEdits(db)
        self.early_lists: Final = self._early.lists
        """The conversations in which edits wait for their messages."""
        self._read: tuple[int, dict[int, pb.ChatMessage | None]] = 0, {}
        """The place of the last edit, or of what was looked for last, and the messages that were read for it."""
        self.without_effect: dict[WithoutEffect, int] = dict.fromkeys(WithoutEffect, 0)
        """Edits that changed nothing, once for each list; another thread may read it."""

    def apply(self, conversation: int, message: pb.ChatMessage, at: int) -> int | None:
        """Note the edit that stands at a place; the sequence of the line it changes, None: it changes none.

        EARLY: the message may come later, and then `put`. `message` is all of the edit.
        """
        edit = message.edit
        self._begin(at)
        found = self._find(conversation, edit, User.of(message.author))
        if found is None:
            author = User.of(message.author)
            if self._is_deleted(conversation, edit, author):
                self._is_nothing(at, WithoutEffect.OLDER)
                return None
            key = author.to_pb().SerializeToString(), _beginning(edit, author), edit.content
            self._given_up(self._early.add(conversation, *key, at))
            return EARLY
        sequence, target, changed = found
        if not self._checks.allows(message, changed):
            self._is_nothing(at, WithoutEffect.UNPROVEN)
            return None
        before = self._db.execute(
            "SELECT place FROM edit WHERE conversation = ? AND sequence = ?", (conversation, sequence)
        ).fetchone()
        if before is not None and self._holds(before[0], message):
            self._is_nothing(at, WithoutEffect.OLDER)
            return None
        row = conversation, sequence, edit.revision, at
        self._db.execute("INSERT OR REPLACE INTO edit VALUES (?, ?, ?, ?)", row)
        if before is not None:
            self._erase(before[0])
        if edit.deletes:
            self._erase(target)
        return sequence

    def _is_deleted(self, conversation: int, edit: pb.Edit, author: User) -> bool:
        """Whether the message that an edit names was deleted and blanked, among the last ALIKE that changed."""
        sql = "SELECT place FROM edit WHERE conversation = ? ORDER BY sequence DESC LIMIT ?"
        changes = [self._message_at(row[0]) for row in self._db.execute(sql, (conversation, ALIKE)).fetchall()]
        return any(
            each.edit.deletes and _named(each.edit) == _named(edit) and User.of(each.author) == author
            for each in changes
            if each is not None
        )

    def load(self) -> None:
        """Know which edits wait for their messages; before all that is asked in a transaction."""
        self._given_up(self._early.load())

    def forget(self) -> None:
        """Hold nothing of that: the file was changed, or what was noted was not written."""
        self._early.forget()

    def are_early(self, at: int) -> bool:
        """Whether edits may wait for the message that stands at a place."""
        return self._early.may_be_of(self._begins.of(at, self._begin_of))

    def put(self, conversation: int, at: int) -> None:
        """Note the edits that waited for a message, which is in its list by now."""
        self._begin(at)
        message = self._message_at(at)
        if message is None:
            return
        begin = self._begins.of(at, self._begin_of)
        for edit_at in self._early.of(conversation, begin, signed_content(message)):
            edit = self._message_at(edit_at)
            self._early.remove(conversation, edit_at)
            if edit is not None:
                self.apply(conversation, edit, edit_at)

    def _given_up(self, edits: list[GivenUp]) -> None:
        """Edits wait for their messages no longer."""
        for each in edits:
            self.without_effect[WithoutEffect.NO_SUCH_MESSAGE] += each.lists
            self._erase(each.place)

    def _begin(self, at: int) -> None:
        if self._read[0] != at:
            self._read = at, {}

    def _is_nothing(self, at: int, why: WithoutEffect) -> None:
        """An edit changes nothing in a list: there it is not to be read."""
        self.without_effect[why] += 1
        self._erase(at)

    def naming(self, at: int) -> pb.ChatMessage | None:
        """Something like an edit, which names the message that stands at a place; None: it is gone."""
        self._begin(at)
        message = self._message_at(at)
        if message is None:
            return None
        edit = pb.Edit(target=message.messageSnowflake, content=signed_content(message))
        return pb.ChatMessage(author=message.author, edit=edit)

    def is_there(self, conversation: int, message: pb.ChatMessage, at: int) -> bool:
        """Whether the message that an edit names is in a conversation; `at`: where what asks so stands."""
        self._begin(at)
        return self._find(conversation, message.edit, User.of(message.author)) is not None

    def _holds(self, at: int, other: pb.ChatMessage) -> bool:
        """Whether the edit at a place holds against another of the same message."""
        message = self._message_at(at)
        return message is not None and rank(message) >= rank(other)

    def _message_at(self, at: int) -> pb.ChatMessage | None:
        """The message that stands at a place; None: it is gone."""
        if at not in self._read[1]:
            number, offset = record_of(at)
            record = storage.read_record(self._db, number)
            entry = entry_at(record.body, offset) if record is not None and record.is_whole else None
            self._read[1][at] = message_in(self._db, entry)
        return self._read[1][at]

    def _erase(self, at: int) -> None:
        """Have a message blanked: retention.blank_due."""
        self._db.execute("INSERT OR IGNORE INTO erasure VALUES (?)", (at,))

    def _find(self, conversation: int, edit: pb.Edit, author: User) -> tuple[int, int, pb.ChatMessage] | None:
        """The sequence and place of the author's message with that number and content, and the message.

        Of other messages the first bytes are read alone: large documents are looked through as texts are.
        """
        lines = self._db.execute(
            "SELECT sequence, place FROM line WHERE conversation = ? ORDER BY sequence DESC LIMIT ?",
            (conversation, LOOKED),
        )
        begins, read, begin = self._begins.of, self._begin_of, hash(_beginning(edit, author))
        alike = ((sequence, at) for sequence, at in lines.fetchall() if begins(at, read) == begin)
        for sequence, at in islice(alike, ALIKE):
            message = self._message_at(at)
            if message is None or message.messageSnowflake != edit.target:
                continue
            if author == User.of(message.author):
                return (sequence, at, message) if signed_content(message) == edit.content else None
        return None

    def _begin_of(self, at: int) -> bytes:
        """With what a message's payload begins: number and author, as all programs write them; empty: otherwise."""
        number, offset = record_of(at)
        try:
            with self._db.blobopen("record", "body", number, readonly=True) as body:
                frame = offset + HEAD.size
                body.seek(offset)
                length, kind, *_ = HEAD.unpack(body.read(HEAD.size))
                if kind == FILED:
                    beginning = beginning_of(self._db, body.read(length))
                    begin = beginning[_begin(beginning) :]
                    return begin[: _end_of_author(begin)]
                body.seek(frame)
                payload = frame + _begin(body.read(_FRAME + _MEMBER_HEAD))
                body.seek(payload)
                begin = body.read(_BEGIN)
                end = _end_of_author(begin)
                return begin[:end] if end <= len(begin) else begin + body.read(end - len(begin))
        except (sqlite3.OperationalError, ValueError, IndexError, not_a_head):  # it is gone, or ends before
            return b""


def _beginning(edit: pb.Edit, author: User) -> bytes:
    """With what the payload of the message begins that an edit names: number and author."""
    name = author.to_pb().SerializeToString()
    return b"\x08" + varint(edit.target) + b"\x12" + varint(len(name)) + name


def _named(edit: pb.Edit) -> tuple[int, bytes]:
    """The message that an edit names: its number and content."""
    return edit.target, edit.content


class _Begins:
    """With what the messages at the last places that were looked at begin, as hashes."""

    def __init__(self) -> None:
        self._new: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def of(self, at: int, read: Callable[[int], bytes]) -> int:
        """The hash of how the message at a place begins, which is read where it is not known."""
        found = self._new.get(at)
        if found is None:
            found = self._old.get(at)
        if found is None:
            found = self._new[at] = hash(read(at))
            if len(self._new) > REMEMBERED:
                self._old, self._new = self._new, {}
        return found


def _end_of_author(payload: bytes) -> int:
    """Where number and author end in the beginning of a payload; IndexError: it begins otherwise."""
    _number, at = length_at(payload, 1)
    if payload[0] != _NUMBER or payload[at] != _AUTHOR:
        raise IndexError("neither number nor author")
    length, begin = length_at(payload, at + 1)
    return begin + length


def _begin(frame: bytes) -> int:
    """Bytes before the number and the author in a MESSAGE's frame, of which the first are given. IndexError."""
    at = frame.find(b" ", frame.find(b" ") + 1) + 1
    if frame[at] != _MEMBER:
        return at
    length, end = length_at(frame, at + 1)
    return end + length


def rank(message: pb.ChatMessage) -> tuple[bool, int, int]:
    """Of several edits of one message the one with the greatest holds, in whatever order they come.

    A deletion outranks all that change the text: a device may not know of it, and what was blanked is gone. Two
    devices may give the same revision; then the edit's own number decides.
    """
    return message.edit.deletes, message.edit.revision, message.messageSnowflake
