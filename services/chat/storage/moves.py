"""Moves what waits for a server to the queues of its users, or back, in the file; on the mailbox's thread.

Messages keep their numbers, and so their order. Each call is a transaction of its own.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Final

from parley.services.chat.message.model import TO_GROUP, Destination
from parley.services.chat.storage import rows
from parley.services.chat.storage.mailbox import Moved, Moves
from parley.shared.addresses import User

AT_A_TIME: Final = 5_000
"""Messages that are moved in one transaction."""

_LAST: Final = "SELECT MAX(id), COUNT(*) FROM (SELECT id FROM message WHERE destination = ? ORDER BY id LIMIT ?)"
_COUNT: Final = (
    "SELECT recipient, recipient_server, author, author_server, origin, COUNT(*), SUM(size), "
    "SUM(CASE kind WHEN 3 THEN LENGTH(raw) + 1 ELSE size END) FROM message "
    "WHERE destination = ? AND id <= ? AND kind % 8 <> ? GROUP BY 1, 2, 3, 4, 5"
)
_TO_USERS: Final = (
    "UPDATE message SET destination = 'user:' || recipient || '@' || recipient_server "
    "WHERE destination = ? AND id <= ? AND kind % 8 <> ?"
)
_TO_SERVER: Final = (
    "UPDATE message SET destination = 'server:' || recipient_server "
    "WHERE destination = ? AND id <= ? AND kind % 8 <> ?"
)
_LEFT: Final = rows.select("kept_at", rows.OUTLINE, "destination = ? AND id <= ? AND kind % 8 = ?")


def move(db: sqlite3.Connection, source: Destination) -> Moves:
    """Move the oldest messages that wait at a server to their recipients, or at a user to their server."""
    name = rows.name(source)
    db.execute("BEGIN IMMEDIATE")
    try:
        last, count = db.execute(_LAST, (name, AT_A_TIME)).fetchone()
        these = name, last, TO_GROUP
        moved = [_moved(source, *row) for row in db.execute(_COUNT, these)]
        left = [rows.envelope(tuple(row)) for _kept_at, *row in db.execute(_LEFT, these)]
        db.execute(_TO_SERVER if isinstance(source, User) else _TO_USERS, these)
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    return Moves(moved, left, count < AT_A_TIME)


def _moved(
    source: Destination,
    recipient: str,
    server_id: str,
    author: str,
    author_server: str,
    origin: str,
    messages: int,
    size: int,
    own: int,
) -> Moved:
    destination: Destination = server_id if isinstance(source, User) else User(recipient, server_id)
    return Moved(destination, User(author, author_server), origin, messages, size, own)
