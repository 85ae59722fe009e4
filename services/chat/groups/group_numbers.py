"""Numbers that this server gives to the messages of its groups: a group's messages are in the order of these.

Each is greater than all before, also those of earlier processes: a start is counted in the file, on disk before the
first number is given. A message that comes again has the number that it had, or its members would have it at two
places. So the numbers of the latest messages are in a file that is mapped into memory: it outlives the process, not
a power cut, as the keys of delivered messages do (deduplication/delivered_keys.py).
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path
from typing import Final

from parley.services.chat.message.model import Key

NAME: Final = "group.numbers"
BUCKETS: Final = 1 << 14
"""Of four messages each: about the last 65,000, in 1.5 MiB."""
HEAD: Final = 4096
"""Bytes before the buckets: the count of starts, on a page of its own."""
COUNT_BITS: Final = 36
"""Of a number: messages of one process; the bits above count the starts."""
_PER_BUCKET: Final = 4
_START: Final = struct.Struct("<Q")
_BUCKET: Final = struct.Struct("<" + "16sQ" * _PER_BUCKET)
_FIRST: Final = struct.Struct("<Q").unpack_from
SIZE: Final = HEAD + BUCKETS * _BUCKET.size
_MINUTE: Final = 60.0


class GroupNumbers:
    """The numbers of one server's groups."""

    def __init__(self, table: mmap.mmap | bytearray, *, least: int = 0) -> None:
        """`table`: a head, and whole buckets. `least`: the start counts as no lower, as where the file was lost."""
        self._table = table
        self._buckets = (len(table) - HEAD) // _BUCKET.size
        start: int = max(_START.unpack_from(table)[0] + 1, least)
        _START.pack_into(table, 0, start)
        if isinstance(table, mmap.mmap):
            table.flush(0, HEAD)
        self._last: int = start << COUNT_BITS

    @classmethod
    def open(cls, directory: Path) -> GroupNumbers:
        """Open, or make, `directory`/group.numbers. Without room for it numbers are known to this process only.

        Its starts count from the minutes of the clock, so that a new file in place of a lost one goes on behind it.
        """
        minutes = max(0, int(time.time() / _MINUTE))
        try:
            descriptor = os.open(directory / NAME, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, SIZE)  # else a full disk would end the process
                return cls(mmap.mmap(descriptor, SIZE), least=minutes)
            finally:
                os.close(descriptor)
        except OSError:
            return cls(bytearray(SIZE), least=minutes)

    def of(self, key: Key) -> int:
        """The number of a message; one that is not known, or has no key, is given the next."""
        if not key:
            self._last += 1
            return self._last
        place = HEAD + _FIRST(key)[0] % self._buckets * _BUCKET.size
        bucket = _BUCKET.unpack_from(self._table, place)
        if key in bucket:
            return int(bucket[bucket.index(key) + 1])
        self._last += 1
        _BUCKET.pack_into(self._table, place, key, self._last, *bucket[:-2])
        return self._last

    def close(self) -> None:
        """Unmap the file; the system writes it."""
        if isinstance(self._table, mmap.mmap):
            self._table.close()
