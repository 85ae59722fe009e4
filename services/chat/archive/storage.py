"""The archive's file: SQLite (WAL), its records, and its days.

One thread writes it; readers have their own connections.

Records are committed with an fsync, projections without: what a power cut takes of those is made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Final, NamedTuple

from parley.services.chat.archive.entries import divided
from parley.services.chat.archive.filed import filed_in
from parley.services.chat.storage.body_files import ARCHIVE, HANDED, BodyFiles
from parley.shared import write_ahead
from parley.shared.errors import StorageError

NAME: Final = "archive.db"
FORMAT: Final = 1
OF_CONVERSATION: Final = "person = ? AND is_group = ? AND name = ? AND server_id = ?"
RECORD: Final = 1 << 16
"""Bytes of a record, unless one message alone has more: so an offset has 16 bits."""
OFFSET_BITS: Final = 16
DAY: Final = 86400.0
COMMIT: Final = 1 << 20
"""Bytes of chunks that are written in one commit."""
CHECKPOINT: Final = 4096
"""Pages of the journal (16 MiB) that go into the file together: a page of lines is changed again and again."""
ROWS: Final = 500
"""Rows that one statement inserts."""

_NUMBERED: Final = """
CREATE TABLE numbered (
    conversation INTEGER NOT NULL, sequence INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (conversation, sequence)
) WITHOUT ROWID;
CREATE INDEX numbered_order ON numbered (conversation, number, sequence);
"""
"""The place of each line of a group's: by the number that the group's server gave it, then as they came."""
_SCHEMA: Final = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
    id INTEGER PRIMARY KEY, chunk INTEGER NOT NULL, day INTEGER NOT NULL, clock REAL NOT NULL, at REAL NOT NULL,
    crc INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE day (day INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, at REAL NOT NULL);
CREATE TABLE conversation (
    id INTEGER PRIMARY KEY, person TEXT NOT NULL, is_group INTEGER NOT NULL, name TEXT NOT NULL,
    server_id TEXT NOT NULL, last INTEGER NOT NULL, place INTEGER NOT NULL, read INTEGER NOT NULL,
    changed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (person, is_group, name, server_id)
);
CREATE TABLE line (
    conversation INTEGER NOT NULL, sequence INTEGER NOT NULL, place INTEGER NOT NULL, status INTEGER NOT NULL,
    PRIMARY KEY (conversation, sequence)
) WITHOUT ROWID;
CREATE TABLE changed (
    conversation INTEGER NOT NULL, sequence INTEGER NOT NULL, record INTEGER NOT NULL,
    PRIMARY KEY (conversation, sequence)
) WITHOUT ROWID;
CREATE TABLE edit (
    conversation INTEGER NOT NULL, sequence INTEGER NOT NULL, revision INTEGER NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (conversation, sequence)
) WITHOUT ROWID;
{_NUMBERED}CREATE TABLE erasure (place INTEGER PRIMARY KEY);
CREATE TABLE pending (
    key BLOB PRIMARY KEY, conversation INTEGER NOT NULL, sequence INTEGER NOT NULL, day INTEGER NOT NULL
) WITHOUT ROWID;
"""
_FILED: Final = """
CREATE TABLE IF NOT EXISTS filed (place INTEGER PRIMARY KEY, digest BLOB NOT NULL, size INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS filed_digest ON filed (digest, size);
"""
"""Where messages stand that have a file: the tables of an earlier Parley's archive are without."""

_EARLY: Final = """
CREATE TABLE IF NOT EXISTS early (
    place INTEGER PRIMARY KEY, author BLOB NOT NULL, begin BLOB NOT NULL, content BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS early_author ON early (author, place);
CREATE TABLE IF NOT EXISTS early_list (
    place INTEGER NOT NULL, conversation INTEGER NOT NULL, PRIMARY KEY (place, conversation)
) WITHOUT ROWID;
"""
"""Edits that came before their messages (early_edits.py)."""

_USAGE: Final = """
CREATE TABLE IF NOT EXISTS usage (day INTEGER PRIMARY KEY, until INTEGER NOT NULL, sizes BLOB NOT NULL);
"""
"""The bytes that each author and server has (usage.py)."""


class Unusable(StorageError):
    """The archive's file cannot be used: it is left as it is, and nothing is kept."""


class Connection(sqlite3.Connection):
    """A connection to an archive, and its files."""

    files: BodyFiles


class Record(NamedTuple):
    """One record, as it was written."""

    number: int
    day: int
    clock: float
    """Seconds to add to an entry's `when`, which makes Unix time of it."""
    crc: int
    body: bytes

    @property
    def is_whole(self) -> bool:
        """Whether the bytes are those that were written."""
        return zlib.crc32(self.body) == self.crc


def place(number: int, offset: int) -> int:
    """Where a message stands: its record, and the offset in it."""
    return number << OFFSET_BITS | offset


def record_of(at: int) -> tuple[int, int]:
    """The record of a place, and the offset."""
    return at >> OFFSET_BITS, at & (1 << OFFSET_BITS) - 1


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have the file's directory locked, as whoever changes the file has: waits for another process to end.

    The lock is on the directory: SQLite's own on the file would go with any descriptor of it that is closed.

    Raises:
        Unusable: there is no such directory.

    """
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unusable(f"{path.parent} cannot be opened: {error}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def open_file(path: Path) -> sqlite3.Connection:
    """Open an archive, or make one.

    Raises:
        Unusable: it is none of ours, of a newer format, or broken; the file is left as it is.

    """
    try:
        db = _connect(path)
        try:
            path.chmod(0o600)
            write_ahead.turn_on(db)
            db.execute("PRAGMA secure_delete=ON")
            db.execute("PRAGMA cache_size=-16384")
            db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT}")
            if not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                _make(db)
            found = db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
            if found is None or found[0] != FORMAT:
                raise Unusable(f"{path} is of another format ({found and found[0]}, not {FORMAT})")  # noqa: TRY301 - it is closed
            _add_numbered(db)
            db.executescript(_FILED + _EARLY + _USAGE)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise Unusable(f"{path} is no archive that can be used: {error}") from None
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that changes nothing; sqlite3.Error where that cannot be."""
    db = _connect(path)
    db.execute("PRAGMA query_only=1")
    db.execute("PRAGMA cache_size=-8192")
    return db


def _connect(path: Path) -> Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Connection)
    db.files = BodyFiles(path.absolute().parent / ARCHIVE)
    return db


def files_of(db: sqlite3.Connection) -> BodyFiles:
    """The archive's files: those of large messages (filed.py)."""
    if isinstance(db, Connection):
        return db.files
    return BodyFiles(Path(db.execute("PRAGMA database_list").fetchone()[2]).parent / ARCHIVE)


def _make(db: sqlite3.Connection) -> None:
    """Make the tables, and what is noted in them, at once: after a power cut there is all of it, or nothing."""
    values = f"('format', {FORMAT}), ('epoch', {secrets.randbits(62)}), ('projected', 0)"
    db.executescript(f"BEGIN; {_SCHEMA} INSERT INTO meta VALUES {values}; COMMIT;")  # noqa: S608 - all ours


def _add_numbered(db: sqlite3.Connection) -> None:
    """Have a file from before lines were numbered tell them in the order in which they came."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'numbered'").fetchone() is None:
        lines = "SELECT line.conversation, sequence, 0 FROM line JOIN conversation ON id = line.conversation"
        db.executescript(f"BEGIN; {_NUMBERED} INSERT INTO numbered {lines} WHERE is_group; COMMIT;")


@contextlib.contextmanager
def transaction(db: sqlite3.Connection, *, is_safe: bool) -> Iterator[None]:
    """All or nothing; `is_safe`: it is on disk when it is over."""
    db.execute(f"PRAGMA synchronous={'FULL' if is_safe else 'NORMAL'}")
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def last_record(db: sqlite3.Connection) -> int:
    """The number of the last record; 0: there is none."""
    found = db.execute("SELECT MAX(last) FROM day").fetchone()[0]
    return int(found or 0)


def bytes_behind(db: sqlite3.Connection, number: int) -> int:
    """The bytes of the records behind one."""
    found = db.execute("SELECT SUM(length(body)) FROM record WHERE id > ?", (number,)).fetchone()[0]
    return int(found or 0)


def handed_over(db: sqlite3.Connection, session: int) -> int:
    """The number of the last chunk that was written in that session; 0: none was."""
    found = db.execute("SELECT value FROM meta WHERE name = 'handed over'").fetchone()
    noted, number = map(int, found[0].split()) if found is not None else (session, 0)
    return number if noted == session else 0


def write_chunks(
    db: sqlite3.Connection,
    chunks: Iterable[bytes],
    number: int,
    day: int,
    clock: float,
    at: float,
    *,
    handed_over: tuple[int, int] | None = None,
) -> list[int]:
    """Write chunks as records from `number` on, in one commit that is safe; the number of the last one of each.

    With them goes `handed_over`: a session, and the number of the last of these chunks in it.
    """
    lasts: list[int] = []
    rows: list[object] = []
    filed: list[object] = []
    last = number - 1
    for chunk in chunks:
        first = last + 1
        for last, part in enumerate(divided(chunk, RECORD), first):
            rows += (last, first, day, clock, at, zlib.crc32(part), part)
            filed += _take(db, last, part)
        lasts.append(last)
    files_of(db).sync()
    with transaction(db, is_safe=True):
        insert(db, "record", 7, rows)
        insert(db, "filed", 3, filed)
        db.execute(
            "INSERT INTO day VALUES (?, ?, ?, ?) ON CONFLICT (day) DO UPDATE SET last = excluded.last",
            (day, number, last, at),
        )
        if handed_over is not None:
            noted = f"{handed_over[0]} {handed_over[1]}"
            db.execute("INSERT OR REPLACE INTO meta VALUES ('handed over', ?)", (noted,))
    files_of(db).end_handing(bytes(each) for each in filed[1::3] if isinstance(each, bytes))
    return lasts


def _take(db: sqlite3.Connection, number: int, part: bytes) -> list[object]:
    """Have the files of a record be the archive's, safe but for their names: rows of `filed`, as insert's.

    What is not there any more has no row, and reads as gone.
    """
    rows: list[object] = []
    files = files_of(db)
    for offset, found in filed_in(part):
        if files.take(found.digest, files.directory / HANDED):
            rows += (place(number, offset), found.digest, found.about.size)
    return rows


def projected(db: sqlite3.Connection) -> int:
    """The last record that lines and words were made of."""
    return int(db.execute("SELECT value FROM meta WHERE name = 'projected'").fetchone()[0])


def set_projected(db: sqlite3.Connection, number: int) -> None:
    """Note the same, in the transaction that makes them."""
    db.execute("UPDATE meta SET value = ? WHERE name = 'projected'", (number,))


def begin_epoch(db: sqlite3.Connection, person: str) -> None:
    """Begin another epoch for a person: their devices start over, and so keep nothing that is gone here."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"epoch of {person}", secrets.randbits(62)))


def epoch(db: sqlite3.Connection, person: str) -> int:
    """The epoch of the file and of the person, in one number."""
    names = "epoch", f"epoch of {person}"
    rows = db.execute("SELECT value FROM meta WHERE name IN (?, ?)", names).fetchall()
    return reduce(xor, (int(row[0]) for row in rows), 0)


def read_chunks(db: sqlite3.Connection, after: int, most: int = 1) -> list[Record]:
    """Records of one day behind a record: whole chunks, until they have `most` bytes; none: there is no more."""
    sql = "SELECT chunk, id, day, clock, crc, body FROM record WHERE id > ? ORDER BY id"
    records: list[Record] = []
    size, last = 0, 0
    with contextlib.closing(db.execute(sql, (after,))) as rows:
        for chunk, *row in rows:
            record = Record(*row)
            if records and chunk != last and (size >= most or record.day != records[0].day):
                break
            records.append(record)
            size, last = size + len(record.body), chunk
    return records


def insert(db: sqlite3.Connection, table: str, width: int, values: Sequence[object]) -> None:
    """Insert rows of `width` values, many with one statement.

    Each statement gives the interpreter to the event loop, and has to wait until it has it back.
    """
    one = f"({', '.join('?' * width)})"
    for begin in range(0, len(values), ROWS * width):
        some = values[begin : begin + ROWS * width]
        db.execute(f"INSERT INTO {table} VALUES {', '.join([one] * (len(some) // width))}", some)  # noqa: S608 - ours


def read_record(db: sqlite3.Connection, number: int) -> Record | None:
    """One record; None: it is gone."""
    row = db.execute("SELECT id, day, clock, crc, body FROM record WHERE id = ?", (number,)).fetchone()
    return None if row is None else Record(*row)


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file without its free pages, and of the files beside it."""
    free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    return all_bytes(db) - int(free * size)


def all_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file with its free pages, which the disk does not have back, and of the files beside it."""
    pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages * size) + figures_of_files(db)[1]


def figures_of_files(db: sqlite3.Connection) -> tuple[int, int]:
    """How many files there are, and their bytes."""
    if not _has_table(db):
        return 0, 0
    found = db.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM (SELECT size FROM filed GROUP BY digest)")
    count, size = found.fetchone()
    return int(count), int(size)


def _has_table(db: sqlite3.Connection) -> bool:
    """Whether this Parley has written the archive, or one before it alone."""
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'filed'").fetchone() is not None


def term_tables(db: sqlite3.Connection, kind: str) -> list[int]:
    """The days that have an index of that kind (`terms` or `grams`), the latest first."""
    sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB ?"
    names = (row[0].removeprefix(f"{kind}_") for row in db.execute(sql, (f"{kind}_[0-9]*",)))
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)
