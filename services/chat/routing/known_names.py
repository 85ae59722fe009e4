"""Users and servers that messages may be for: tables that have an end, and what is in them in earnest stays. Pure.

Who was here once, and neither wrote nor was written to, is in no group and blocks nobody, is there unused: such
names make room, the longest unused first, where a table or one source's share of it is full, and expire. All others
are never forgotten. Where there is no room left the new is refused, and whoever refuses says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, Generic, TypeVar

LOOKED_AT: Final = 64
"""Unused names that are looked at for one which can go."""

Name = TypeVar("Name")


class KnownNames(Generic[Name]):
    """At most `limit` names, and `share` of that from one source: an address, or a server.

    `is_here` tells who cannot go just now; `forgotten` hears who went.
    """

    def __init__(
        self,
        limit: int = 1_000_000,
        share: float = 1.0,
        *,
        is_here: Callable[[Name], bool] = lambda _name: False,
        forgotten: Callable[[Name], None] = lambda _name: None,
    ) -> None:
        self._limit = limit
        self._share = max(1, int(limit * share))
        self._is_here = is_here
        self._forgotten = forgotten
        self._used: dict[Name, str] = {}
        self.unused: dict[Name, tuple[str, float]] = {}
        """Name → source, and when it was noted (the mailbox's age), the earliest first."""
        self._by_source: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._used) + len(self.unused)

    def __contains__(self, name: object) -> bool:
        return name in self._used or name in self.unused

    def __iter__(self) -> Iterator[Name]:
        yield from self._used
        yield from self.unused

    def source(self, name: Name) -> str:
        """Where it came from first; empty: that is not known."""
        return self._used.get(name) or self.unused.get(name, ("", 0.0))[0]

    def is_used(self, name: Name) -> bool:
        """Whether it is there in earnest."""
        return name in self._used

    def restore(self, name: Name, source: str, at: float, *, used: bool) -> None:
        """A name was known to the last process: it stays, whatever the limits are now."""
        self._put(name, source, at, used=used)

    def may_add(self, name: Name, source: str = "") -> bool:
        """Whether it is known, or there is room, or room can be made."""
        if name in self:
            return True
        if source and self._by_source[source] >= self._share:
            return self._make_room(source)
        return len(self) < self._limit or self._make_room(None)

    def add(self, name: Name, source: str = "", at: float = 0.0, *, used: bool = False) -> bool:
        """Know a name; whether that is new. `may_add` was asked, or it has to be known all the same."""
        if name in self:
            return False
        self._put(name, source, at, used=used)
        return True

    def use(self, name: Name) -> bool:
        """A name is there in earnest from now on; whether that is new."""
        unused = self.unused.pop(name, None)
        if unused is None:
            return False
        self._used[name] = unused[0]
        return True

    def expire(self, before: float) -> int:
        """Forget what has been unused since before that age; how many."""
        gone = []
        for name, (_source, at) in self.unused.items():
            if at >= before:
                break
            if not self._is_here(name):
                gone.append(name)
        for name in gone:
            self._forget(name)
        return len(gone)

    def _put(self, name: Name, source: str, at: float, *, used: bool) -> None:
        if used:
            self._used[name] = source
        else:
            self.unused[name] = source, at
        if source:
            self._by_source[source] += 1

    def _make_room(self, source: str | None) -> bool:
        """Forget one that is unused: of this source, or (None) of any."""
        for name in islice(self._candidates(source), LOOKED_AT):
            if not self._is_here(name):
                self._forget(name)
                return True
        return False

    def _candidates(self, source: str | None) -> Iterator[Name]:
        for name, (of, _at) in list(islice(self.unused.items(), LOOKED_AT * LOOKED_AT)):
            if source is None or of == source:
                yield name

    def _forget(self, name: Name) -> None:
        source, _at = self.unused.pop(name)
        if source:
            self._by_source[source] -= 1
            if not self._by_source[source]:
                del self._by_source[source]
        self._forgotten(name)
