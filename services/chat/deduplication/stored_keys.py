"""Stored keys: which messages may be on disk, without a look at the disk. Pure.

The first 64 of the 128 bits of each message's key, in 8 bytes each. A key that is not here is not on disk. One
that is here is looked for there whole: it may be another, or have been trimmed since the last `renew`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from struct import Struct
from typing import Final

from parley.services.chat.message.model import Key
from parley.shared.compiled import same_as_compiled

PART_BITS: Final = 12
"""Bits of a fingerprint that tell in which part of a table it is (shared/core/deduplication/stored.h, too)."""
same_as_compiled(PART_BITS=PART_BITS)
PARTS: Final = 1 << PART_BITS
_SHIFT: Final = 64 - PART_BITS
_MASK: Final = PARTS - 1

Table = list["array[int]"]
"""Sorted numbers of eight bytes, in PARTS parts: keys are hashes, so each part has about as many as any other.

So one more is put in its place at once, and nobody ever waits while many are sorted.
"""
_FIRST: Final = Struct("<q").unpack_from


def empty_table() -> Table:
    """A table in which there is nothing."""
    return [array("q") for _ in range(PARTS)]


def table_of(runs: Iterable[array[int]]) -> Table:
    """A table of all these; each run is sorted."""
    table = empty_table()
    for numbers in runs:
        start = 0
        for part in range(-PARTS // 2, PARTS // 2):
            end = bisect_left(numbers, (part + 1) << _SHIFT, start)
            table[part & _MASK].extend(numbers[start:end])
            start = end
    return [array("q", sorted(numbers)) for numbers in table]


class StoredKeys:
    """The keys of messages that are on disk or being written."""

    def __init__(self) -> None:
        self.tables: list[Table] = [empty_table()]
        """Of what is to be renewed, and of what came since. The core reads them (shared/core/deduplication/)."""

    def __len__(self) -> int:
        return sum(len(numbers) for table in self.tables for numbers in table)

    def __contains__(self, fingerprint: int) -> bool:
        part = fingerprint >> _SHIFT & _MASK
        for table in self.tables:
            numbers = table[part]
            at = bisect_left(numbers, fingerprint)
            if at < len(numbers) and numbers[at] == fingerprint:
                return True
        return False

    def add(self, fingerprint: int) -> None:
        """A message goes to the disk."""
        numbers = self.tables[-1][fingerprint >> _SHIFT & _MASK]
        at = bisect_left(numbers, fingerprint)
        if at == len(numbers) or numbers[at] != fingerprint:
            numbers.insert(at, fingerprint)

    def mark(self) -> int:
        """Have what comes from now on in a table of its own; what `renew` takes, which replaces all up to here."""
        self.tables.append(empty_table())
        return len(self.tables) - 1

    def renew(self, mark: int, table: Table) -> None:
        """Take this for all that there was at that mark."""
        self.tables[:mark] = [table]


def fingerprint(key: Key) -> int:
    """The first half of a message's key, as SQLite's signed integer."""
    return _FIRST(key)[0] if key else 0


def rest(key: Key) -> int:
    """The other half."""
    return int.from_bytes(key[8:], "little", signed=True)
