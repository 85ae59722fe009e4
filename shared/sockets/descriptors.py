"""Reads and writes descriptors as they are found: blocking or not, slow, full, or with nobody at the other end.

A short write is completed, O_NONBLOCK is left as it is (a terminal's is shared with everybody on it), and nothing
half-written stays in a file that is full.
"""

from __future__ import annotations

import os
import select
import stat
from typing import Final

STANDARD_ERROR: Final = 2
PIECE: Final = 4096
"""Bytes that a pipe takes at once where it takes any (POSIX's PIPE_BUF is at least 512, Linux's is this)."""


def is_ready(descriptor: int, event: int = select.POLLOUT, timeout: float | None = 0.0) -> bool:
    """Whether reading or writing would not wait, within `timeout` seconds; None: wait until it is so.

    A fault is something to be read or written, too: it is told at once.
    """
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def write_ready(descriptor: int, data: bytes) -> int:
    """Write what can be written without waiting; how many bytes.

    Raises:
        OSError: nothing could be written; what comes behind a first piece is told by the next call.

    """
    done = 0
    while done < len(data) and is_ready(descriptor):
        try:
            done += os.write(descriptor, data[done : done + PIECE])
        except BlockingIOError:
            break
        except OSError:
            if not done:
                raise
            break
    return done


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, and wait as long as that takes.

    Raises:
        OSError: it cannot be; of a regular file, what was written of it is cut off again.

    """
    view, done = memoryview(data), 0
    while done < len(data):
        try:
            done += os.write(descriptor, view[done:])
        except BlockingIOError:
            is_ready(descriptor, select.POLLOUT, None)
        except OSError:
            take_back(descriptor, done)
            raise


def write_within(descriptor: int, data: bytes, patience: float) -> bool:
    """Write all of it, unless a piece is not taken within `patience` seconds; whether it was.

    Raises:
        OSError: it cannot be written.

    """
    done = 0
    while done < len(data):
        if not is_ready(descriptor, select.POLLOUT, patience):
            return False
        try:
            done += os.write(descriptor, data[done : done + PIECE])
        except BlockingIOError:
            return False
    return True


def take_back(descriptor: int, count: int) -> bool:
    """Cut off the last bytes that we wrote to a regular file, where they are its end; whether they are gone."""
    try:
        found = os.fstat(descriptor)
        end = os.lseek(descriptor, 0, os.SEEK_CUR)
        if not count or not stat.S_ISREG(found.st_mode) or found.st_size != end:
            return False
        os.ftruncate(descriptor, end - count)
        os.lseek(descriptor, end - count, os.SEEK_SET)
    except OSError:
        return False
    return True


def is_file(descriptor: int) -> bool:
    """Whether it is a file, which has all that it will have; an event loop can wait for some of them (FUSE's)."""
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def read_some(descriptor: int, size: int) -> bytes:
    """Read what there is, up to `size` bytes, and wait for the first; nothing at the end.

    Raises:
        OSError: it cannot be read, as a directory.

    """
    while True:
        try:
            return os.read(descriptor, size)
        except BlockingIOError:  # somebody left it non-blocking
            is_ready(descriptor, select.POLLIN, None)


def read_all(descriptor: int) -> bytes:
    """Read to the end. OSError where it cannot be read."""
    pieces = []
    while piece := read_some(descriptor, 1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def fill_standard_streams() -> list[int]:
    """Where a standard stream is closed, no socket may take its number: the event loop would abort. The closed."""
    closed = []
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            closed.append(number)
    return closed
