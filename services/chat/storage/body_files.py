"""Large bodies as files of their own, each named by the SHA-256 of what is in it.

A store that has such files owns a directory of them: the mailbox `chat.bodies`, the archive `archive.bodies`. A
body that both have is one file with a name in each (a hard link), so neither needs to know of the other, and the
bytes go with the last name. Where the file system cannot link, each has a copy.

    written    under another name, synced, then named; `sync` makes the names safe, before a record refers to them
    ended      its name goes once no record refers to it
    read       what is not what its name says (torn by a power cut, or by a disk) counts as gone, and is counted
    started    `sweep`: names that no record refers to go; a crash between file and record leaves such

One thread calls what changes a directory; any may read.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

from parley.shared.directories import make_directory, sync_directory

MAILBOX: Final = "chat.bodies"
ARCHIVE: Final = "archive.bodies"
HANDED: Final = "new"
"""The part of the archive's directory in which it is given files: whoever writes the mailbox puts them there."""
JOURNAL: Final = "archive.journal"
"""The directory of what the archive does not have yet: what is left in it may name files in `new`."""
TAKEN_WITHIN: Final = 60.0
"""Seconds within which they are taken there, also by a process that outlived its chat."""
DIGEST: Final = 32
"""Bytes of a name, which is written in hexadecimal digits."""
_UNFINISHED: Final = ".part"


class BodyFiles:
    """One store's directory of them; it is made with the first one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.count = self.size = 0
        """How many there are, and their bytes; `sweep` counts those from before."""
        self.torn = 0
        """How many were read and are not what their names say."""
        self._verified: set[bytes] = set()
        """Of those that are there, the ones that were seen to be what their names say."""
        self._unnamed: dict[bytes, Path] = {}
        """Written, and not named."""
        self._is_unsafe = False
        self._is_made = False

    @property
    def figures(self) -> tuple[int, int, int]:
        """How many there are, their bytes, and how many were torn."""
        return self.count, self.size, self.torn

    def path(self, digest: bytes) -> Path:
        """Where the body of a digest is, if it is there."""
        return self.directory / digest.hex()

    # Writing, by one thread -------------------------------------------------------------------

    def put(self, content: bytes, digest: bytes = b"") -> bytes:
        """Write a body, that is there once `sync` has named it; its digest, if that is not known. OSError."""
        digest = digest or sha256(content).digest()
        if digest in self._unnamed or (digest in self._verified and self.path(digest).exists()):
            return digest
        self._make()
        self._unnamed[digest] = _written(self.path(digest), content)
        return digest

    def hand(self, content: bytes, digest: bytes, directory: Path) -> bytes:
        """Have a body be in another directory, for whoever takes it there; its digest. OSError."""
        digest = digest or sha256(content).digest()
        _make(directory)
        if digest in self._verified:
            with contextlib.suppress(OSError):  # it is gone here, or cannot be linked
                os.link(self.path(digest), directory / digest.hex())
                return digest
        path = directory / digest.hex()
        if not path.exists():
            unfinished = _written(path, content)
            _sync(unfinished)
            unfinished.replace(path)
        return digest

    def take(self, digest: bytes, directory: Path) -> bool:
        """Have what was handed over in a directory be here, too; False: it is in neither. OSError."""
        self._make()
        if self.path(digest).exists():
            return True
        try:
            os.link(directory / digest.hex(), self.path(digest))
        except FileNotFoundError:
            return False
        except OSError:
            content = BodyFiles(directory).read(digest)
            if content is None:
                return False
            self.put(content, digest)
            return True
        self._added(digest)
        return True

    def end_handing(self, digests: Iterable[bytes]) -> None:
        """These are here for good: they need their names among what is handed over no more."""
        for digest in digests:
            (self.directory / HANDED / digest.hex()).unlink(missing_ok=True)

    def _named(self, before: Path, digest: bytes) -> None:
        """Give a file its name here, in place of one that may be torn."""
        path = self.path(digest)
        there = _size_of(path)
        before.replace(path)
        if there is not None:
            self.count, self.size = self.count - 1, self.size - there
        self._added(digest)

    def _added(self, digest: bytes) -> None:
        self.count, self.size = self.count + 1, self.size + self.path(digest).stat().st_size
        self._verified.add(digest)
        self._is_unsafe = True

    def sync(self) -> None:
        """Name what was put, and make it and the names safe: together, with fewer steps of the disk. OSError."""
        for path in self._unnamed.values():
            _sync(path)
        while self._unnamed:
            digest, path = self._unnamed.popitem()
            self._named(path, digest)
        if self._is_unsafe:
            sync_directory(self.directory)
            self._is_unsafe = False

    def drop(self, digests: Iterable[bytes]) -> None:
        """Have these not be here; what other directories have of them stays."""
        for digest in digests:
            path = self.path(digest)
            size = _size_of(path)
            self._verified.discard(digest)
            if digest in self._unnamed:
                self._unnamed.pop(digest).unlink(missing_ok=True)
            if size is not None:
                path.unlink(missing_ok=True)
                self.count, self.size = self.count - 1, self.size - size

    def sweep(self, known: Collection[bytes], seconds: float = 0.0) -> int:
        """Remove what no record refers to, and was there for so long; count the rest. How many were removed."""
        self.count = self.size = removed = 0
        with contextlib.suppress(OSError), os.scandir(self.directory) as found:  # the next start may
            for each in found:
                if not each.is_file(follow_symlinks=False):
                    continue
                is_young = seconds > 0.0 and time.time() - each.stat().st_ctime < seconds
                if _digest_of(each.name) in known or is_young:
                    self.count, self.size = self.count + 1, self.size + each.stat().st_size
                else:
                    Path(each.path).unlink(missing_ok=True)
                    removed += 1
        return removed

    def _make(self) -> None:
        if not self._is_made:
            _make(self.directory)
            self._is_made = True

    # Reading, by any thread -------------------------------------------------------------------

    def read(self, digest: bytes) -> bytes | None:
        """Read a body; None: it is gone, or is not what its name says."""
        try:
            content = self.path(digest).read_bytes()
        except OSError:
            return None
        if digest not in self._verified:
            if sha256(content).digest() != digest:
                self.torn += 1
                return None
            self._verified.add(digest)
        return content

    def beginning(self, digest: bytes, size: int) -> bytes:
        """Read its first bytes, which nobody has verified; empty: it is gone."""
        try:
            with self.path(digest).open("rb", buffering=0) as file:
                return file.read(size)
        except OSError:
            return b""


def _make(directory: Path) -> None:
    if not directory.is_dir():
        make_directory(directory, 0o700)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written(path: Path, content: bytes) -> Path:
    """Write a file that is to have that name, for its owner alone, under another one. OSError."""
    unfinished = path.with_suffix(_UNFINISHED)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return unfinished


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _digest_of(name: str) -> bytes:
    """The digest that a name is; empty: it is none."""
    try:
        found = bytes.fromhex(name)
    except ValueError:
        return b""
    return found if len(found) == DIGEST and found.hex() == name else b""
