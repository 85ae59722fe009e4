"""Tables of who has how much in the archive (shares.py), kept in its file: one in all, and one for each day.

They are written once in a while, with the number of the last record that is counted in them. What came behind that
is counted at the next start, a step at a time, and so is all of an archive that an earlier Parley made. A day that
is removed is taken out of the table of all.
"""

from __future__ import annotations

import secrets
import sqlite3
import zlib
from array import array
from collections.abc import Iterable
from typing import Final

from parley.services.chat.archive import storage
from parley.services.chat.archive.shares import Holder, Shares, empty_sizes
from parley.services.chat.storage.quotas import WIDTH

STEP: Final = 1 << 20
"""Bytes of records that are counted in one step."""
ALL: Final = -1
"""In place of a day: the table of all."""


class Usage:
    """The tables of one archive; for the file's one writer."""

    def __init__(self, db: sqlite3.Connection, server_id: str, last: int) -> None:
        """`last`: the last record there is."""
        self._db = db
        self.shares = Shares(server_id, self._seed())
        until, sizes = self._saved()
        self.shares.tally.add_sizes(sizes, 1)
        self._until, self._last = until, last
        """Records are counted up to the one, and then from behind the other: that was the last one at the start."""
        self._counted = last
        self._days: dict[int, array[int]] = {}
        """The tables of days that were counted in, until they are saved."""
        self.forget_days()

    def _seed(self) -> bytes:
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('shares', ?)", (secrets.token_bytes(32),))
        return bytes(self._db.execute("SELECT value FROM meta WHERE name = 'shares'").fetchone()[0])

    def _saved(self) -> tuple[int, array[int]]:
        """The last record that was counted in the saved table of all, and that; none is used that is not whole."""
        rows = {
            day: (until, sizes) for day, until, sizes in self._db.execute("SELECT day, until, sizes FROM usage")
        }
        try:
            for _until, sizes in rows.values():
                _unpacked(sizes)
            until, sizes = rows[ALL]
        except (KeyError, ValueError):
            self._db.execute("DELETE FROM usage")
            return 0, empty_sizes()
        return until, _unpacked(sizes)

    @property
    def is_behind(self) -> bool:
        """Whether there are records from before the start that are not counted."""
        return self._until < self._last

    def step(self) -> None:
        """Count some of them."""
        records = storage.read_chunks(self._db, self._until, STEP)
        for record in records:
            if record.number <= self._last and record.is_whole:
                self.shares.count(self.shares.held_in(record.body), self._day(record.day))
        self._until = min(records[-1].number, self._last) if records else self._last

    def wrote(self, day: int, held: Iterable[dict[Holder, int]], last: int) -> None:
        """Records up to that one were written; of them somebody has so much."""
        sizes = self._day(day)
        for each in held:
            self.shares.count(each, sizes)
        self._counted = last

    def _day(self, day: int) -> array[int]:
        sizes = self._days.get(day)
        if sizes is None:
            row = self._db.execute("SELECT sizes FROM usage WHERE day = ?", (day,)).fetchone()
            sizes = self._days[day] = _unpacked(row[0]) if row else empty_sizes()
        return sizes

    def save(self) -> None:
        """Write the tables, unless those of before the start are not whole yet."""
        if self.is_behind or not self._days:
            return
        rows = [(day, 0, _packed(sizes)) for day, sizes in self._days.items()]
        rows.append((ALL, self._counted, _packed(self.shares.tally.sizes)))
        with storage.transaction(self._db, is_safe=False):
            self._db.executemany("INSERT OR REPLACE INTO usage VALUES (?, ?, ?)", rows)
        self._days.clear()

    def forget_days(self) -> None:
        """Take out what days had that are removed."""
        days = {row[0] for row in self._db.execute("SELECT day FROM day")} | {ALL}
        saved = {row[0] for row in self._db.execute("SELECT day FROM usage")}
        for day in (saved | self._days.keys()) - days:
            self.shares.tally.add_sizes(self._day(day), -1)
            del self._days[day]
            if day in saved:
                self._remove(day)

    def _remove(self, day: int) -> None:
        """Take a saved day out of the saved table of all."""
        rows = self._db.execute("SELECT day, until, sizes FROM usage WHERE day IN (?, ?)", (day, ALL)).fetchall()
        found = {each: (until, _unpacked(sizes)) for each, until, sizes in rows}
        until, sizes = found[ALL]
        for slot, size in enumerate(found[day][1]):
            if size:
                sizes[slot] -= size
        with storage.transaction(self._db, is_safe=False):
            self._db.execute("DELETE FROM usage WHERE day = ?", (day,))
            self._db.execute("INSERT OR REPLACE INTO usage VALUES (?, ?, ?)", (ALL, until, _packed(sizes)))


def _packed(sizes: array[int]) -> bytes:
    return zlib.compress(sizes.tobytes(), 1)


def _unpacked(data: bytes) -> array[int]:
    """A saved table; ValueError: it is none, or of another size."""
    try:
        sizes = array("q", zlib.decompress(data))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(sizes) != 2 * WIDTH:
        raise ValueError(f"a table of {len(sizes)} places")
    return sizes
