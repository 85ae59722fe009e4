"""By what a message that is on disk is recognised without a look at the disk. Pure.

64 bits of each message's author, number and recipient, in 8 bytes each. What is not here is not on disk; what is
here is there, but for one in 2^64, and but for what was trimmed since the last `renew`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from services.chat.mailbox import Key
from shared.addresses import Recipient, User

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


@lru_cache(maxsize=1 << 16)
def pair_mark(author: User, recipient: Recipient) -> int:
    """What the fingerprints of all messages from one to the other have in common: 64 bits."""
    text = "\0".join((*author, *recipient))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def fingerprint(key: Key) -> int:
    """A message's, as SQLite's signed integer; the same in every process."""
    author, snowflake, recipient = key
    number = pair_mark(author, recipient) ^ snowflake
    return number - (1 << 64) if number >> 63 else number
