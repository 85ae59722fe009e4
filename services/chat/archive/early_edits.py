"""Edits that came before their messages: each is kept for the lists in which its message was not, until it comes.

A server tells of a message's deletion in the order in which both ended there, which need not be the order in which
they were written. What an edit may change is judged when its message is put into the list, as for any other edit.

How many are kept is bounded: of one author EDITS, and MOST in all, counted by lists. Where there are more, the
author's oldest are given up, or those who have the most lose theirs. What nobody could still be sent (DAYS) is
given up, too.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Final, NamedTuple

from parley.services.chat.archive.storage import place

EDITS: Final = 64
"""Edits of one author that are kept."""
MOST: Final = 65_536
"""Lists in which edits wait for their messages, counted for each edit."""
LEFT: Final = MOST * 7 // 8
"""So many are left where there were more."""
DAYS: Final = 8
"""Days after which a message comes no more: one waits for a week (`chat.mailbox_ttl`)."""


class GivenUp(NamedTuple):
    """An edit of which nothing comes any more, and in how many lists it waited."""

    place: int
    lists: int


class EarlyEdits:
    """Tables `early` (the edits) and `early_list` (where they wait), and in memory by what each is looked up."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._is_loaded = False
        self._by_begin: dict[int, set[int]] = {}
        """With what a message begins, as a hash → edits of it."""
        self._begins: dict[int, tuple[bytes, int]] = {}
        """Edit → its author, and that hash."""
        self.lists: Final[dict[int, int]] = {}
        """Conversation → how many wait there."""
        self._counts: Counter[bytes] = Counter()
        """Author → in how many lists theirs wait."""
        self._all = 0

    def forget(self) -> None:
        """Hold nothing in memory: the file was changed."""
        self._is_loaded = False

    def load(self) -> list[GivenUp]:
        """Know what is in the file; what is given up, as its day is over, or no message can come any more."""
        if self._is_loaded:
            return []
        self._is_loaded = True
        for each in (self._by_begin, self._begins, self.lists, self._counts):
            each.clear()
        self._all = 0
        self._db.execute("DELETE FROM early WHERE place NOT IN (SELECT place FROM early_list)")
        rows = self._db.execute(
            "SELECT place, author, begin, conversation FROM early JOIN early_list USING (place)"
        )
        for at, author, begin, conversation in rows.fetchall():
            self._count(conversation, at, author, hash(begin))
        first = self._db.execute(
            "SELECT MIN(first) FROM day WHERE day >= (SELECT MAX(day) FROM day) - ?", (DAYS,)
        ).fetchone()[0]
        over = place(first or 0, 0)
        return [self._give_up(at) for at in sorted(self._begins) if at < over]

    def add(self, conversation: int, author: bytes, begin: bytes, content: bytes, at: int) -> list[GivenUp]:
        """Keep an edit for a list; its message begins so, and has that content. What is given up for it."""
        is_new = self._db.execute("INSERT OR IGNORE INTO early_list VALUES (?, ?)", (at, conversation)).rowcount
        if not is_new:
            return []
        self._db.execute("INSERT OR IGNORE INTO early VALUES (?, ?, ?, ?)", (at, author, begin, content))
        self._count(conversation, at, author, hash(begin))
        sql = "SELECT place FROM early WHERE author = ? ORDER BY place DESC LIMIT -1 OFFSET ?"
        found = [self._give_up(row[0]) for row in self._db.execute(sql, (author, EDITS)).fetchall()]
        if self._all > MOST:
            found += self._shrink()
        return found

    def may_be_of(self, begin: int) -> bool:
        """Whether an edit may wait anywhere for a message that begins so, as a hash."""
        return begin in self._by_begin

    def of(self, conversation: int, begin: int, content: bytes) -> list[int]:
        """The edits that wait in a list for a message that begins so and has that content, as they came."""
        found = sorted(self._by_begin.get(begin, ()))
        sql = (
            "SELECT 1 FROM early JOIN early_list USING (place) WHERE place = ? AND conversation = ? AND content = ?"
        )
        return [at for at in found if self._db.execute(sql, (at, conversation, content)).fetchone() is not None]

    def remove(self, conversation: int, at: int) -> None:
        """An edit waits in a list no longer."""
        self._db.execute("DELETE FROM early_list WHERE place = ? AND conversation = ?", (at, conversation))
        self._uncount(conversation, at)
        if self._db.execute("SELECT 1 FROM early_list WHERE place = ?", (at,)).fetchone() is None:
            self._end(at)

    def _count(self, conversation: int, at: int, author: bytes, begin: int) -> None:
        self._by_begin.setdefault(begin, set()).add(at)
        self._begins[at] = author, begin
        self.lists[conversation] = self.lists.get(conversation, 0) + 1
        self._counts[author] += 1
        self._all += 1

    def _uncount(self, conversation: int, at: int) -> None:
        author, _begin = self._begins[at]
        self._counts[author] -= 1
        self.lists[conversation] -= 1
        self._all -= 1
        if not self._counts[author]:
            del self._counts[author]
        if not self.lists[conversation]:
            del self.lists[conversation]

    def _end(self, at: int) -> None:
        self._db.execute("DELETE FROM early WHERE place = ?", (at,))
        _author, begin = self._begins.pop(at)
        self._by_begin[begin].discard(at)
        if not self._by_begin[begin]:
            del self._by_begin[begin]

    def _give_up(self, at: int) -> GivenUp:
        rows = self._db.execute("DELETE FROM early_list WHERE place = ? RETURNING conversation", (at,)).fetchall()
        for (conversation,) in rows:
            self._uncount(conversation, at)
        self._end(at)
        return GivenUp(at, len(rows))

    def _shrink(self) -> list[GivenUp]:
        """Have the authors who have the most lose all of theirs, until few enough are left."""
        found = []
        for author, _count in self._counts.most_common():
            rows = self._db.execute("SELECT place FROM early WHERE author = ?", (author,)).fetchall()
            found += [self._give_up(row[0]) for row in rows]
            if self._all <= LEFT:
                break
        return found
