"""How an entry looks, the unit that the archive is told of and keeps. Pure.

    length 4 · kind 1 · marks 1 · status 1 · 0 · when 8 · key 16 · and `length` bytes

All numbers have their lowest byte first. `when` is a double: seconds by this process's monotonic clock, which a
record notes beside them. The compiled core writes the entries of the fast path
(shared/core/fast_path/collected.c), Python all others.

    MESSAGE   the frame of a MESSAGE, as it was sent: its signature stays what it was
    COPY      nothing but whom it was delivered to: `userId`; the message is the one of that key, in the same chunk
    STATUS    nothing: what became of the message of that key
    READ      an encoded ReadMark: how far somebody has read a conversation
    FILED     as MESSAGE, of a large one: its bytes are a file, of which the entry has the digest (filed.py)
    BLANK     a message that was erased: by what it is known if it comes again (`gone_digest`), and zeros
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

from parley.shared.compiled import same_as_compiled
from parley.shared.errors import StorageError

HEAD: Final = Struct("<IBBBxd16s")
MESSAGE: Final = 1
COPY: Final = 2
STATUS: Final = 3
READ: Final = 4
BLANK: Final = 5
FILED: Final = 6
SENT: Final = 1
"""One of our users sent it, and has it in their list."""
RECEIVED: Final = 2
"""It was delivered to one of our users."""
AGAIN: Final = 4
"""It came again, and may stand in the lists from before this process."""
_length: Final = Struct("<I").unpack_from
NO_STATUS: Final = 255
DIGEST: Final = 16
"""Bytes of a digest in a BLANK entry."""

same_as_compiled(ENTRY_HEAD=HEAD.size, ENTRY_MESSAGE=MESSAGE, ENTRY_SENT=SENT, ENTRY_RECEIVED=RECEIVED)


class Entry(NamedTuple):
    """One entry of a chunk."""

    offset: int
    """Bytes before it."""
    kind: int
    marks: int
    status: int
    when: float
    """Seconds, monotonic."""
    key: bytes
    data: bytes


def entry_bytes(kind: int, marks: int, status: int, when: float, key: bytes, data: bytes = b"") -> bytes:
    """Encode one entry; `key` has 16 bytes."""
    return HEAD.pack(len(data), kind, marks, status, when, key) + data


def entries(chunk: bytes, at: int = 0) -> Iterator[Entry]:
    """The entries of a chunk from that offset on.

    Raises:
        StorageError: the bytes end within one.

    """
    size, most = HEAD.size, len(chunk)
    while at < most:
        if at + size > most:
            raise StorageError(f"an entry's head is cut off at {at} of {most} bytes")
        length, kind, marks, status, when, key = HEAD.unpack_from(chunk, at)
        end = at + size + length
        if end > most:
            raise StorageError(f"an entry of {length} bytes is cut off at {at} of {most} bytes")
        yield Entry(at, kind, marks, status, when, key, chunk[at + size : end])
        at = end


def entry_at(chunk: bytes, at: int) -> Entry | None:
    """The entry at an offset; None: there is none."""
    if at >= len(chunk):
        return None
    try:
        return next(entries(chunk, at), None)
    except StorageError:
        return None


def blanked(chunk: bytes, known_by: Mapping[int, Sequence[bytes]]) -> bytes:
    """The same chunk with messages blanked, by offset: all others stand where they stood.

    In place of one's bytes are the digests by which it is known; its key and marks stay.
    """
    changed = bytearray(chunk)
    for offset, digests in known_by.items():
        entry = entry_at(chunk, offset)
        if entry is not None:
            size = len(entry.data)
            data = b"".join(digests)[: size - size % DIGEST].ljust(size, b"\0")
            head = HEAD.pack(size, BLANK, entry.marks, NO_STATUS, 0.0, entry.key)
            changed[offset : offset + HEAD.size + size] = head + data
    return bytes(changed)


def gone_digest(line_key: bytes) -> bytes:
    """By which one person's line of a message is known that was blanked: it tells neither."""
    return blake2b(line_key, digest_size=DIGEST).digest()


def digests_of(data: bytes) -> Iterator[bytes]:
    """The digests in a BLANK entry."""
    for at in range(0, len(data) - DIGEST + 1, DIGEST):
        if not any(digest := data[at : at + DIGEST]):
            return
        yield digest


def divided(chunk: bytes, most: int) -> list[bytes]:
    """A chunk in parts of whole entries, each of `most` bytes unless one entry alone is longer."""
    if len(chunk) <= most:
        return [chunk] if chunk else []
    parts, begin, at, size, all_of_it = [], 0, 0, HEAD.size, len(chunk)
    while at < all_of_it:
        end = at + size + _length(chunk, at)[0]
        if end - begin > most and at > begin:
            parts.append(chunk[begin:at])
            begin = at
        at = end
    parts.append(chunk[begin:])
    return parts


def count(chunk: bytes) -> int:
    """How many entries a chunk has."""
    number, at, size = 0, 0, HEAD.size
    while at < len(chunk):
        at += size + int.from_bytes(chunk[at : at + 4], "little")
        number += 1
    return number
