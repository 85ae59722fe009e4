"""Keys of messages that were delivered without ever waiting, in a file that is mapped into memory.

A message between two who are online touches no disk, and yet is recognised when its author sends it again after a
restart. Sixteen bytes in a page of the system's cache are written at once, and outlive the process; not a power
cut: after that the recipient's client has to recognise it.

The file is a table of buckets, by the key's value; in a full one the oldest makes room.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final

from parley.services.chat.message.model import Key
from parley.shared.compiled import same_as_compiled

BUCKETS: Final = 1 << 18
"""Of four keys each: about the last million messages, in 16 MiB."""
_PER_BUCKET: Final = 4
_BUCKET: Final = struct.Struct("16s" * _PER_BUCKET)
same_as_compiled(KEYS_PER_BUCKET=_PER_BUCKET)
_FIRST: Final = struct.Struct("<Q").unpack_from


class DeliveredKeys:
    """The last messages that were delivered at once."""

    def __init__(self, table: mmap.mmap | bytearray) -> None:
        """`table` is of whole buckets; the compiled core, too, reads and writes it (deduplication/stored.c)."""
        self.table = table
        self._buckets = len(table) // _BUCKET.size

    @classmethod
    def open(cls, path: Path, buckets: int = BUCKETS) -> DeliveredKeys:
        """Open, or make, the table. OSError where there is no room for it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, buckets * _BUCKET.size)  # else a full disk would end the process
            return cls(mmap.mmap(descriptor, buckets * _BUCKET.size))
        finally:
            os.close(descriptor)

    def __contains__(self, key: Key) -> bool:
        place = _FIRST(key)[0] % self._buckets * _BUCKET.size
        return key in _BUCKET.unpack_from(self.table, place)

    def add(self, key: Key) -> None:
        """A message was delivered."""
        place = _FIRST(key)[0] % self._buckets * _BUCKET.size
        bucket = _BUCKET.unpack_from(self.table, place)
        if key not in bucket:
            _BUCKET.pack_into(self.table, place, key, *bucket[:-1])

    def close(self) -> None:
        """Unmap it; the system writes it."""
        if isinstance(self.table, mmap.mmap):
            self.table.close()
