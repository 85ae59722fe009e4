"""Edits and deletions: which line one is of, and what becomes of the bytes of what was deleted.

An edit is a message of its own, kept where it stands in a record; a line that was changed has the place of the edit
that holds: the one with the greatest revision. A message may be changed while it is among the last lines of its
conversation (LOOKED). What was deleted is blanked in its record within hours, with all that it was edited to.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from parley.services.chat.archive import storage
from parley.services.chat.archive.entries import MESSAGE, entry_at
from parley.services.chat.archive.lists import message_of
from parley.services.chat.archive.storage import record_of
from parley.shared.addresses import User
from parley.shared.trust.authors import content_digest
from parley.shared.wire.messages import pb
from parley.shared.wire.varints import varint

LOOKED: Final = 2000
"""Lines among which a message is looked for, from the newest back."""


class Edits:
    """Applies edits to lines that are written; for the file's one writer."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def apply(self, conversation: int, edit: pb.Edit, author: User, at: int) -> int | None:
        """Note the edit that stands at a place; the sequence of the line it changes, None: it changes none."""
        found = self._find(conversation, edit, author)
        if found is None:
            return None
        sequence, target = found
        before = self._db.execute(
            "SELECT revision, place FROM edit WHERE conversation = ? AND sequence = ?", (conversation, sequence)
        ).fetchone()
        if before is not None and before[0] >= edit.revision:
            self._erase(at)
            return None
        row = conversation, sequence, edit.revision, at
        self._db.execute("INSERT OR REPLACE INTO edit VALUES (?, ?, ?, ?)", row)
        if before is not None:
            self._erase(before[1])
        if edit.deletes:
            self._erase(target)
        return sequence

    def _erase(self, at: int) -> None:
        """Have a message blanked: retention.blank_due."""
        self._db.execute("INSERT OR IGNORE INTO erasure VALUES (?)", (at,))

    def _find(self, conversation: int, edit: pb.Edit, author: User) -> tuple[int, int] | None:
        """The sequence and place of the author's message with that number and content."""
        number = b"\x08" + varint(edit.target)
        lines = self._db.execute(
            "SELECT sequence, place FROM line WHERE conversation = ? ORDER BY sequence DESC LIMIT ?",
            (conversation, LOOKED),
        )
        record: storage.Record | None = None
        for sequence, at in lines.fetchall():
            wanted, offset = record_of(at)
            if record is None or record.number != wanted:
                record = storage.read_record(self._db, wanted)
            entry = entry_at(record.body, offset) if record is not None else None
            if entry is None or entry.kind != MESSAGE or number not in entry.data:
                continue
            message = message_of(entry.data)
            if (
                message is not None
                and message.messageSnowflake == edit.target
                and author == User.of(message.author)
            ):
                return (sequence, at) if content_digest(message) == edit.content else None
        return None
