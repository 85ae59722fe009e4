"""Edits and deletions: which line one is of, and what becomes of the bytes of what was deleted.

An edit is a message of its own, kept where it stands in a record; a line that was changed has the place of the edit
that holds: a deletion for good, else the one with the greatest revision (`rank`). A message may be changed while it
is among the last lines of its conversation (LOOKED). What was deleted is blanked in its record within hours, with
all that it was edited to.
"""

from __future__ import annotations

import sqlite3
from itertools import islice
from typing import Final

from parley.services.chat.archive import storage
from parley.services.chat.archive.entries import HEAD, MESSAGE, entry_at
from parley.services.chat.archive.lists import message_of
from parley.services.chat.archive.plain import length_at
from parley.services.chat.archive.storage import record_of
from parley.shared.addresses import User
from parley.shared.trust.authors import signed_content
from parley.shared.wire.messages import pb
from parley.shared.wire.varints import varint

LOOKED: Final = 2000
"""Lines among which a message is looked for, from the newest back."""
ALIKE: Final = 16
"""Of those that begin as it does so many are read whole: who was given it can write more, with another end."""
_FRAME: Final = len(b"MESSAGE 123456789 ")
"""Bytes of a frame before its payload, at most."""
_MEMBER: Final = 0x2A
"""The tag of `userOfGroup`, field 5: a copy of a group message begins with it, before its number and author."""
_MEMBER_HEAD: Final = 4
"""Bytes of that tag and the field's length, at most."""


class Edits:
    """Applies edits to lines that are written; for the file's one writer."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def apply(self, conversation: int, message: pb.ChatMessage, at: int) -> int | None:
        """Note the edit that stands at a place; the sequence of the line it changes, None: it changes none.

        Of `message` its number, its author and the edit are looked at.
        """
        edit = message.edit
        found = self._find(conversation, edit, User.of(message.author))
        if found is None:
            self._erase(at)
            return None
        sequence, target = found
        before = self._db.execute(
            "SELECT place FROM edit WHERE conversation = ? AND sequence = ?", (conversation, sequence)
        ).fetchone()
        if before is not None and self._holds(before[0], message):
            self._erase(at)
            return None
        row = conversation, sequence, edit.revision, at
        self._db.execute("INSERT OR REPLACE INTO edit VALUES (?, ?, ?, ?)", row)
        if before is not None:
            self._erase(before[0])
        if edit.deletes:
            self._erase(target)
        return sequence

    def _holds(self, at: int, other: pb.ChatMessage) -> bool:
        """Whether the edit at a place holds against another of the same message."""
        message = self._message_at(at)
        return message is not None and rank(message) >= rank(other)

    def _message_at(self, at: int) -> pb.ChatMessage | None:
        """The message that stands at a place; None: it is gone."""
        number, offset = record_of(at)
        record = storage.read_record(self._db, number)
        entry = entry_at(record.body, offset) if record is not None and record.is_whole else None
        return message_of(entry.data) if entry is not None and entry.kind == MESSAGE else None

    def _erase(self, at: int) -> None:
        """Have a message blanked: retention.blank_due."""
        self._db.execute("INSERT OR IGNORE INTO erasure VALUES (?)", (at,))

    def _find(self, conversation: int, edit: pb.Edit, author: User) -> tuple[int, int] | None:
        """The sequence and place of the author's message with that number and content.

        Of other messages the first bytes are read alone: large documents are looked through as texts are.
        """
        name = author.to_pb().SerializeToString()
        wanted = b"\x08" + varint(edit.target) + b"\x12" + varint(len(name)) + name
        lines = self._db.execute(
            "SELECT sequence, place FROM line WHERE conversation = ? ORDER BY sequence DESC LIMIT ?",
            (conversation, LOOKED),
        )
        alike = ((sequence, at) for sequence, at in lines.fetchall() if self._begins_with(at, wanted))
        for sequence, at in islice(alike, ALIKE):
            message = self._message_at(at)
            if message is None or message.messageSnowflake != edit.target:
                continue
            if author == User.of(message.author):
                return (sequence, at) if signed_content(message) == edit.content else None
        return None

    def _begins_with(self, at: int, wanted: bytes) -> bool:
        """Whether the payload of a message begins so: with number and author, as all programs write them."""
        number, offset = record_of(at)
        try:
            with self._db.blobopen("record", "body", number, readonly=True) as body:
                frame = offset + HEAD.size
                body.seek(frame)
                body.seek(frame + _begin(body.read(_FRAME + _MEMBER_HEAD)))
                return body.read(len(wanted)) == wanted
        except (sqlite3.OperationalError, ValueError, IndexError):  # it is gone, or ends before
            return False


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
