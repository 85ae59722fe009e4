"""How a segment of the journal looks, and what is left in some of a process that was killed. Pure.

    magic 8 · session 8 · boot 16 · base 8 · clock 8 · used 8 · 0 (8) · entries, `used` bytes of them

All numbers have their lowest byte first. `base` is the position of the first entry: all bytes of a journal are
counted, and where a chunk ends is its number to the archive's process. `clock` (a double, seconds) makes Unix time
of an entry's `when`, and `session` is the archive's word for one journal. The compiled core appends entries, too
(shared/core/fast_path/collected.c): an entry first, then `used`, so that who is killed in between leaves none half.

Beside the archive's entries there are three kinds that are the journal's alone:

    MARK     ends a chunk; its key has the CRC-32 of all bytes since the mark before it in this segment
    AWAITED  a large message stands here, once its file is there
    FOUND    the position of an AWAITED entry (8 bytes), and the whole entry in its place

What the same boot of the machine wrote is whole. After a power cut any page may be old: then only what has a mark
behind it counts.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

from parley.services.chat.archive.entries import HEAD, NO_STATUS, entry_bytes
from parley.shared.compiled import same_as_compiled

MAGIC: Final = b"parleyj1"
LAYOUT: Final = Struct("<8sQ16sQdQQ")
USED: Final = 48
"""Where `used` stands."""
_USED: Final = Struct("<Q")
RESERVE: Final = HEAD.size
"""Bytes that are left at the end of a segment, for its last mark."""
MARK: Final = 16
AWAITED: Final = 17
FOUND: Final = 18
WHOLE: Final = 1
"""A mark's `marks`: no entry behind it refers to one before it."""
CHUNK: Final = 256 * 1024
"""Bytes of a chunk that is left, from which on the next mark ends it."""

same_as_compiled(SEGMENT_HEAD=LAYOUT.size, SEGMENT_USED=USED, SEGMENT_RESERVE=RESERVE)


class Head(NamedTuple):
    """The bytes before the entries of a segment."""

    session: int
    boot: bytes
    base: int
    clock: float
    used: int

    def to_bytes(self) -> bytes:
        """Encode it."""
        return LAYOUT.pack(MAGIC, *self, 0)

    @property
    def end(self) -> int:
        """The position behind the last entry."""
        return self.base + self.used


class Left(NamedTuple):
    """A chunk that the last process did not see written."""

    number: int
    entries: bytes
    clock: float


def head_of(data: bytes, size: int) -> Head | None:
    """Read the head of a segment of so many bytes; None: it is none."""
    if len(data) < LAYOUT.size:
        return None
    magic, *found, _ = LAYOUT.unpack_from(data)
    head = Head(*found)
    return head if magic == MAGIC and head.used <= size - LAYOUT.size else None


def used_of(segment: memoryview) -> int:
    """Bytes of entries in a segment."""
    return int(_USED.unpack_from(segment, USED)[0])


def set_used(segment: memoryview, used: int) -> None:
    """Say how many bytes of entries it has."""
    _USED.pack_into(segment, USED, used)


def mark(data: bytes | memoryview, *, is_whole: bool) -> bytes:
    """The mark behind these bytes."""
    return entry_bytes(MARK, WHOLE if is_whole else 0, NO_STATUS, 0.0, zlib.crc32(data).to_bytes(16, "little"))


def found(position: int, entry: bytes) -> bytes:
    """Encode a FOUND entry, for an AWAITED one at that position."""
    return entry_bytes(FOUND, 0, NO_STATUS, 0.0, bytes(16), position.to_bytes(8, "little") + entry)


class _Entry(NamedTuple):
    position: int
    end: int
    kind: int
    marks: int
    clock: float
    raw: bytes


def left_in(segments: Iterable[tuple[Head, bytes]], written: int, boot: bytes) -> list[Left]:
    """The chunks that are left in segments (heads, and the bytes of entries), in order, from position `written` on.

    `boot` is the machine's start now: what another one's segments say beyond their last good mark is not believed.
    """
    believed: list[_Entry] = []
    for head, data in segments:
        if head.end > written:
            trusted = head.used if head.boot == boot and any(boot) else None
            believed += _believed(head, data, max(0, written - head.base), trusted)
    in_place = {int.from_bytes(each.raw[:8], "little"): each.raw[8:] for each in believed if each.kind == FOUND}
    return list(_chunks(believed, in_place))


def _believed(head: Head, data: bytes, begin: int, trusted: int | None) -> list[_Entry]:
    """The entries of a segment from an offset on, as far as they are believed."""
    believed: list[_Entry] = []
    at, since, good = begin, begin, 0
    size, end = HEAD.size, min(head.used, len(data))
    while at + size <= end:
        length, kind, marks, _status, _when, key = HEAD.unpack_from(data, at)
        behind = at + size + length
        if kind == 0 or behind > end:
            break
        is_own = kind in {MARK, AWAITED, FOUND}
        raw = data[at + size : behind] if is_own else data[at:behind]
        believed.append(_Entry(head.base + at, head.base + behind, kind, marks, head.clock, raw))
        if kind == MARK:
            if zlib.crc32(data[since:at]) == int.from_bytes(key, "little"):
                good = len(believed)
            elif trusted is None:
                break
            since = behind
        at = behind
    return believed if trusted is not None else believed[:good]


def _chunks(believed: list[_Entry], in_place: dict[int, bytes]) -> Iterator[Left]:
    parts: list[bytes] = []
    size = 0
    for each in believed:
        if each.kind == AWAITED:
            parts.append(in_place.get(each.position, b""))
        elif each.kind not in {MARK, FOUND}:
            parts.append(each.raw)
        size += each.end - each.position
        if each.kind == MARK and each.marks & WHOLE and size >= CHUNK:
            if entries := b"".join(parts):
                yield Left(each.end, entries, each.clock)
            parts, size = [], 0
    if entries := b"".join(parts):
        yield Left(believed[-1].end, entries, believed[-1].clock)
