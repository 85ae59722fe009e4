"""Changes of the archive, made: which of them is which function of retention.py."""

from __future__ import annotations

import sqlite3
from typing import assert_never

from parley.services.chat.archive import retention
from parley.services.chat.archive.changes import Change, Clear, Erase, Prune
from parley.shared.addresses import Group, User


def apply(db: sqlite3.Connection, server_id: str, change: Change) -> int:
    """Make a change; how many days were removed, or messages erased. sqlite3.Error where that cannot be."""
    match change:
        case Clear(user_id, other, is_group):
            kind = Group if is_group else User
            retention.clear(db, user_id, server_id, None if other is None else kind(*other))
            return 0
        case Prune(days):
            latest = db.execute("SELECT MAX(day) FROM day").fetchone()[0]
            return 0 if latest is None else retention.remove_before(db, latest - days)
        case Erase(user_id):
            return retention.erase(db, user_id, server_id)
        case _:
            assert_never(change)
