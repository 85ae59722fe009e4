"""The journal that shim.c writes: what was done to files, in order, and notes of who watches it.

Each record is one step of the world: a power cut lies between two of them. Notes are written by the test itself,
when somebody was told something: what stands before a note was done before they were told.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from shutil import which
from typing import Final, NamedTuple

SHIM: Final = Path(__file__).with_name("shim.c")
PAGE: Final = 4096
_HEAD: Final = struct.Struct("<IIdQqII")
_MAGIC: Final = 0x52574F50


class Op(IntEnum):
    """What was done; the first ten are shim.c's."""

    CREATED = 1
    WRITE = 2
    TRUNCATE = 3
    ALLOCATE = 4
    SYNC = 5
    RENAME = 6
    UNLINK = 7
    LINK = 8
    MKDIR = 9
    RMDIR = 10
    NOTE = 11


class Record(NamedTuple):
    """One step. `number` counts them; `offset` is where it stands in the journal."""

    number: int
    offset: int
    op: Op
    when: float
    """Seconds, monotonic."""
    inode: int
    value: int
    """Of WRITE its place in the file; of TRUNCATE and ALLOCATE the size.

    Of SYNC where the journal ended when it began.
    """
    names: tuple[str, ...]
    """Paths; of RENAME and LINK the old one and the new one."""
    data: bytes


class Journal:
    """The journal of one directory, `root`: all processes that run with `environment` write it."""

    def __init__(self, directory: Path, root: Path, delay: float = 0.0) -> None:
        """Begin one in `directory`, which is not below `root`; each fsync takes `delay` seconds.

        Raises:
            RuntimeError: there is no C compiler to make the shim with.

        """
        self.root = root.resolve()
        self.path = directory.resolve() / "journal"
        self.path.write_bytes(b"")
        settings = {"POWER_ROOT": self.root, "POWER_JOURNAL": self.path, "POWER_DELAY": round(delay * 1e6)}
        shim = {"LD_PRELOAD": str(_compiled(directory.resolve()))}
        self.environment: Mapping[str, str] = shim | {name: str(value) for name, value in settings.items()}

    def note(self, text: str) -> None:
        """Somebody was told this, now."""
        self._append(Op.NOTE, 0, 0, b"", text.encode())

    def pages(self, path: Path) -> None:
        """Take the pages of a file that is mapped into memory: as they are, they may be on the disk from now on."""
        try:
            inode = path.stat().st_ino
        except FileNotFoundError:
            return
        with path.open("rb") as file:
            place = 0
            while page := file.read(PAGE):
                if page.count(0) != len(page):
                    self._append(Op.WRITE, inode, place, str(path).encode(), page)
                place += len(page)

    def _append(self, op: Op, inode: int, value: int, name: bytes, data: bytes) -> None:
        head = _HEAD.pack(_MAGIC, op, time.monotonic(), inode, value, len(name), len(data))
        with self.path.open("ab", buffering=0) as file:
            file.write(head + name + data)

    def records(self) -> Iterator[Record]:
        """All so far, in order."""
        raw = self.path.read_bytes()
        at = number = 0
        while at < len(raw):
            magic, op, when, inode, value, name, data = _HEAD.unpack_from(raw, at)
            if magic != _MAGIC:
                raise ValueError(f"{self.path} has no record at {at}")
            start = at + _HEAD.size
            names = tuple(map(os.fsdecode, raw[start : start + name].split(b"\0"))) if name else ()
            end = start + name + data
            yield Record(number, at, Op(op), when, inode, value, names, raw[start + name : end])
            at, number = end, number + 1


def _compiled(directory: Path) -> Path:
    """The shim, compiled. The compiler is the one that the core is built with (deploy/core-tools.sh)."""
    wanted = os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")
    compiler = which(wanted.split()[0]) or which("cc")
    if compiler is None:
        raise RuntimeError("there is no C compiler to make the shim of a power cut with")
    library = directory / "power.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, SHIM, "-lpthread"], check=True)
    return library
