"""The numbers of a group's messages: upwards only, one for each message, over restarts and lost files."""

import mmap
import os

import pytest

from parley.services.chat.groups import group_numbers
from parley.services.chat.groups.group_numbers import COUNT_BITS, SIZE, GroupNumbers


def keys(count, first=0):
    return [number.to_bytes(8, "little") * 2 for number in range(first + 1, first + 1 + count)]


def test_each_message_has_a_greater_number_than_those_before_and_the_same_when_it_comes_again():
    numbers = GroupNumbers(bytearray(SIZE))
    first = [numbers.of(key) for key in keys(1000)]
    assert first == sorted(set(first))
    assert [numbers.of(key) for key in keys(1000)] == first


def test_a_message_without_a_key_is_another_one_each_time():
    numbers = GroupNumbers(bytearray(SIZE))
    assert numbers.of(b"") < numbers.of(b"") < numbers.of(keys(1)[0])


def test_a_process_that_was_killed_has_left_the_numbers_and_gives_greater_ones(tmp_path):
    numbers = GroupNumbers.open(tmp_path)
    before = [numbers.of(key) for key in keys(10)]
    again = GroupNumbers.open(tmp_path)  # the other was not closed
    assert [again.of(key) for key in keys(10)] == before
    assert again.of(keys(1, 10)[0]) > before[-1]


@pytest.mark.parametrize("clock", [1.0, 1000.0])
def test_a_power_cut_that_takes_all_but_the_count_of_starts_takes_no_number_back(tmp_path, monkeypatch, clock):
    minutes = iter([1000.0 * 60, clock * 60])  # the second start may be with a clock that was reset
    monkeypatch.setattr(group_numbers.time, "time", lambda: next(minutes))
    numbers = GroupNumbers.open(tmp_path)
    head = (tmp_path / "group.numbers").read_bytes()[: group_numbers.HEAD]
    given = [numbers.of(key) for key in keys(5)]
    (tmp_path / "group.numbers").write_bytes(head)
    assert GroupNumbers.open(tmp_path).of(keys(1, 5)[0]) > given[-1]


def test_a_lost_file_is_made_again_behind_what_it_gave(tmp_path, monkeypatch):
    minutes = iter([1000.0 * 60, 1001.0 * 60])
    monkeypatch.setattr(group_numbers.time, "time", lambda: next(minutes))
    given = GroupNumbers.open(tmp_path).of(keys(1)[0])
    (tmp_path / "group.numbers").unlink()
    assert GroupNumbers.open(tmp_path).of(keys(1, 1)[0]) > given


def test_the_count_of_starts_is_on_disk_before_a_number_is_given(tmp_path, monkeypatch):
    flushed = []

    class Table(mmap.mmap):
        def flush(self, *where):
            flushed.append(where)
            return super().flush(*where)

    monkeypatch.setattr(group_numbers.mmap, "mmap", Table)
    GroupNumbers.open(tmp_path)
    assert flushed == [(0, group_numbers.HEAD)]


def test_without_room_for_the_file_numbers_are_given_all_the_same(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError

    monkeypatch.setattr(os, "posix_fallocate", full)
    numbers = GroupNumbers.open(tmp_path)
    assert numbers.of(keys(1)[0]) == numbers.of(keys(1)[0]) >> COUNT_BITS << COUNT_BITS | 1


def test_no_number_is_more_than_a_list_can_count_by_until_the_year_2097():
    assert (1 << 26) << COUNT_BITS <= 1 << 62
    assert (1 << 26) * 60 / 365.25 / 86400 + 1970 > 2097
