"""A disk as it may be after a power cut. Pure, but for the directory that is written at the end.

What was synced is there. Of the rest of a file each page of 4 KiB is as it was after some of its changes, or torn
between two of them at a sector; its size is one that it had. Of the changes of a directory since it was synced each
may be missing: a file whose name was never made safe is gone, whatever was synced in it. (POSIX leaves that open; a
file system may promise more, and SQLite asks for no more.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random
from typing import Final

from tests.power.journal import PAGE, Op, Record

SECTOR: Final = 512
TORN: Final = 0.2
"""How often a page is torn, where it can be."""
REMADE: Final = ("-shm",)
"""Ends of names of files that are made again after a cut: SQLite's index of a journal."""


class Luck(Enum):
    """What becomes of that which was not synced."""

    NOTHING = "nothing of it is there"
    ALL = "all of it is there"
    NAMES = "names are there, and no data"
    DATA = "data is there, and no name"
    ORDERED = "some pages, and names up to some moment"
    ANY = "some pages, and some names"


@dataclass(frozen=True)
class _Change:
    """One of a file: data at a place, or its size."""

    offset: int
    """Of its record in the journal."""
    at: int
    data: bytes = b""
    size: int | None = None
    is_at_least: bool = False

    def resized(self, size: int) -> int:
        if self.size is None:
            return max(size, self.at + len(self.data))
        return max(size, self.size) if self.is_at_least else self.size


@dataclass
class _File:
    """A file: what is safe of it, and what came since."""

    safe: bytearray = field(default_factory=bytearray)
    changes: list[_Change] = field(default_factory=list)

    def sync(self, before: int) -> None:
        """What came before that place of the journal is safe."""
        done = [change for change in self.changes if change.offset < before]
        self.changes = self.changes[len(done) :]
        for change in done:
            size = change.resized(len(self.safe))
            del self.safe[size:]
            self.safe.extend(bytes(size - len(self.safe)))
            self.safe[change.at : change.at + len(change.data)] = change.data

    def after_cut(self, luck: Luck, random: Random) -> bytes:
        """What a cut leaves of it."""
        if luck in (Luck.NOTHING, Luck.NAMES) or not self.changes:
            return bytes(self.safe)
        if luck in (Luck.ALL, Luck.DATA):
            whole = _File(bytearray(self.safe), self.changes)
            whole.sync(self.changes[-1].offset + 1)
            return bytes(whole.safe)
        sizes = [len(self.safe)]
        for change in self.changes:
            sizes.append(change.resized(sizes[-1]))
        size = random.choice(sizes)
        found = bytearray(self.safe[:size].ljust(size, b"\0"))
        for at, ends in self._pages(size).items():
            versions = [0, *ends]
            chosen = random.randrange(len(versions))
            page = self._page(at, versions[chosen])
            if chosen and random.random() < TORN:
                older = self._page(at, versions[chosen - 1])
                cut = random.randrange(1, PAGE // SECTOR) * SECTOR
                page = older[:cut] + page[cut:] if random.random() < 0.5 else page[:cut] + older[cut:]
            found[at : at + PAGE] = page[: size - at]
        return bytes(found)

    def _pages(self, size: int) -> dict[int, list[int]]:
        """Pages that changed, each with how many changes there were when it did."""
        pages: dict[int, list[int]] = {}
        for count, change in enumerate(self.changes, 1):
            if change.size is None:
                end = change.at + len(change.data)
                for at in range(change.at // PAGE * PAGE, min(end, size), PAGE):
                    pages.setdefault(at, []).append(count)
            elif not change.is_at_least:
                for at in range(change.size // PAGE * PAGE, min(len(self.safe), size), PAGE):
                    pages.setdefault(at, []).append(count)
        return pages

    def _page(self, at: int, count: int) -> bytes:
        """A page after the first `count` changes of the file."""
        page = bytearray(self.safe[at : at + PAGE].ljust(PAGE, b"\0"))
        for change in self.changes[:count]:
            if change.size is not None:
                if not change.is_at_least and change.size < at + PAGE:
                    kept = max(change.size - at, 0)
                    page[kept:] = bytes(PAGE - kept)
                continue
            start, end = max(change.at, at), min(change.at + len(change.data), at + PAGE)
            if start < end:
                page[start - at : end - at] = change.data[start - change.at : end - change.at]
        return bytes(page)


@dataclass
class _Directory:
    """A directory: its names that are safe, those of now, and what was done since."""

    safe: dict[str, _File | _Directory] = field(default_factory=dict)
    now: dict[str, _File | _Directory] = field(default_factory=dict)
    changes: list[tuple[int, str, _File | _Directory | None]] = field(default_factory=list)
    """(its record's place, name, what it names since)."""

    def set(self, offset: int, name: str, what: _File | _Directory | None) -> None:
        self.changes.append((offset, name, what))
        _name(self.now, name, what)

    def sync(self, before: int) -> None:
        for offset, name, what in self.changes:
            if offset < before:
                _name(self.safe, name, what)
        self.changes = [change for change in self.changes if change[0] >= before]

    def after_cut(self, is_there: Callable[[int], bool]) -> dict[str, _File | _Directory]:
        found = dict(self.safe)
        for offset, name, what in self.changes:
            if is_there(offset):
                _name(found, name, what)
        return found


def _name(names: dict[str, _File | _Directory], name: str, what: _File | _Directory | None) -> None:
    if what is None:
        names.pop(name, None)
    else:
        names[name] = what


class Disk:
    """The files below a directory, as a journal's records tell of them.

    `base`: what was there before, and is safe.
    """

    def __init__(self, root: Path, base: Path | None = None) -> None:
        self._root = str(root.resolve())
        self._top = _Directory()
        self._nodes: dict[int, _File | _Directory] = {root.stat().st_ino: self._top}
        if base is not None:
            _take(self._top, base)

    def apply(self, record: Record) -> None:
        """The next step."""
        if record.op is Op.NOTE:
            return
        *_, name = record.names
        parent, last = self._parent(name)
        if record.op is Op.SYNC:
            if (node := self._node(record)) is not None:
                node.sync(record.value)
        elif record.op in (Op.CREATED, Op.MKDIR):
            made = self._nodes[record.inode] = _File() if record.op is Op.CREATED else _Directory()
            parent.set(record.offset, last, made)
        elif record.op in (Op.UNLINK, Op.RMDIR):
            parent.set(record.offset, last, None)
        elif record.op in (Op.RENAME, Op.LINK):
            old_parent, old = self._parent(record.names[0])
            parent.set(record.offset, last, old_parent.now[old])
            if record.op is Op.RENAME:
                old_parent.set(record.offset, old, None)
        else:
            self._change(record)

    def _change(self, record: Record) -> None:
        file = self._node(record)
        if not isinstance(file, _File):
            return
        if record.op is Op.WRITE:
            file.changes.append(_Change(record.offset, record.value, record.data))
        else:
            is_at_least = record.op is Op.ALLOCATE
            file.changes.append(_Change(record.offset, 0, size=record.value, is_at_least=is_at_least))

    def _node(self, record: Record) -> _File | _Directory | None:
        """What a record is of; None: a file without a name, that was there before."""
        if record.inode not in self._nodes:
            parent, last = self._parent(record.names[0])
            found = parent.now.get(last)
            if found is None:
                return None
            self._nodes[record.inode] = found
        return self._nodes[record.inode]

    def _parent(self, path: str) -> tuple[_Directory, str]:
        *parts, last = path.removeprefix(self._root).strip("/").split("/")
        at = self._top
        for part in parts:
            found = at.now[part]
            assert isinstance(found, _Directory), path
            at = found
        return at, last

    def write(self, target: Path, luck: Luck, random: Random) -> None:
        """Make `target`, which is not there yet, a directory as a power cut now may leave it."""
        offsets = sorted(_offsets(self._top))
        if luck is Luck.ORDERED:
            last = random.choice([-1, *offsets])
            there = {offset for offset in offsets if offset <= last}
        elif luck is Luck.ANY:
            there = {offset for offset in offsets if random.random() < 0.5}
        else:
            there = set(offsets) if luck in (Luck.ALL, Luck.NAMES) else set()
        _write(target, self._top, luck, random, there.__contains__)


def _offsets(directory: _Directory) -> set[int]:
    found = {offset for offset, _, _ in directory.changes}
    inside = [*directory.safe.values(), *(what for _, _, what in directory.changes)]
    for node in inside:
        if isinstance(node, _Directory):
            found |= _offsets(node)
    return found


def _write(
    target: Path, directory: _Directory, luck: Luck, random: Random, is_there: Callable[[int], bool]
) -> None:
    target.mkdir(mode=0o700)
    for name, node in sorted(directory.after_cut(is_there).items()):
        if name.endswith(REMADE):
            continue
        if isinstance(node, _Directory):
            _write(target / name, node, luck, random, is_there)
        else:
            path = target / name
            path.touch(mode=0o600)
            content = node.after_cut(luck, random)
            with path.open("r+b") as file:
                file.truncate(len(content))
                for at in _filled(content):  # a file of zeros takes no room
                    file.seek(at)
                    file.write(content[at : at + PAGE])


def _filled(content: bytes) -> Iterable[int]:
    """Where the pages begin in which there is anything."""
    empty = bytes(PAGE)
    return (at for at in range(0, len(content), PAGE) if content[at : at + PAGE] != empty[: len(content) - at])


def _take(directory: _Directory, path: Path) -> None:
    for each in path.iterdir():
        if each.is_dir():
            found: _File | _Directory = _Directory()
            assert isinstance(found, _Directory)
            _take(found, each)
        else:
            found = _File(bytearray(each.read_bytes()))
        directory.safe[each.name] = directory.now[each.name] = found
