"""The file of this server's users: SQLite, written by the chat process and by commands, read by all of a node's.

Each name is one row of JSON, with the number of the change that wrote it: who reads asks for what is newer than
what it has. A row is empty for a name of which nothing is to be remembered, until `tick` drops it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from google.protobuf.message import DecodeError

from parley.shared.addresses import User
from parley.shared.trust.ages import HOUR
from parley.shared.trust.names import Name
from parley.shared.trust_storage.aged_file import AgedFile
from parley.shared.wire.messages import pb

NAME: Final = "users.db"
VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS name (
    user_id TEXT PRIMARY KEY, changed INTEGER NOT NULL, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS name_changed ON name (changed);
CREATE TABLE IF NOT EXISTS device_list (
    user_id TEXT NOT NULL, server_id TEXT NOT NULL, changed INTEGER NOT NULL, number INTEGER NOT NULL,
    list BLOB NOT NULL, PRIMARY KEY (user_id, server_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS device_list_changed ON device_list (changed);
CREATE TABLE IF NOT EXISTS claim (address TEXT NOT NULL, age REAL NOT NULL);
"""
_CHANGE: Final = (
    "SELECT 1 + MAX(IFNULL((SELECT MAX(changed) FROM name), 0), IFNULL((SELECT MAX(changed) FROM device_list), 0))"
)
RECORD: Final = msgspec.json.Decoder(Name)
MOST_LISTS: Final = 10_000
"""Device lists of other servers' users that are kept."""


class News(NamedTuple):
    """The rows that are newer than a change."""

    change: int
    """The newest of them."""
    names: list[Name]
    lists: list[pb.DeviceList]


class UsersFile(AgedFile):
    """`directory`/users.db. OSError, sqlite3.Error, ValueError where a row is damaged."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / NAME, SCHEMA, VERSION)

    # Reading ---------------------------------------------------------------------------------------------

    def news(self, after: int) -> News:
        """All that was written after that change."""
        self.read_clock()
        names = self._db.execute("SELECT changed, record FROM name WHERE changed > ?", [after]).fetchall()
        lists = self._db.execute("SELECT changed, list FROM device_list WHERE changed > ?", [after]).fetchall()
        newest = max((changed for changed, _ in (*names, *lists)), default=after)
        return News(newest, [_name(record) for _, record in names], [_list(raw) for _, raw in lists])

    def name(self, user_id: str) -> Name:
        """All that is known of one name."""
        row = self._db.execute("SELECT record FROM name WHERE user_id = ?", [user_id]).fetchone()
        return _name(row[0]) if row is not None else Name(user_id)

    def claims(self) -> Iterable[tuple[str, float]]:
        """The claims of the last hour: address and age."""
        return self._db.execute("SELECT address, age FROM claim ORDER BY age").fetchall()

    # Writing ---------------------------------------------------------------------------------------------

    def put(self, names: Iterable[Name], lists: Iterable[pb.DeviceList] = ()) -> int:
        """Write these names, and lists of other servers' users; the change's number."""
        with self._writing():
            change = int(self._db.execute(_CHANGE).fetchone()[0])
            self._db.executemany(
                "INSERT OR REPLACE INTO name VALUES (?,?,?)",
                [(name.user_id, change, msgspec.json.encode(name).decode()) for name in names],
            )
            self._db.executemany(
                "INSERT INTO device_list VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET changed = excluded.changed, "
                "number = excluded.number, list = excluded.list WHERE excluded.number > number",
                [(*User.of(each.user), change, each.number, each.SerializeToString()) for each in lists],
            )
        return change

    def note_claim(self, address: str) -> None:
        """A name was claimed from that address."""
        with self._writing() as age:
            self._db.execute("DELETE FROM claim WHERE age <= ?", [age - HOUR])
            self._db.execute("INSERT INTO claim VALUES (?,?)", (address, age))

    def tick(self) -> None:
        """Note how old the file is, and drop what is beyond its bounds; changes keep their numbers."""
        with self._writing():
            self._db.execute(
                "DELETE FROM device_list WHERE changed < (SELECT changed FROM device_list ORDER BY changed DESC "
                "LIMIT 1 OFFSET ?)",
                [MOST_LISTS],
            )

    def drop(self, user_ids: Iterable[str]) -> None:
        """Forget names of which nothing is to be remembered."""
        with self._writing():
            self._db.executemany("DELETE FROM name WHERE user_id = ?", [(user_id,) for user_id in user_ids])


def _name(record: str) -> Name:
    return RECORD.decode(record)


def _list(raw: bytes) -> pb.DeviceList:
    try:
        return pb.DeviceList.FromString(raw)
    except DecodeError as error:
        raise ValueError(str(error)) from None
