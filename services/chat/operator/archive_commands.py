"""An operator's changes to the archive: remove old days, erase a person."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Literal

import msgspec

from parley.services.chat.archive import retention


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Remove all but the latest days (`prune`), or all that is kept for one user (`erase`)."""

    action: Literal["prune", "erase"]
    days: Annotated[float, msgspec.Meta(ge=0, le=36500)] = 0.0
    """Days that stay before the latest one."""
    user_id: str = ""


class Changed(msgspec.Struct, frozen=True):
    """The outcome: how many days were removed, or messages erased."""

    count: int


def change(db: sqlite3.Connection, server_id: str, request: Change) -> Changed:
    """Do it, on the thread that has the file. sqlite3.Error where that cannot be."""
    if request.action == "erase":
        return Changed(retention.erase(db, request.user_id, server_id))
    latest = db.execute("SELECT MAX(day) FROM day").fetchone()[0]
    return Changed(0 if latest is None else retention.remove_before(db, latest - request.days))
