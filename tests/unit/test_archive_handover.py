"""Handing chunks over to the archive's process: numbers, what is kept until it is written, and what is dropped."""

import msgspec
import pytest

from parley.services.chat.archive.changes import Prune
from parley.services.chat.archive.entries import STATUS, entry_bytes
from parley.services.chat.archive.process import handover as module
from parley.services.chat.archive.process.handover import Handover
from parley.services.chat.archive.process.messages import (
    FROM_CHAT,
    Applied,
    Apply,
    Asked,
    Begin,
    Frames,
    Keys,
    Logged,
    Position,
    Put,
    Ready,
    Touched,
    frame,
)

BEGIN = Begin("archive.db", "alpha", 7, 30.0, 1 << 30)
ENTRY = entry_bytes(STATUS, 1, 2, 3.0, b"k" * 16)


class Process:
    """What a process was given, and what it says."""

    def __init__(self, handover, written=0):
        self.handover = handover
        self.frames = Frames()
        handover.begin()
        assert self.given() == [BEGIN]
        self.say(Ready(written))

    def say(self, *messages):
        return self.handover.receive(b"".join(map(frame, messages)))

    def given(self, step=1 << 20):
        found = []
        while (data := self.handover.to_send()) is not None:
            piece = bytes(data[:step])
            self.handover.sent(len(piece))
            found += map(FROM_CHAT.decode, self.frames.feed(piece))
        return found


@pytest.fixture
def handover():
    return Handover(BEGIN)


def put(handover, *numbers):
    next_number = handover.put_so_far + 1
    return [
        handover.put(next_number + at, [ENTRY] * number, 1.0, 2.0, 3.0, float(number))
        for at, number in enumerate(numbers)
    ]


def numbers(messages):
    return [each.number for each in messages if isinstance(each, Put)]


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_what_was_put_before_there_was_a_process_is_given_to_it_in_order_and_then_the_rest(handover, step):
    put(handover, 1, 2)
    process = Process(handover)
    put(handover, 3)
    given = process.given(step)
    assert numbers(given) == [1, 2, 3]
    assert given[1] == Put(2, ENTRY * 2, 1.0, 2.0, 3.0, 2.0)


def test_the_next_process_is_given_what_is_not_in_the_file_and_nothing_twice(handover):
    process = Process(handover)
    put(handover, 1, 2, 3, 4)
    assert numbers(process.given()) == [1, 2, 3, 4]
    process.say(Position(written=1))
    handover.lost()
    put(handover, 5)
    assert numbers(Process(handover, written=3).given()) == [4, 5]


def test_half_a_frame_that_a_lost_process_was_given_is_given_to_the_next_as_a_whole(handover):
    Process(handover)
    put(handover, 1)
    handover.to_send()
    handover.sent(3)
    handover.lost()
    assert numbers(Process(handover).given()) == [1]


def test_what_is_not_written_is_bounded_and_beyond_it_dropped_and_counted(handover, monkeypatch):
    monkeypatch.setattr(module, "MOST_UNWRITTEN", 5 * len(ENTRY))
    process = Process(handover)
    assert put(handover, 2, 3, 1) == [True, True, False]
    assert (handover.dropped, handover.backlog) == (1, 5 * len(ENTRY))
    assert numbers(process.given()) == [1, 2]
    assert put(handover, 1) == [False], "it was given, and is not written"
    process.say(Position(written=1, backlog=100))
    assert handover.backlog == 3 * len(ENTRY) + 100
    assert put(handover, 2) == [True]
    process.say(Position(written=3))
    assert handover.is_empty
    assert handover.dropped == 2


def test_a_file_that_is_full_takes_nothing_whoever_has_it(handover):
    process = Process(handover)
    process.say(Position(is_full=True))
    assert put(handover, 2) == [False]
    handover.lost()
    assert put(handover, 1) == [False]
    assert handover.dropped == 3


def test_a_change_goes_in_order_with_chunks_and_fails_with_the_process_that_has_it(handover):
    process = Process(handover)
    put(handover, 1)
    assert handover.change(Prune(3.0)) == 1
    put(handover, 2)
    assert process.given()[1] == Apply(1, Prune(3.0))
    assert process.say(Applied(1, 5)) == [Applied(1, 5)]
    assert handover.change(Prune(4.0)) == 2
    assert handover.lost() == [2]
    assert handover.lost() == []
    assert numbers(given := Process(handover).given()) == [1, 2]
    assert not any(isinstance(each, Apply) for each in given)


def test_a_change_that_no_process_was_given_is_given_once_to_the_next(handover):
    put(handover, 1)
    handover.change(Prune(3.0))
    put(handover, 2)
    given = Process(handover).given()
    assert [type(each) for each in given] == [Put, Apply, Put]
    handover.lost()
    assert [type(each) for each in Process(handover).given()] == [Put, Put]


def test_who_waits_is_told_of_to_the_process_once_and_to_the_next_one_again(handover):
    process = Process(handover)
    put(handover, 1)
    handover.ask(1)
    handover.ask(1)
    assert [each for each in process.given() if isinstance(each, Asked)] == [Asked(1)]
    handover.lost()
    assert [type(each) for each in Process(handover).given()] == [Put, Asked]
    process.say(Position(written=1, listed=1))
    handover.ask(1)
    assert process.given() == []


def test_the_oldest_that_is_in_no_list_tells_the_lag_wherever_it_is(handover):
    process = Process(handover)
    assert handover.lag(10.0) == 0.0
    put(handover, 2, 3)
    assert handover.lag(10.0) == 8.0
    process.say(Position(written=1, oldest=2.0))
    assert handover.lag(10.0) == 8.0
    process.say(Position(written=1, listed=1))
    assert handover.lag(10.0) == 7.0
    process.say(Position(written=2, listed=2))
    assert handover.lag(10.0) == 0.0


def test_entries_are_counted_over_all_processes(handover):
    Process(handover).say(Position(messages=5))
    handover.lost()
    assert handover.messages == 5
    Process(handover).say(Position(messages=2))
    assert handover.messages == 7


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
def test_messages_are_read_however_their_bytes_come(handover, step):
    handover.begin()
    said = [
        Ready(0),
        Touched(["alice", "bob"]),
        Logged("info", "archive_days_removed", {"days": 2}),
        Position(size=5),
    ]
    raw = b"".join(map(frame, said))
    heard = [each for at in range(0, len(raw), step) for each in handover.receive(raw[at : at + step])]
    assert heard == said


def test_what_is_no_message_is_an_error(handover):
    with pytest.raises(msgspec.DecodeError):
        handover.receive(b"\x01\0\0\0\xff")


def test_an_answer_about_devices_goes_before_all_that_is_not_begun(handover):
    process = Process(handover)
    put(handover, 1, 2)
    handover.to_send()
    handover.sent(3)
    handover.answer(Keys(is_known=True, now=[b"key"]))
    given = []
    while (data := handover.to_send()) is not None:
        given.append(bytes(data))
        handover.sent(len(data))
    assert given[1] == frame(Keys(is_known=True, now=[b"key"]))
    handover.answer(Keys(is_known=False))
    put(handover, 3)
    assert process.given()[0] == Keys(is_known=False)


def test_edits_without_effect_are_counted_over_all_processes(handover):
    Process(handover).say(Position(without_effect={"older": 2}))
    handover.lost()
    Process(handover).say(Position(without_effect={"older": 1, "unproven": 3}))
    assert handover.edits_without_effect == {"older": 3, "unproven": 3}


def test_what_is_not_kept_is_counted_over_all_processes(handover):
    Process(handover).say(Position(not_kept={"author": 2}))
    handover.lost()
    Process(handover).say(Position(not_kept={"author": 1, "server": 3}))
    assert handover.not_kept == {"author": 3, "server": 3}
