"""Queries of the mailbox's file, on its thread; and the trimming of its tables."""

from __future__ import annotations

import sqlite3
from array import array
from typing import Final

from parley.services.chat.deduplication.stored_keys import Table, table_of
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination, HandedOver, Key, Name, Pair
from parley.services.chat.message.statuses import Status
from parley.services.chat.storage import mail_keys, rows
from parley.services.chat.storage.bodies import Body, Known
from parley.services.chat.storage.body_files import BodyFiles
from parley.services.chat.storage.mail_keys import MailKeys
from parley.services.chat.storage.quotas import MailTally, count, new_tally
from parley.shared.addresses import User

TRIMMED: Final = 5_000
"""Final statuses removed at once."""
LOOKED: Final = 2_000
"""Messages of one destination that are looked through for one that was changed, from the newest back."""
LOOKED_BYTES: Final = 4 * 1024 * 1024
"""Of them, those of one author for one recipient: so many bytes are looked through for earlier edits."""
ALIKE: Final = 16
"""Messages that one edit may be about: its target, and earlier edits of that."""

_MESSAGES: Final = rows.select("kept_at", rows.WHOLE, "destination = ? AND id > ? %s ORDER BY id LIMIT ?")
_OF_PAIR: Final = "AND author = ? AND author_server = ? AND recipient = ? AND recipient_server = ?"
_OLDEST: Final = rows.select("kept_at, destination", rows.OUTLINE, "id > ? ORDER BY id LIMIT ?")
_STATUS: Final = "SELECT status FROM settled WHERE key = ? AND key_rest = ? ORDER BY rowid DESC LIMIT 1"
_IS_ELSEWHERE: Final = "SELECT status FROM handed_over WHERE key = ? AND key_rest = ?"
_HANDED_OVER: Final = (
    "SELECT key, key_rest, status FROM handed_over WHERE snowflake = ? AND author = ? AND author_server = ? "
    "AND recipient = ? AND recipient_server = ? AND kind = ?"
)
FILE_OF: Final = (
    f"CASE WHEN kind >= {rows.IN_FILE} THEN raw WHEN kind = 3 THEN "  # noqa: S608 - a constant
    "(SELECT data FROM body WHERE body.id = message.body AND body.size IS NOT NULL) END"
)
"""The digest of a message's file, if it has one."""
_FILES: Final = (
    f"SELECT DISTINCT raw FROM message WHERE kind >= {rows.IN_FILE} "  # noqa: S608 - a constant
    "UNION SELECT data FROM body WHERE size IS NOT NULL"
)
_FILE_IS_USED: Final = (
    f"SELECT EXISTS (SELECT 1 FROM message WHERE kind >= {rows.IN_FILE} AND raw = ?1) "  # noqa: S608 - a constant
    "OR EXISTS (SELECT 1 FROM body WHERE size IS NOT NULL AND data = ?1)"
)
_LAST: Final = (
    "SELECT id, snowflake, size FROM message WHERE id IN "
    "(SELECT id FROM message WHERE destination = ? ORDER BY id DESC LIMIT ?) "
    "AND author = ? AND author_server = ? AND recipient = ? AND recipient_server = ? ORDER BY id DESC"
)
_SAYS: Final = (
    "SELECT instr(CASE kind WHEN 3 THEN "  # noqa: S608 - a constant
    "(SELECT data FROM body WHERE body.id = message.body) ELSE raw END, "
    f":needle), {FILE_OF} FROM message WHERE id = :id"
)
TRIM: Final = "DELETE FROM settled WHERE rowid < (SELECT MIN(rowid) FROM settled) + ?"
"""Removes the oldest final statuses."""
TRIM_HANDED_OVER: Final = "DELETE FROM handed_over WHERE rowid < (SELECT MIN(rowid) FROM handed_over) + ?"
EXPIRE_HANDED_OVER: Final = "DELETE FROM handed_over WHERE at < ?"
END_HANDED_OVER: Final = (
    "DELETE FROM handed_over WHERE snowflake = ? AND author = ? AND author_server = ? AND recipient = ? "
    "AND recipient_server = ? AND kind = ? AND key = ? AND key_rest = ?"
)


SHARED: Final = (
    "SELECT body, COUNT(*), (SELECT COALESCE(size, LENGTH(data)) FROM body WHERE body.id = message.body) "
    "FROM message WHERE kind = 3 GROUP BY body"
)
"""Each body, how many copies share it, and its bytes: one look at an index, and one row per body."""
_BY_AUTHOR: Final = (
    "SELECT destination, author, author_server, origin, COUNT(*), SUM(size), "
    "SUM(CASE kind WHEN 3 THEN LENGTH(raw) + 1 ELSE size END) FROM message GROUP BY 1, 2, 3, 4"
)
_BODIES_BY_AUTHOR: Final = (
    "SELECT destination, author, author_server, origin, COALESCE(body.size, LENGTH(data)) FROM body JOIN message "
    "ON kind = 3 AND message.body = body.id GROUP BY body.id"
)


def tally(db: sqlite3.Connection) -> MailTally:
    """How much mail waits, by author and destination."""
    counted = new_tally()
    for name, author, server, origin, messages, size, own in db.execute(_BY_AUTHOR):
        count(counted, rows.destination(name), User(author, server), origin, messages, size, own)
    for name, author, server, origin, size in db.execute(_BODIES_BY_AUTHOR):
        count(counted, rows.destination(name), User(author, server), origin, 0, 0, size)
    return counted


def secret(db: sqlite3.Connection) -> bytes:
    """The secret that messages' keys are made with (message_keys.py)."""
    return bytes(db.execute("SELECT secret FROM identity").fetchone()[0])


def find(db: sqlite3.Connection, key: Key, mail_keys: MailKeys) -> int | None:
    """The status of a message that waits, was settled or is at another server; None: there is no such message."""
    halves = rows.halves(key)
    for query in (_STATUS, _IS_ELSEWHERE):
        if (row := db.execute(query, halves).fetchone()) is not None:
            return int(row[0])
    if (name := mail_keys.find(db, *halves)) is None:
        return None
    is_for_user = isinstance(rows.destination(name), User)
    return Status.USER_AWAY if is_for_user else Status.OTHER_SERVER_TIMEOUT


def find_handed_over(db: sqlite3.Connection, name: Name) -> HandedOver | None:
    """A message that another server has, by what its statuses say of it."""
    row = db.execute(_HANDED_OVER, rows.name_values(name)).fetchone()
    return HandedOver(rows.key(row[0], row[1]), row[2]) if row is not None else None


class Reading(rows.Contents):
    """Reads bodies and files; each body once, as long as some copy of it is in memory."""

    def __init__(self, db: sqlite3.Connection, known: Known, files: BodyFiles) -> None:
        self._db, self._known, self._files = db, known, files

    def body(self, number: int) -> Body:
        """A body that copies share; without data: it is gone."""
        found = self._known.get(number)
        if found is not None:
            return found
        row = self._db.execute("SELECT data, size FROM body WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise sqlite3.DatabaseError(f"the body {number} is not in it")
        data, size = row
        if size is None:
            found = Body(bytes(data), number=number)
        else:
            content = self._files.read(data)
            if content is None:
                return Body(b"", number=number, size=size)
            found = Body(content, number=number)
            found.in_file(content, data)
        self._known[number] = found
        return found

    def file(self, digest: bytes) -> bytes:
        """The bytes of a file; none: it is gone."""
        return self._files.read(digest) or b""


def files(db: sqlite3.Connection) -> set[bytes]:
    """The digests of all files that messages refer to."""
    return {row[0] for row in db.execute(_FILES)}


def is_file_used(db: sqlite3.Connection, digest: bytes) -> bool:
    """Whether a message refers to a file."""
    return bool(db.execute(_FILE_IS_USED, (digest,)).fetchone()[0])


def load(
    db: sqlite3.Connection,
    destination: Destination,
    after: int,
    limit: int,
    contents: Reading,
    pair: Pair | None = None,
) -> list[Envelope]:
    """Read the messages with ids greater than `after` that wait there, in order: all, or those of a pair.

    `arrived` is the file's age.
    """
    envelopes, size = [], 0
    query, values = _MESSAGES % "", [rows.name(destination), after]
    if pair is not None:
        query = _MESSAGES % _OF_PAIR
        values += [*pair[0], *pair[1]]
    for kept_at, *row in db.execute(query, (*values, limit)):
        envelopes.append(rows.envelope(tuple(row), contents))
        envelopes[-1].arrived = kept_at
        size += envelopes[-1].size
        if size >= rows.LOADED:
            break
    return envelopes


def look_through(
    db: sqlite3.Connection, destination: Destination, pair: Pair, target: int, contents: Reading
) -> list[Envelope]:
    """Read what waits last of a pair, bears this number or seems to be an edit of it, in order.

    LOOKED messages of the destination are looked through, and LOOKED_BYTES of the pair's, from the newest back.
    """
    found, left = [], LOOKED_BYTES
    needle = rows.edit_mark(target)
    for number, snowflake, size in db.execute(_LAST, (rows.name(destination), LOOKED, *pair[0], *pair[1])):
        if snowflake != rows.signed(target):
            left -= size
            if left < 0:
                continue
            is_there, file = db.execute(_SAYS, {"id": number, "needle": needle}).fetchone()
            if not (is_there if file is None else needle in contents.file(file)):
                continue
        found.append(number)
    read: list[Envelope] = []
    for number in reversed(found[:ALIKE]):
        read += load(db, destination, number - 1, 1, contents, pair)
    return read


def load_owed(db: sqlite3.Connection, destination: Destination, after: int, limit: int) -> list[tuple[int, bytes]]:
    """Read the statuses owed there with numbers greater than `after`: (number, payload)."""
    query = "SELECT id, payload FROM owed WHERE destination = ? AND id > ? ORDER BY id LIMIT ?"
    return db.execute(query, (rows.name(destination), after, limit)).fetchall()


def expired(db: sqlite3.Connection, before: float, after: int, limit: int) -> list[tuple[Destination, Envelope]]:
    """Read the messages with ids greater than `after` that were written before that age.

    Numbers are given in the order of time: so the first that is young enough ends the search.
    """
    found: list[tuple[Destination, Envelope]] = []
    for kept_at, name, *row in db.execute(_OLDEST, (after, limit)):
        if kept_at >= before:
            break
        found.append((rows.destination(name), rows.envelope(tuple(row))))
    return found


def fingerprints(db: sqlite3.Connection) -> Table:
    """Those of all that is on disk."""
    queries = (
        mail_keys.IN_TABLE,
        mail_keys.IN_MEMORY,
        "SELECT key FROM settled ORDER BY key",
        "SELECT key FROM handed_over ORDER BY key",
    )
    return table_of([array("q", (first for (first,) in db.execute(query))) for query in queries])
