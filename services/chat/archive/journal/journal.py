"""The journal as chat has it: entries are appended, taken in chunks, and let go once they are in the archive. Pure.

Its segments are whatever `Segments` makes: files that are mapped into memory, or bytes in memory alone where there
can be none. Each byte has a position, which only grows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from parley.services.chat.archive.entries import entry_bytes
from parley.services.chat.archive.journal.segment import (
    AWAITED,
    LAYOUT,
    RESERVE,
    Head,
    found,
    mark,
    set_used,
    used_of,
)

SEGMENT: Final = 1 << 20
"""Bytes of a segment, unless one entry alone has more."""
MOST: Final = 128 * 1024 * 1024
"""Bytes that may be in it and not released; beyond it nothing is appended."""

_HEAD: Final = LAYOUT.size


class Segments(Protocol):
    """Makes segments, and ends them."""

    def make(self, base: int, size: int) -> memoryview:
        """Make an empty one of that size, its head included, whose first entry is at position `base`."""

    def filled(self, base: int) -> None:
        """Nothing more is appended to that one."""

    def end(self, base: int) -> None:
        """Nobody needs that one any more."""


class Volatile:
    """Segments that end with the process."""

    def make(self, base: int, size: int) -> memoryview:
        """Make one."""
        return volatile(Head(0, bytes(16), base, 0.0, 0), size)

    def filled(self, base: int) -> None:
        """It stays where it is."""

    def end(self, base: int) -> None:
        """It goes with the last reference to it."""


def volatile(head: Head, size: int) -> memoryview:
    """An empty segment that is no file."""
    segment = bytearray(size)
    segment[: LAYOUT.size] = head.to_bytes()
    return memoryview(segment)


class _Segment:
    """One that is in use."""

    __slots__ = ("base", "data", "marked", "most", "released")

    def __init__(self, base: int, data: memoryview) -> None:
        self.base = base
        self.data = data
        self.most = len(data) - LAYOUT.size - RESERVE
        """Bytes of entries that it has room for, beside its last mark."""
        self.marked = 0
        """Bytes of entries that have a mark behind them."""
        self.released = 0
        """Bytes of entries that are zeros by now."""

    @property
    def end(self) -> int:
        return self.base + used_of(self.data)

    def read(self, begin: int, end: int) -> memoryview:
        at = LAYOUT.size - self.base
        return self.data[at + begin : at + end]

    def write(self, used: int, entry: bytes) -> None:
        """Put an entry behind the `used` bytes of others: then it counts."""
        at = _HEAD + used
        end = at + len(entry)
        self.data[at:end] = entry
        set_used(self.data, end - _HEAD)


class Journal:
    """Appends entries, and has them until they are released."""

    def __init__(self, segments: Segments | None = None, base: int = 0) -> None:
        """Begin at position `base`."""
        self._makes: Segments = Volatile() if segments is None else segments
        self._segments: deque[_Segment] = deque()
        self._base = base
        self._skipped: deque[tuple[int, int]] = deque()
        """From where to where entries stand that are the journal's own, and in no chunk."""
        self.taken = base
        """The position behind what was taken."""
        self._released = base
        self._last: _Segment | None = None
        self.moved: Callable[[memoryview], None] = lambda _segment: None
        """Hears of each new segment: the compiled core appends to it, too."""

    @property
    def end(self) -> int:
        """The position behind the last entry."""
        return self._base if self._last is None else self._last.end

    @property
    def size(self) -> int:
        """Bytes that were not taken."""
        return self.end - self.taken

    @property
    def unreleased(self) -> int:
        """Bytes that are not released."""
        return self.end - self._released

    def append(self, entry: bytes) -> bool:
        """Append an entry; False: there is no room."""
        return self.append_within(MOST, entry) >= 0

    def append_within(self, most: int, entry: bytes) -> int:
        """Append an entry, if no more than `most` bytes were not taken then; how many were not before it.

        Below 0: there is no room. It is called for each message, so the segment is looked at once.
        """
        last, size = self._last, len(entry)
        if last is None:
            used, was = 0, self._base - self.taken
        else:
            used = used_of(last.data)
            was = last.base + used - self.taken
        if was + size > most:
            return -1
        if last is None or used + size > last.most:
            if not self.make_room(size):
                return -1
            last, used = self._segments[-1], 0
        last.write(used, entry)
        return was

    def make_room(self, size: int) -> bool:
        """Begin another segment, for an entry of that size; False: too much is in it."""
        if self.end - self._released + size > MOST:
            return False
        base = self.end
        if self._last is not None:
            self.mark(is_whole=False)
            base = self._last.end
        data = self._makes.make(base, max(SEGMENT, LAYOUT.size + size + RESERVE))
        before, self._last = self._last, _Segment(base, data)
        self._segments.append(self._last)
        self.moved(data)
        if before is not None:
            self._makes.filled(before.base)
        return True

    def await_file(self, marks: int, status: int, when: float, key: bytes) -> int | None:
        """Append what a large message's entry will stand for; its position. None: there is no room."""
        self.mark(is_whole=False)  # the chunk before it ends here: a mark has to begin where a chunk does
        entry = entry_bytes(AWAITED, marks, status, when, key)
        if not self.append(entry):
            return None
        position = self.end - len(entry)
        self._skip(position, self.end)
        return position

    def put_in_place(self, position: int, entry: bytes) -> None:
        """Note which entry that is, for the process that comes where this one is killed."""
        if self.append(raw := found(position, entry)):
            self._skip(self.end - len(raw), self.end)

    def _skip(self, begin: int, end: int) -> None:
        if self._skipped and self._skipped[-1][1] == begin:
            begin = self._skipped.pop()[0]
        self._skipped.append((begin, end))

    def take(self, end: int) -> list[memoryview]:
        """The archive's entries up to a position, from where they were taken before."""
        begin, parts = self.taken, []
        while begin < end:
            while self._skipped and self._skipped[0][1] <= begin:
                self._skipped.popleft()
            until, behind = end, end
            if self._skipped and self._skipped[0][0] < end:
                until, behind = self._skipped[0]
            parts += self._read(begin, min(until, end))
            begin = behind
        self.taken = max(self.taken, min(begin, end))
        return parts

    def _read(self, begin: int, end: int) -> list[memoryview]:
        parts = []
        for segment in self._segments:
            first, last = max(begin, segment.base), min(end, segment.end)
            if first < last:
                parts.append(segment.read(first, last))
        return parts

    def mark(self, *, is_whole: bool) -> None:
        """Mark what stands there now: it is believed after a power cut, too. `is_whole`: all of it was taken."""
        last = self._last
        if last is None or used_of(last.data) <= last.marked:
            return
        raw = mark(last.read(last.base + last.marked, last.end), is_whole=is_whole)
        last.write(used_of(last.data), raw)
        last.marked = used_of(last.data)
        self._skip(last.end - len(raw), last.end)
        if is_whole:
            self.taken = self.end

    def release(self, position: int) -> None:
        """Let go of all before a position: it is in the archive, or was given up."""
        self._released = max(self._released, position)
        while len(self._segments) > 1 and self._segments[0].end <= position:
            self._makes.end(self._segments.popleft().base)
        first = self._segments[0] if self._segments else None
        if first is not None and first is self._last and first.end <= position:
            # Nothing more comes just now: what was said is not to stand there until something fills the segment.
            at, size = LAYOUT.size + first.released, used_of(first.data) - first.released
            first.data[at : at + size] = bytes(size)
            first.released += size
            first.marked = first.released
        while self._skipped and self._skipped[0][1] <= min(position, self.taken):
            self._skipped.popleft()

    def close(self, position: int) -> None:
        """Append nothing any more; the last segment goes, too, unless something in it is behind that position."""
        self.release(position)
        last = self._last
        if last is not None and last.end <= position:
            self._makes.end(last.base)
