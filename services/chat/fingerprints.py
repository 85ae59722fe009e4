"""Which messages may be on disk, without a look at the disk. Pure.

The first 64 of the 128 bits of each message's key, in 8 bytes each. What is not here is not on disk. What is here
is looked for there by its whole key: it may be another, or have been trimmed since the last `renew`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final

from services.chat.mailbox import Key

NEW: Final = 100_000
"""So many are held in a set, at some 60 bytes each, before they are sorted into 8."""


class Fingerprints:
    """What is on disk, and what is on its way there."""

    def __init__(self) -> None:
        self.sorted: list[array[int]] = []
        self.recent: set[int] = set()
        """The compiled core reads both (shared/core/recall.c)."""

    def __len__(self) -> int:
        return sum(map(len, self.sorted)) + len(self.recent)

    def __contains__(self, fingerprint: int) -> bool:
        if fingerprint in self.recent:
            return True
        for numbers in self.sorted:
            at = bisect_left(numbers, fingerprint)
            if at < len(numbers) and numbers[at] == fingerprint:
                return True
        return False

    def add(self, fingerprint: int) -> None:
        """A message goes to the disk."""
        self.recent.add(fingerprint)
        if len(self.recent) >= NEW:
            self.mark()

    def mark(self) -> int:
        """Sort what there is; what `renew` takes, which replaces all up to here."""
        self.sorted.append(array("q", sorted(self.recent)))
        self.recent = set()
        return len(self.sorted)

    def renew(self, mark: int, numbers: array[int]) -> None:
        """Take these, sorted, for all that there was at that mark."""
        self.sorted[:mark] = [numbers]


def fingerprint(key: Key) -> int:
    """The first half of a message's key, as SQLite's signed integer."""
    return int.from_bytes(key[:8], "little", signed=True)


def rest(key: Key) -> int:
    """The other half."""
    return int.from_bytes(key[8:], "little", signed=True)
