"""What a power cut leaves: all that was synced, and of the rest anything (tests/power/disk.py)."""

from random import Random

import pytest

from tests.power.disk import Disk, Luck
from tests.power.journal import PAGE, Op, Record

ANY = [Luck.ORDERED, Luck.ANY]


class Written:
    """A disk, to which records are given one after the other."""

    def __init__(self, root):
        self.root, self.disk, self.count = root, Disk(root), 0

    def do(self, op, *names, inode=1, value=0, data=b""):
        self.count += 1
        paths = tuple(str(self.root / name) for name in names)
        self.disk.apply(Record(self.count, self.count, op, 0.0, inode, value, paths, data))

    def sync(self, name, inode):
        self.do(Op.SYNC, name, inode=inode, value=self.count + 1)

    def left(self, luck, seed=1):
        target = self.root.parent / f"{luck.name}-{seed}"
        self.disk.write(target, luck, Random(seed))
        return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


@pytest.fixture
def written(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    return Written(root)


def test_nothing_of_a_file_is_certain_until_it_and_its_directory_are_synced(written):
    root = written.root.stat().st_ino
    written.do(Op.CREATED, "a", inode=7)
    written.do(Op.WRITE, "a", inode=7, data=b"hello")
    assert written.left(Luck.NOTHING) == {}
    written.sync("a", 7)
    assert written.left(Luck.NOTHING, 2) == {}
    written.sync("", root)
    assert written.left(Luck.NOTHING, 3) == {"a": b"hello"}
    written.do(Op.WRITE, "a", inode=7, value=5, data=b" world")
    assert written.left(Luck.NOTHING, 4) == written.left(Luck.NAMES, 5) == {"a": b"hello"}
    assert written.left(Luck.ALL) == written.left(Luck.DATA) == {"a": b"hello world"}


def test_an_fsync_is_of_what_came_before_it_began(written):
    written.do(Op.CREATED, "a", inode=7)
    written.sync("", written.root.stat().st_ino)
    written.do(Op.WRITE, "a", inode=7, data=b"x")
    began = written.count + 1
    written.do(Op.WRITE, "a", inode=7, value=1, data=b"y")
    written.do(Op.SYNC, "a", inode=7, value=began)
    assert written.left(Luck.NOTHING) == {"a": b"x"}


def test_a_renamed_file_has_one_of_its_names_or_both_or_none_and_what_was_synced_in_it(written):
    written.do(Op.CREATED, "new", inode=7)
    written.do(Op.WRITE, "new", inode=7, data=b"whole")
    written.sync("new", 7)
    written.do(Op.RENAME, "new", "old", inode=7)
    found = [written.left(luck, seed) for luck in ANY for seed in range(40)]
    assert {tuple(each) for each in found} == {(), ("new",), ("old",)}
    assert {content for each in found for content in each.values()} == {b"whole"}


def test_pages_are_each_of_some_moment_and_may_be_torn(written):
    written.do(Op.CREATED, "a", inode=7)
    written.do(Op.WRITE, "a", inode=7, data=b"0" * 2 * PAGE)
    written.sync("a", 7)
    written.sync("", written.root.stat().st_ino)
    for digit in b"12":
        written.do(Op.WRITE, "a", inode=7, data=bytes([digit]) * 2 * PAGE)
    found = [written.left(Luck.ANY, seed)["a"] for seed in range(200)]
    halves = {(each[:1], each[-1:]) for each in found}
    assert halves == {(bytes([one]), bytes([other])) for one in b"012" for other in b"012"}
    assert any(len(set(each[:PAGE])) == 2 for each in found)
    assert {len(each) for each in found} == {2 * PAGE}


def test_a_file_that_was_cut_short_is_long_or_short_or_zeros(written):
    written.do(Op.CREATED, "a", inode=7)
    written.do(Op.WRITE, "a", inode=7, data=b"0" * 10)
    written.sync("a", 7)
    written.sync("", written.root.stat().st_ino)
    written.do(Op.TRUNCATE, "a", inode=7, value=4)
    written.do(Op.ALLOCATE, "a", inode=7, value=6)
    found = {written.left(Luck.ANY, seed)["a"] for seed in range(100)}
    assert found >= {b"0" * 10, b"0000", b"0000\0\0"}
    assert all(set(each) <= set(b"0\0") and len(each) in (4, 6, 10) for each in found)


def test_with_a_directory_that_was_never_synced_goes_all_that_is_in_it(written):
    written.do(Op.MKDIR, "d", inode=8)
    written.do(Op.CREATED, "d/a", inode=7)
    written.sync("d/a", 7)
    written.sync("d", 8)
    assert written.left(Luck.NOTHING) == {}
    written.sync("", written.root.stat().st_ino)
    assert written.left(Luck.NOTHING, 2) == {"d/a": b""}
