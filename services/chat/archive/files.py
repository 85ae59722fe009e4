"""The files of large messages in the archive: read, ended with their records, and swept at the start."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from parley.services.chat.archive import storage
from parley.services.chat.archive.entries import FILED, MESSAGE, Entry
from parley.services.chat.archive.filed import filed_in, filed_of
from parley.services.chat.archive.lists import message_of
from parley.services.chat.storage.body_files import ARCHIVE, HANDED, BodyFiles
from parley.shared.wire.messages import pb

BEGINNING: Final = 4096
"""Bytes of a frame that are enough to see who wrote it."""


def frame_of(db: sqlite3.Connection, data: bytes) -> bytes:
    """The frame of a message, of the contents of its entry; empty: it is gone, or torn."""
    found = filed_of(data)
    content = storage.files_of(db).read(found.digest) if found is not None else None
    if found is None or content is None:
        return b""
    return found.about.frame(content)


def beginning_of(db: sqlite3.Connection, data: bytes) -> bytes:
    """How the frame of a message begins; empty: it is gone."""
    found = filed_of(data)
    return b"" if found is None else found.about.head + storage.files_of(db).beginning(found.digest, BEGINNING)


def message_in(db: sqlite3.Connection, entry: Entry | None) -> pb.ChatMessage | None:
    """The message of an entry, wherever its bytes are; None: it has none, or none that can be read."""
    if entry is None:
        return None
    if entry.kind == FILED:
        return message_of(frame_of(db, entry.data))
    return message_of(entry.data) if entry.kind == MESSAGE else None


def end_before(db: sqlite3.Connection, end: int) -> None:
    """Records before a place are gone: so are their files, unless a later one refers to them."""
    _end(db, "place < ?", (end,))


def end_at(db: sqlite3.Connection, spots: Iterable[int]) -> None:
    """The messages at these places are gone."""
    for place in spots:
        _end(db, "place = ?", (place,))


def _end(db: sqlite3.Connection, where: str, values: tuple[int]) -> None:
    rows = db.execute(f"SELECT DISTINCT digest FROM filed WHERE {where}", values).fetchall()  # noqa: S608 - ours
    if rows:
        with storage.transaction(db, is_safe=True):
            db.execute(f"DELETE FROM filed WHERE {where}", values)  # noqa: S608 - ours
        used = "SELECT 1 FROM filed WHERE digest = ?"
        storage.files_of(db).drop([row[0] for row in rows if db.execute(used, row).fetchone() is None])


def sweep(db: sqlite3.Connection) -> None:
    """Remove files that no record refers to: what was given for one that never came is still where it was put."""
    storage.files_of(db).sweep({row[0] for row in db.execute("SELECT DISTINCT digest FROM filed")})


def discard(directory: Path, chunk: bytes) -> None:
    """A chunk is not written: nobody takes the files that were put there for it. `directory`: of archive.db."""
    for _offset, found in filed_in(chunk):
        BodyFiles(directory / ARCHIVE / HANDED).path(found.digest).unlink(missing_ok=True)
