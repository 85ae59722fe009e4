"""The mailbox's file: its tables, their versions, and whether a file is one of ours and whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from parley.services.chat.message.model import COPY, TO_GROUP
from parley.services.chat.storage import mail_keys, queries, rows, shared_rows
from parley.services.chat.storage.age import Ages
from parley.shared.addresses import Group, User
from parley.shared.directories import make_directory, sync_directory
from parley.shared.errors import ConfigError, MalformedMessage, StorageError
from parley.shared.runtime.moments import Moment
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.message_keys import MessageKeys
from parley.shared.wire.messages import decode, pb

VERSION: Final = 7
FRAME_PARTS: Final = 3
"""Name, length and the rest: version 1 had whole frames."""
FULL: Final = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHM", "SQLITE_IOERR_TRUNCATE")
"""How the names of SQLite's errors begin that are a disk's."""
LARGE: Final = 64 * 1024 * 1024
"""Bytes from which a file is looked at as a whole only after the start, which would otherwise take seconds."""

_MESSAGE_3: Final = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY, destination TEXT NOT NULL, key INTEGER NOT NULL, key_rest INTEGER NOT NULL,
    author TEXT NOT NULL, author_server TEXT NOT NULL, snowflake INTEGER NOT NULL,
    recipient TEXT NOT NULL, recipient_server TEXT NOT NULL,
    origin TEXT NOT NULL, kind INTEGER NOT NULL, group_id TEXT NOT NULL, group_server TEXT NOT NULL,
    size INTEGER NOT NULL, kept_at REAL NOT NULL, raw BLOB NOT NULL{more}
);
CREATE INDEX message_destination ON message (destination, id, size);
"""
_MESSAGE_KEY: Final = "CREATE INDEX message_key ON message (key);"
"""Until version 6."""
_SETTLED: Final = """
CREATE TABLE settled (
    key INTEGER NOT NULL, key_rest INTEGER NOT NULL, status INTEGER NOT NULL, at REAL NOT NULL
);
CREATE INDEX settled_key ON settled (key);
"""
_HANDED_OVER: Final = """
CREATE TABLE handed_over (
    snowflake INTEGER NOT NULL, author TEXT NOT NULL, author_server TEXT NOT NULL,
    recipient TEXT NOT NULL, recipient_server TEXT NOT NULL, kind INTEGER NOT NULL,
    key INTEGER NOT NULL, key_rest INTEGER NOT NULL, status INTEGER NOT NULL, at REAL NOT NULL,
    UNIQUE (snowflake, author, author_server, recipient, recipient_server, kind)
);
CREATE INDEX handed_over_key ON handed_over (key);
CREATE INDEX handed_over_at ON handed_over (at);
"""
_IDENTITY: Final = """
CREATE TABLE identity (one INTEGER PRIMARY KEY CHECK (one = 1), secret BLOB NOT NULL);
INSERT INTO identity VALUES (1, randomblob(32));
"""
_OWED: Final = """
CREATE TABLE owed (id INTEGER PRIMARY KEY, destination TEXT NOT NULL, at REAL NOT NULL, payload BLOB NOT NULL);
CREATE INDEX owed_destination ON owed (destination, id);
"""
_PEOPLE: Final = """
CREATE TABLE member (
    group_id TEXT NOT NULL, user TEXT NOT NULL, user_server TEXT NOT NULL, has_left INTEGER NOT NULL,
    UNIQUE (group_id, user, user_server)
);
CREATE TABLE blocked (
    user TEXT NOT NULL, other TEXT NOT NULL, other_server TEXT NOT NULL,
    UNIQUE (user, other, other_server)
);
CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), age REAL NOT NULL, wall REAL NOT NULL{more});
"""
_KNOWN: Final = "CREATE TABLE known (destination TEXT PRIMARY KEY{more}) WITHOUT ROWID;"
_BODY: Final = """
CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB NOT NULL{more});
CREATE INDEX message_body ON message (body) WHERE kind = 3;
CREATE TRIGGER message_body_over AFTER DELETE ON message WHEN old.kind = 3 BEGIN
    DELETE FROM body WHERE id = old.body AND NOT EXISTS (SELECT 1 FROM message WHERE kind = 3 AND body = old.body);
END;
"""
"""A group message's body goes with the last copy of it (rows.py, SHARED)."""
_HISTORY_OFF: Final = "CREATE TABLE history_off (group_id TEXT PRIMARY KEY) WITHOUT ROWID;"
"""Groups of whose messages no server keeps anything."""
_FILES: Final = f"""
CREATE INDEX message_file ON message (raw) WHERE kind >= {rows.IN_FILE};
CREATE INDEX body_file ON body (data) WHERE size IS NOT NULL;
"""
"""Which records refer to a file (body_files.py); its digest stands where else the bytes do."""
_ADDED_IN_4: Final = {
    "message": ("body INTEGER",),
    "clock": ("running REAL NOT NULL DEFAULT 0.0", "boot TEXT NOT NULL DEFAULT ''"),
    "known": ("used INTEGER NOT NULL DEFAULT 1", "source TEXT NOT NULL DEFAULT ''", "at REAL NOT NULL DEFAULT 0.0"),
}
"""Columns. Whoever is known from before counts as somebody who is there in earnest."""
_ADDED_IN_6: Final = {"body": ("size INTEGER",)}

_MESSAGE_2: Final = (_MESSAGE_3 + _MESSAGE_KEY).replace(" key_rest INTEGER NOT NULL,", "")
_SETTLED_2: Final = """
CREATE TABLE settled (
    key INTEGER NOT NULL, author TEXT NOT NULL, author_server TEXT NOT NULL, snowflake INTEGER NOT NULL,
    recipient TEXT NOT NULL, recipient_server TEXT NOT NULL, status INTEGER NOT NULL, at REAL NOT NULL
);
CREATE INDEX settled_key ON settled (key);
"""
"""The tables of version 2 that are others now."""


def _with_added(script: str, table: str) -> str:
    columns = _ADDED_IN_4.get(table, ()) + _ADDED_IN_6.get(table, ())
    return script.replace("{more}", "".join(f", {column}" for column in columns))


SCHEMA: Final = (
    _with_added(_MESSAGE_3, "message")
    + _SETTLED
    + _HANDED_OVER
    + _OWED
    + _with_added(_PEOPLE, "clock")
    + _with_added(_KNOWN, "known")
    + _IDENTITY
    + _with_added(_BODY, "body")
    + _HISTORY_OFF
    + _FILES
    + mail_keys.SCHEMA
    + mail_keys.TRIGGER
)


def open_file(path: Path) -> sqlite3.Connection:
    """Open a mailbox, or make one.

    Raises:
        ConfigError: it is no whole mailbox of ours; the file is left as it is.

    """
    try:
        if not path.exists():
            if path.with_name(path.name + "-wal").exists():
                raise unusable(path, "it is gone, and what was written last is still beside it")
            _make(path)
        with contextlib.suppress(PermissionError):  # another user's, that we may write to
            path.chmod(0o600)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            version = _check(db, path)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            _migrate(db, version)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        if _is_full(error):
            raise StorageError(f"{path} cannot be written now ({error}): make room on its disk") from None
        raise unusable(path, str(error)) from None
    return db


def _is_full(error: sqlite3.Error | OSError) -> bool:
    """Whether the disk is at fault, and not the file: it may be well again soon."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
    return getattr(error, "sqlite_errorname", "").startswith(FULL)


def ages(db: sqlite3.Connection) -> Ages:
    """The file's own clock."""
    row = db.execute("SELECT age, wall, running, boot FROM clock").fetchone()
    return Ages(row[0], Moment(*row[1:])) if row is not None else Ages()


class InUse(ConfigError):
    """Another process has the file: as a rule one that is just told to let go of it."""


def lock(directory: Path) -> int:
    """One process a file: two would each deliver what the other keeps. InUse where it is taken."""
    try:
        make_directory(directory, 0o700)  # people's letters are nobody else's
        descriptor = os.open(directory / "chat.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{directory} cannot be written to ({error.strerror}): set PARLEY_DATA_DIR") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InUse(f"{directory} is in use by another chat process of this name") from None
    return descriptor


def _make(path: Path) -> None:
    """Make a mailbox under another name first: so a file without a schema is a damaged one."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # SQLite's other files get its mode
    db = sqlite3.connect(new, isolation_level=None)
    try:
        db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
    finally:
        db.close()
    new.rename(path)
    sync_directory(path.parent)  # a name survives a power cut only so


def _check(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise ConfigError(f"{path} is of a newer Parley (schema {version}): use that one")
    if version == 0:
        raise unusable(path, "it is empty or another program's")
    if path.stat().st_size < LARGE:
        check_whole(db, path)
    return version


def is_large(path: Path) -> bool:
    """Whether it was opened without being looked at as a whole: `check_whole` is the caller's then."""
    return path.stat().st_size >= LARGE


def check_whole(db: sqlite3.Connection, path: Path) -> None:
    """Read all of it. ConfigError where it is damaged."""
    damage = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if damage != "ok":
        raise unusable(path, " ".join(damage.split()))


def unusable(path: Path, why: str) -> ConfigError:
    """The error for a file that cannot be used: what is wrong, and what to do."""
    to_do = "restore it from a backup, or move it away to begin with an empty one"
    return ConfigError(f"{path} cannot be used ({why}): {to_do}")


# Versions ------------------------------------------------------------------------------------------------


def _migrate(db: sqlite3.Connection, version: int) -> None:
    """Bring an older file to this version, a version at a time, each wholly or not at all; end shared copies."""
    for number in range(version, VERSION):
        db.execute("BEGIN IMMEDIATE")
        try:
            MIGRATIONS[number](db)
            db.execute(f"PRAGMA user_version={number + 1}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
    shared_rows.expand(db, MessageKeys(queries.secret(db)))


def _statements(db: sqlite3.Connection, script: str) -> None:
    """Those of an older version; `executescript` would commit first."""
    for statement in filter(str.strip, script.replace("{more}", "").split(";")):
        db.execute(statement)


def _from_1(db: sqlite3.Connection) -> None:
    """Groups, blocking, an own clock; statuses as payloads; messages found by their snowflake."""
    for table in ("message", "settled", "owed"):
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for index in ("message_destination", "settled_at", "owed_destination"):
        db.execute(f"DROP INDEX {index}")
    _statements(db, _MESSAGE_2 + _SETTLED_2 + _OWED + _PEOPLE)
    db.execute(
        "INSERT INTO message SELECT id, destination, 0, author, author_server, snowflake, recipient, "
        "recipient_server, CASE destination WHEN 'user:' || recipient || '@' || recipient_server "
        "THEN author_server ELSE '' END, 0, '', '', size, 0.0, raw FROM old_message"
    )
    # The author's server hears of a message; ours is where what waits for users lives.
    db.execute("UPDATE message SET origin = '' WHERE origin = recipient_server")
    db.execute(
        "INSERT INTO settled SELECT 0, author, author_server, snowflake, recipient, recipient_server, status, 0.0 "
        "FROM old_settled ORDER BY rowid"
    )
    for number, destination, raw in db.execute("SELECT id, destination, raw FROM old_owed ORDER BY id").fetchall():
        parts = bytes(raw).split(b" ", 2)
        if len(parts) < FRAME_PARTS:
            raise sqlite3.DatabaseError(f"the status {number} in it is damaged")
        db.execute("INSERT INTO owed VALUES (?,?,0.0,?)", (number, destination, parts[2][:-1]))
    for table in ("message", "settled", "owed"):
        db.execute(f"DROP TABLE old_{table}")


def _from_2(db: sqlite3.Connection) -> None:
    """Messages recognised by 128 bits of what they are, with a secret; a table of what other servers have.

    What was settled was recognised by what anybody can make: it is forgotten. Who sends such a message again has it
    delivered again, and the recipient's client recognises it.
    """
    for table in ("message", "settled"):
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for index in ("message_destination", "message_key", "settled_key"):
        db.execute(f"DROP INDEX {index}")
    _statements(db, _MESSAGE_3 + _MESSAGE_KEY + _SETTLED + _HANDED_OVER + _IDENTITY)
    keys = MessageKeys(queries.secret(db))
    for row in db.execute(f"SELECT {_COLUMNS_2} FROM old_message ORDER BY id"):  # noqa: S608 - ours
        number, destination, *parts, raw = row
        key = rows.halves(_key_of(keys, parts, raw))
        db.execute(f"INSERT INTO message VALUES ({','.join('?' * 16)})", (number, destination, *key, *parts, raw))  # noqa: S608 - ours
    db.execute(
        "INSERT INTO handed_over SELECT snowflake, author, author_server, recipient, recipient_server, kind, 0, 0, "
        "status, at FROM old_settled, (SELECT 0 AS kind UNION SELECT 1 UNION SELECT 2) WHERE status IN (3, 5) AND "
        "old_settled.rowid IN (SELECT MAX(rowid) FROM old_settled GROUP BY key, author, author_server, snowflake, "
        "recipient, recipient_server)"  # of which kind each is was not kept
    )
    for table in ("message", "settled"):
        db.execute(f"DROP TABLE old_{table}")


_COLUMNS_2: Final = (
    "id, destination, author, author_server, snowflake, recipient, recipient_server, origin, kind, group_id, "
    "group_server, size, kept_at, raw"
)


def _key_of(keys: MessageKeys, parts: Sequence[Any], raw: bytes) -> bytes:
    """The key of a row of version 2; none of one that cannot be read: it goes out all the same."""
    author, author_server, _snowflake, to, to_server, _origin, kind, group_id, group_server, *_ = parts
    group = Group(group_id, group_server) if kind == COPY else None
    recipient = Group(to, to_server) if kind == TO_GROUP else User(to, to_server)
    try:
        message = decode(read_datagram(raw), pb.ChatMessage)
    except MalformedMessage:
        return b""
    return keys.of(User(author, author_server), recipient, group, message)


def _from_3(db: sqlite3.Connection) -> None:
    """Bodies that copies share; a clock that is compared; who is known in earnest. What waits stays as it is."""
    for table, columns in _ADDED_IN_4.items():
        for column in columns:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    trigger = _BODY.index("CREATE TRIGGER")
    _statements(db, _BODY[:trigger])
    db.execute(_BODY[trigger:])


def _from_4(db: sqlite3.Connection) -> None:
    """Groups whose history is off; there is none yet."""
    _statements(db, _HISTORY_OFF)


def _from_5(db: sqlite3.Connection) -> None:
    """Large messages as files. Those that wait stay in this file until they go."""
    for table, columns in _ADDED_IN_6.items():
        for column in columns:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    _statements(db, _FILES)


def _from_6(db: sqlite3.Connection) -> None:
    """Keys in a table of their own, which is written many at a time, instead of an index of all messages."""
    _statements(db, mail_keys.SCHEMA)
    db.execute(mail_keys.TRIGGER)
    mail_keys.index_all(db)
    db.execute("DROP INDEX message_key")


MIGRATIONS: Final[dict[int, Callable[[sqlite3.Connection], None]]] = {
    1: _from_1,
    2: _from_2,
    3: _from_3,
    4: _from_4,
    5: _from_5,
    6: _from_6,
}
"""Version of a file → the function that brings it to the next."""
