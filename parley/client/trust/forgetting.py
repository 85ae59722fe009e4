"""Forgetting a user: all that this device holds of them goes, while no program of theirs runs here.

A program that has any of it in memory, and would write it again, has the file open; and who has a file of SQLite's
open that has a journal (WAL) has a shared lock on it until the end. So a lock that only one may have tells whether
any runs. It is held until all is removed: who comes meanwhile waits, and begins with files of its own.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from parley.client.trust.user_directory import UserDirectory
from parley.shared.addresses import User
from parley.shared.directories import sync_directory
from parley.shared.errors import ParleyError
from parley.shared.trust_storage.pins_file import NAME as PINS

BUSY: Final = ("SQLITE_BUSY", "SQLITE_LOCKED")
"""How the names of SQLite's errors begin where somebody else has a file."""
_UNFINISHED: Final = re.compile(r"\.[0-9a-f]{16}")
"""The end of a key file's name that was never given its own (shared/trust_storage/key_files.py)."""


class InUse(ParleyError):
    """A program of the user's runs on this machine; nothing was removed."""

    reason = "in_use"


class Forgotten(NamedTuple):
    """A list of what was there and is gone, and of what stayed."""

    history: bool
    unsent: int
    """Messages that no server had taken yet."""
    contacts: bool
    numbers: bool
    pins: bool
    key: bool
    key_stays: bool
    pins_stay: bool
    """They are other users' of this directory, too."""

    @property
    def is_nothing(self) -> bool:
        """Whether nothing was removed."""
        return not (self.history or self.contacts or self.numbers or self.pins or self.key)


def forget(directory: UserDirectory, user: User, *, with_key: bool) -> Forgotten:
    """Remove all that the directory has of a user; the device's key only where that is wanted.

    Raises:
        InUse: a program of the user's runs; nothing was removed.
        OSError: a file cannot be removed.

    """
    history, contacts, numbers = (
        directory.history_file(user),
        directory.contacts_file(user),
        directory.received_file(user),
    )
    pins, key = directory.pins / PINS, directory.device_file(user)
    pins_stay = directory.has_others(user)
    files = [history, contacts, numbers, *([] if pins_stay else [pins])]
    with contextlib.ExitStack() as locks:
        held = {path: locks.enter_context(_alone(path, user)) for path in files}
        unsent = _count_unsent(held[history])
        was_there = {path: _remove(path) for path in files}
        has_key = key.exists()
        if with_key:
            _remove_key(directory, user)
    return Forgotten(
        was_there[history],
        unsent,
        was_there[contacts],
        was_there[numbers],
        was_there.get(pins, False),
        key=has_key and with_key,
        key_stays=has_key and not with_key,
        pins_stay=pins_stay and pins.exists(),
    )


@contextlib.contextmanager
def _alone(path: Path, user: User) -> Iterator[sqlite3.Connection | None]:
    """Have a file that nobody else has, its journal in it; None: there is none, or nobody can read it.

    Raises:
        InUse: somebody has it open.

    """
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0.0, isolation_level=None)
    except sqlite3.Error:  # there is none
        yield None
        return
    with contextlib.closing(db):
        yield db if _is_locked(db, user) else None


def _is_locked(db: sqlite3.Connection, user: User) -> bool:
    """Lock a file for ourselves; False: it is damaged. InUse: somebody has it open."""
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=DELETE")  # the journal's own file goes, while it is this one's
        db.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if (getattr(error, "sqlite_errorname", None) or "").startswith(BUSY):
            raise InUse(
                f"{user} is in use on this machine: end `parley chat` and what else runs as {user}"
            ) from None
        return False
    return True


def _count_unsent(db: sqlite3.Connection | None) -> int:
    try:
        return 0 if db is None else int(db.execute("SELECT count(*) FROM unsent").fetchone()[0])
    except sqlite3.Error:
        return 0


def _remove(path: Path) -> bool:
    """Remove a file and what SQLite has beside it, for good; whether there was one. OSError."""
    was_there = path.exists()
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if was_there:
        sync_directory(path.parent)
    return was_there


def _remove_key(directory: UserDirectory, user: User) -> None:
    """Remove the device's key, and what a crash may have left of its making. OSError."""
    key = directory.device_file(user)
    directory.forget_device(user)
    for path in key.parent.glob(f".{key.name}.*"):
        if _UNFINISHED.fullmatch(path.name.removeprefix(f".{key.name}")):
            path.unlink(missing_ok=True)
    if key.parent.exists():
        sync_directory(key.parent)
