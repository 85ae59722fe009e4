"""The file of pins: SQLite, opened by all processes of a node at once, and by `parley trust`.

Whichever process pins a name first wins: the others read back what it wrote. Each call is a transaction, and waits
for the disk; what must not wait calls from a thread (pins.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from parley.shared.names import fold
from parley.shared.runtime.moments import moment
from parley.shared.trust.ages import HOUR
from parley.shared.trust.claims import LAPSE, PER_HOUR, Claims
from parley.shared.trust.pins import How, Pin, Pins
from parley.shared.trust.plain_names import HELD, PlainNames
from parley.shared.trust.refusals import Refusals, Refused
from parley.shared.trust.server_trust import ServerTrust
from parley.shared.trust_storage.aged_file import AgedFile

NAME: Final = "pins.db"
VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pin (
    name TEXT PRIMARY KEY, spelt TEXT NOT NULL, key BLOB NOT NULL, how TEXT NOT NULL, since REAL NOT NULL,
    used REAL NOT NULL, is_used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revoked (key BLOB PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plain (name TEXT PRIMARY KEY, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claim (address TEXT NOT NULL, age REAL NOT NULL);
CREATE TABLE IF NOT EXISTS refused (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, spelt TEXT NOT NULL, key BLOB NOT NULL, what TEXT NOT NULL,
    host TEXT NOT NULL, since REAL NOT NULL, UNIQUE (name, key)
);
"""
INSERT: Final = {
    "pin": "INSERT OR REPLACE INTO pin VALUES (?,?,?,?,?,?,?)",
    "first_pin": "INSERT INTO pin VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
    "claim": "INSERT INTO claim VALUES (?,?)",
    "revoked": "INSERT OR IGNORE INTO revoked VALUES (?,?)",
    "plain": "INSERT OR REPLACE INTO plain VALUES (?,?)",
    "refused": "INSERT OR REPLACE INTO refused (name, spelt, key, what, host, since) VALUES (?,?,?,?,?,?)",
}
"""Each kind of row, and how it is written."""


class PinsFile(AgedFile):
    """`directory`/pins.db, made where there is none: the directory 0700, the file 0600. OSError, sqlite3.Error."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / NAME, SCHEMA, VERSION)

    # Reading ---------------------------------------------------------------------------------------------

    def read(self) -> ServerTrust:
        """All that is in it."""
        self.read_clock()
        claims = Claims()
        for address, age in self._db.execute("SELECT address, age FROM claim ORDER BY age"):
            claims.note(address, age)
        refusals = Refusals()
        for row in self._db.execute("SELECT spelt, key, what, host, since FROM refused ORDER BY id"):
            refusals.note(Refused(*row))
        pins = {name: _pin(*row) for name, *row in self._db.execute("SELECT * FROM pin")}
        revoked = {key for (key,) in self._db.execute("SELECT key FROM revoked")}
        plain = dict(self._db.execute("SELECT name, used FROM plain"))
        return ServerTrust(Pins(pins, revoked), PlainNames(plain), refusals, claims)

    def pin_of(self, name: str) -> Pin | None:
        """The pin of a name."""
        row = self._db.execute("SELECT * FROM pin WHERE name = ?", [fold(name)]).fetchone()
        return _pin(*row[1:]) if row is not None else None

    def is_held_in_plain(self, name: str) -> bool:
        """Whether a program without a key used that name in the last 30 days."""
        with self._writing() as age:
            return self._is_held_in_plain(name, age)

    def _is_held_in_plain(self, name: str, age: float) -> bool:
        held = "SELECT COUNT(*) FROM plain WHERE name = ? AND used > ?"
        return bool(self._db.execute(held, (fold(name), age - HELD)).fetchone()[0])

    # Writing ---------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Note how old the file is, and drop what has lapsed."""
        with self._writing() as age:
            self._db.execute(
                "DELETE FROM pin WHERE how = ? AND NOT is_used AND used <= ?", (How.SEEN.value, age - LAPSE)
            )
            self._db.execute("DELETE FROM plain WHERE used <= ?", [age - HELD])

    def claim(self, pin: Pin, address: str) -> Pin | None:
        """Pin a name that nobody has, for who comes from that address; the pin that there is now, perhaps another.

        None: that address has claimed too many names, or another process saw the name used in plain.
        """
        with self._writing() as age:
            before = self.pin_of(pin.name)
            if before is not None:
                return before
            if self._is_held_in_plain(pin.name, age):
                return None
            self._db.execute("DELETE FROM claim WHERE age <= ?", [age - HOUR])
            count = "SELECT COUNT(*) FROM claim WHERE address = ?"
            if self._db.execute(count, [address]).fetchone()[0] >= PER_HOUR:
                return None
            self._db.execute(INSERT["claim"], (address, age))
            self._db.execute(INSERT["first_pin"], _row(pin, age))
            return self.pin_of(pin.name)

    def use(self, pin: Pin) -> None:
        """A pinned name was used."""
        with self._writing() as age:
            self._db.execute(
                "UPDATE pin SET used = ?, is_used = is_used OR ? WHERE name = ? AND key = ?",
                (age, pin.is_used, fold(pin.name), pin.key),
            )

    def accept(self, name: str, key: bytes) -> None:
        """People compared that key, and approve it."""
        before = self.pin_of(name)
        spelt = before.name if before is not None else name
        self.put(Pin(spelt, key, How.APPROVED, moment().wall, is_used=True))

    def put(self, pin: Pin) -> None:
        """People decided for that key: it has the name, held in plain or not, and nothing is refused it."""
        with self._writing() as age:
            self._db.execute(INSERT["pin"], _row(pin, age))
            self._db.execute("DELETE FROM plain WHERE name = ?", [fold(pin.name)])
            self._db.execute("DELETE FROM refused WHERE name = ?", [fold(pin.name)])

    def put_back(self, pin: Pin) -> None:
        """A pin of before the file was made again."""
        with self._writing():
            self._db.execute(INSERT["first_pin"], _row(pin, pin.used))

    def drop(self, name: str) -> None:
        """That name has no key, and nothing is refused it."""
        with self._writing():
            self._db.execute("DELETE FROM pin WHERE name = ?", [fold(name)])
            self._db.execute("DELETE FROM refused WHERE name = ?", [fold(name)])

    def revoke(self, key: bytes) -> None:
        """That key never returns."""
        with self._writing():
            self._db.execute(INSERT["revoked"], (key, moment().wall))
            self._db.execute("DELETE FROM refused WHERE key = ?", [key])

    def use_in_plain(self, name: str) -> None:
        """A program without a key used that name."""
        with self._writing() as age:
            self._db.execute(INSERT["plain"], (fold(name), age))

    def refuse(self, refused: Refused, gone: list[tuple[str, bytes]]) -> None:
        """Remember a refusal, and none of those any more."""
        with self._writing():
            row = (fold(refused.name), refused.name, refused.key, refused.what, refused.host, refused.since)
            self._db.execute(INSERT["refused"], row)
            self._db.executemany("DELETE FROM refused WHERE name = ? AND key = ?", gone)


def _row(pin: Pin, age: float) -> tuple[object, ...]:
    return fold(pin.name), pin.name, pin.key, pin.how.value, pin.since, age, pin.is_used


def _pin(spelt: str, key: bytes, how: str, since: float, used: float, is_used: int) -> Pin:
    return Pin(spelt, key, How(how), since, used, bool(is_used))
