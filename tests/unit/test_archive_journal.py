"""The archive's journal: what is appended is taken once, and what a killed process leaves is found again."""

import random

import pytest

from parley.services.chat.archive.entries import MESSAGE, NO_STATUS, entry_bytes
from parley.services.chat.archive.journal import journal as module
from parley.services.chat.archive.journal.journal import Journal, Volatile
from parley.services.chat.archive.journal.segment import LAYOUT, Head, head_of, left_in, used_of
from parley.services.chat.archive.journal.segment_files import SegmentFiles, discard

BOOT = b"b" * 16


def entry(number, size=20):
    return entry_bytes(MESSAGE, 1, NO_STATUS, float(number), number.to_bytes(16, "little"), b"x" * size)


class Disk(Volatile):
    """Segments that can be looked at after the process that filled them is gone."""

    def __init__(self):
        self.segments = {}

    def make(self, base, size):
        self.segments[base] = segment = super().make(base, size)
        return segment

    def end(self, base):
        del self.segments[base]

    def found(self, boot=BOOT):
        heads = {base: head_of(bytes(segment), len(segment)) for base, segment in self.segments.items()}
        return [
            (head._replace(boot=boot), bytes(self.segments[base][LAYOUT.size :]))
            for base, head in sorted(heads.items())
        ]

    def left(self, written=0, *, has_booted=False):
        return left_in(self.found(), written, b"c" * 16 if has_booted else BOOT)


@pytest.fixture
def disk():
    return Disk()


def taken(journal, end=None):
    raw = b"".join(journal.take(journal.end if end is None else end))
    journal.mark(is_whole=end is None)
    return raw


def texts(left):
    return b"".join(each.entries for each in left)


def test_what_is_appended_is_taken_once_in_order_and_in_whichever_segment(disk, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT", 300)
    journal, every = Journal(disk), [entry(number, number % 90) for number in range(60)]
    came = b""
    for number, each in enumerate(every):
        assert journal.append(each)
        if number % 7 == 0:
            came += taken(journal)
            assert journal.size == 0
    assert came + taken(journal) == b"".join(every)
    assert len(disk.segments) > 10
    assert texts(disk.left()) == b"".join(every)


def test_what_is_longer_than_a_segment_has_one_of_its_own(disk, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT", 300)
    journal = Journal(disk)
    every = [entry(1), entry(2, 5000), entry(3)]
    assert all(map(journal.append, every))
    assert texts(disk.left()) == b"".join(every)


def test_what_is_released_stands_nowhere_any_more(disk, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT", 400)
    journal = Journal(disk)
    for number in range(20):
        assert journal.append(entry(number))
    taken(journal)
    journal.release(journal.end)
    assert len(disk.segments) == 1
    (segment,) = disk.segments.values()
    assert not any(segment[LAYOUT.size :])
    later = entry(99)
    journal.append(later)
    assert texts(disk.left(journal.taken)) == later
    assert taken(journal) == later
    journal.close(journal.end)
    assert not disk.segments


def test_what_is_not_released_stays_until_it_is_and_is_bounded(disk, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT", 400)
    monkeypatch.setattr(module, "MOST", 2000)
    journal, number = Journal(disk), 0
    while journal.append(entry(number)):
        number += 1
    assert 2000 - 400 <= journal.end <= 2000 + 32
    assert texts(disk.left()) == b"".join(map(entry, range(number)))
    taken(journal)
    journal.release(journal.end)
    assert journal.append(entry(number))


def test_a_chunk_that_is_left_is_behind_what_was_written_and_numbered_by_its_end(disk):
    journal = Journal(disk)
    ends = []
    for number in range(5):
        journal.append(entry(number))
        taken(journal)
        ends.append(journal.end)
    for at, end in enumerate(ends):
        (left,) = disk.left(end) or [None]
        if left is None:
            assert at == 4
        else:
            assert (left.number, left.entries) == (ends[-1], b"".join(map(entry, range(at + 1, 5))))
    assert texts(disk.left(0)) == b"".join(map(entry, range(5)))


def test_a_long_journal_is_left_in_chunks_that_end_where_nothing_refers_back(disk):
    journal = Journal(disk)
    for number in range(40):
        journal.append(entry(number, 20_000))
        if number % 3 == 2:
            taken(journal)
    left = disk.left()
    assert texts(left) == b"".join(entry(number, 20_000) for number in range(40))
    assert len(left) > 2
    assert [each.number for each in left] == sorted({each.number for each in left})
    for each in left:
        behind = disk.left(each.number)
        assert texts(behind) == texts(left[left.index(each) + 1 :])


def test_an_entry_whose_file_was_awaited_stands_where_it_was_told(disk):
    journal = Journal(disk)
    journal.append(entry(1))
    position = journal.await_file(1, NO_STATUS, 2.0, bytes(16))
    journal.append(entry(3))
    assert taken(journal, position) == entry(1)
    assert texts(disk.left()) == entry(1) + entry(3), "its bytes were nowhere yet"
    journal.put_in_place(position, entry(2))
    journal.append(entry(4))
    everything = b"".join(map(entry, (1, 2, 3, 4)))
    assert texts(disk.left()) == everything
    assert texts(disk.left(position)) == everything[len(entry(1)) :]
    assert texts(disk.left(position, has_booted=True)) == entry(3), "that is what was marked"
    assert taken(journal) == entry(3) + entry(4)
    assert texts(disk.left(position, has_booted=True)) == everything[len(entry(1)) :]
    assert texts(disk.left(journal.end)) == b""


def test_after_a_power_cut_only_what_has_its_mark_is_believed(disk):
    journal = Journal(disk)
    for number in range(3):
        journal.append(entry(number))
    taken(journal)
    marked = journal.end
    journal.append(entry(3))
    assert texts(disk.left(has_booted=True)) == b"".join(map(entry, range(3)))
    assert texts(disk.left()) == b"".join(map(entry, range(4)))
    taken(journal)
    (segment,) = disk.segments.values()
    segment[LAYOUT.size + marked + 40] ^= 1
    assert texts(disk.left(has_booted=True)) == b"".join(map(entry, range(3)))
    segment[LAYOUT.size + 40] ^= 1
    assert texts(disk.left(has_booted=True)) == b""


def test_whatever_stands_in_a_segment_is_no_more_than_not_believed(disk):
    journal, chance = Journal(disk), random.Random(7)
    for number in range(30):
        journal.append(entry(number, chance.randrange(50)))
        if chance.random() < 0.3:
            taken(journal)
    (segment,) = disk.segments.values()
    good, used = bytes(segment), used_of(segment)
    for _ in range(3000):
        segment[:] = good
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(LAYOUT.size, LAYOUT.size + used)
            segment[at : at + 4] = chance.choice([bytes(4), b"\xff" * 4, chance.randbytes(4)])
        for written in (0, chance.randrange(used)):
            disk.left(written)
            believed = texts(disk.left(0, has_booted=True))
            assert b"".join(entry for entry in [believed] if not good.count(entry[:52])) == b""


def test_a_head_that_is_none_is_not_read():
    raw = Head(1, BOOT, 0, 0.0, 10).to_bytes()
    assert head_of(raw, 74) == Head(1, BOOT, 0, 0.0, 10)
    assert head_of(raw, 73) is None, "more is used than it has"
    assert head_of(raw[:-1], 74) is None
    assert head_of(b"x" + raw[1:], 74) is None


# Files ------------------------------------------------------------------------------------------


def test_the_next_process_finds_what_is_in_the_files_and_goes_on_behind(tmp_path):
    first = SegmentFiles(tmp_path / "j", 5.0)
    journal = Journal(first, first.end_of_left)
    journal.append(entry(1))
    taken(journal)
    written = journal.end
    journal.append(entry(2))
    second = SegmentFiles(tmp_path / "j", 6.0)  # the first was killed
    assert second.session == first.session
    assert second.end_of_left == journal.end
    (left,) = second.left(written)
    assert (left.entries, left.number, left.clock) == (entry(2), journal.end, 5.0)
    then = Journal(second, second.end_of_left)
    then.append(entry(3))
    assert then.end > left.number
    third = SegmentFiles(tmp_path / "j", 7.0)
    assert texts(third.left(written)) == entry(2) + entry(3)
    third.release(then.end)
    assert not list((tmp_path / "j").iterdir())
    first.close()
    second.close()


def test_a_segment_in_which_nothing_stands_yet_leaves_its_name_to_the_next(tmp_path):
    first = SegmentFiles(tmp_path / "j", 0.0)
    journal = Journal(first)
    journal.append(entry(1))
    first.make(journal.end, module.SEGMENT)  # and then it was killed
    second = SegmentFiles(tmp_path / "j", 0.0)
    then = Journal(second, second.end_of_left)
    then.append(entry(2))
    second.release(second.end_of_left)
    third = SegmentFiles(tmp_path / "j", 0.0)
    assert texts(third.left(journal.end)) == entry(2)
    first.close()
    second.close()


def test_files_are_their_owners_alone_and_go_with_the_last_entry(tmp_path):
    files = SegmentFiles(tmp_path / "j", 0.0)
    journal = Journal(files)
    journal.append(entry(1))
    (path,) = (tmp_path / "j").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_blocks * 512 >= module.SEGMENT, "a full disk has no room for these later"
    files.set_clock(9.0)
    assert head_of(path.read_bytes(), 1 << 20).clock == 9.0
    files.syncing()()
    taken(journal)
    journal.release(journal.end)
    journal.close(journal.end)
    files.close()
    assert not list((tmp_path / "j").iterdir())


def test_without_a_directory_entries_are_in_memory_and_it_is_said_once(tmp_path):
    (tmp_path / "j").write_text("a file")
    files, said = SegmentFiles(tmp_path / "k", 0.0), []
    files._directory = tmp_path / "j" / "k"
    files.began_unusable = said.append
    journal = Journal(files)
    assert all(journal.append(entry(number, 1 << 19)) for number in range(4))
    assert len(said) == 1
    assert files.why_unusable == said[0]
    assert taken(journal) == b"".join(entry(number, 1 << 19) for number in range(4))


def test_what_is_no_segment_is_removed_and_nothing_is_kept_of_what_is_discarded(tmp_path):
    directory = tmp_path / "j"
    directory.mkdir()
    (directory / "0000").write_bytes(b"half")
    files = SegmentFiles(directory, 0.0)
    assert (files.end_of_left, list(directory.iterdir())) == (0, [])
    Journal(files).append(entry(1))
    files.close()
    discard(directory)
    discard(directory)
    assert not directory.exists()
