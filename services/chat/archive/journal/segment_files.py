"""The journal's segments as files in `archive.journal`, mapped into memory: they outlive who fills them.

A segment's blocks are had before it is used: a full disk would end a process that writes into a mapped file. Where
they cannot be had, the segment is in memory alone, and a metric says so.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from parley.services.chat.archive.journal.journal import volatile
from parley.services.chat.archive.journal.segment import LAYOUT, Head, Left, head_of, left_in
from parley.shared.directories import make_directory, sync_directory
from parley.shared.runtime.moments import moment

SESSION: Final = 62
"""Bits of a session's number."""
_CLOCK: Final = Struct("<d")
_CLOCK_AT: Final = 40


class _Found(NamedTuple):
    """A segment of a process before this one."""

    head: Head
    path: Path


class SegmentFiles:
    """Makes segments in a directory, and has those of the process before."""

    def __init__(self, directory: Path, clock: float) -> None:
        """Look what is there; `clock` (seconds) makes Unix time of the monotonic clock's."""
        self._directory = directory
        self._boot = _boot()
        self._clock = clock
        self._files: dict[int, tuple[int, memoryview, mmap.mmap]] = {}
        self._unsynced = False
        """Whether the directory has names that are not safe."""
        found = sorted(self._find(), key=lambda each: each.head.base)
        self._left = deque(found)
        self.session = found[-1].head.session if found else secrets.randbits(SESSION)
        """By which the archive knows these positions."""
        self.end_of_left = found[-1].head.end if found else 0
        """The position behind all that is left."""
        self.why_unusable = ""
        """Why segments are in memory alone; empty: they are not."""
        self.began_unusable: Callable[[str], None] = lambda _why: None
        """Hears of that, once."""

    def _find(self) -> list[_Found]:
        found = []
        with contextlib.suppress(FileNotFoundError):
            for path in self._directory.iterdir():
                head = _head(path)
                if head is not None and head.used:
                    found.append(_Found(head, path))
                else:
                    # Whoever made it was killed before anything stood there: the next one is to have its name.
                    path.unlink(missing_ok=True)
        return found

    def left(self, written: int) -> list[Left]:
        """The chunks of the process before that the archive does not have: its last one was `written`."""
        segments = []
        for head, path in self._left:
            if head.end > written and head.session == self.session:
                with path.open("rb") as file:
                    file.seek(LAYOUT.size)
                    segments.append((head, file.read(head.used)))
        return left_in(segments, written, self._boot)

    def make(self, base: int, size: int) -> memoryview:
        """Make a segment: a file, or where that cannot be, bytes in memory."""
        head = Head(self.session, self._boot, base, self._clock, 0)
        try:
            segment = self._make_file(base, size)
        except OSError as error:
            if not self.why_unusable:
                self.began_unusable(str(error))
            self.why_unusable = str(error)
            return volatile(head, size)
        segment[: LAYOUT.size] = head.to_bytes()
        self.why_unusable = ""
        return segment

    def _make_file(self, base: int, size: int) -> memoryview:
        if not self._directory.is_dir():
            make_directory(self._directory, 0o700)
        path = self._path(base)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            mapped = mmap.mmap(descriptor, size)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        segment = memoryview(mapped)
        self._files[base] = descriptor, segment, mapped
        self._unsynced = True
        return segment

    def _path(self, base: int) -> Path:
        return self._directory / f"{base:016x}"

    def filled(self, base: int) -> None:
        """Leave its pages to the system's cache: they are this process's memory again when they are read."""
        if base in self._files:
            with contextlib.suppress(OSError):
                self._files[base][2].madvise(mmap.MADV_DONTNEED)

    def end(self, base: int) -> None:
        """Nobody needs that one any more."""
        descriptor, segment, _mapped = self._files.pop(base, (-1, None, None))
        if segment is not None:
            with contextlib.suppress(BufferError):  # else it goes with the last who looks at it
                segment.release()
            os.close(descriptor)
            self._path(base).unlink(missing_ok=True)

    def release(self, position: int) -> None:
        """Let go of what the process before left: the archive has it, up to there."""
        while self._left and self._left[0].head.end <= position:
            self._left.popleft().path.unlink(missing_ok=True)

    def set_clock(self, clock: float) -> None:
        """The clock was set."""
        self._clock = clock
        for _descriptor, segment, _mapped in self._files.values():
            _CLOCK.pack_into(segment, _CLOCK_AT, clock)

    def syncing(self) -> Callable[[], None]:
        """Return the work, for another thread, that makes all that stands there now safe from a power cut."""
        descriptors = [os.dup(descriptor) for descriptor, _segment, _mapped in self._files.values()]
        is_new, self._unsynced = self._unsynced, False

        def sync() -> None:
            try:
                for descriptor in descriptors:
                    with contextlib.suppress(OSError):  # the archive's own writes say what is wrong with the disk
                        os.fdatasync(descriptor)
                if is_new:
                    sync_directory(self._directory)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

        return sync

    def close(self) -> None:
        """Leave what is not in the archive to the next process."""
        for descriptor, segment, _mapped in self._files.values():
            with contextlib.suppress(BufferError):
                segment.release()
            os.close(descriptor)
        self._files.clear()


def discard(directory: Path) -> None:
    """Nothing is kept any more: remove what is left there."""
    with contextlib.suppress(FileNotFoundError):
        for path in directory.iterdir():
            path.unlink(missing_ok=True)
        directory.rmdir()


def _head(path: Path) -> Head | None:
    try:
        with path.open("rb") as file:
            return head_of(file.read(LAYOUT.size), path.stat().st_size)
    except OSError:
        return None


def _boot() -> bytes:
    """The machine's start; zeros: not known."""
    try:
        return uuid.UUID(moment().boot).bytes
    except ValueError:
        return bytes(16)
