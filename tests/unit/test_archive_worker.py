"""The archive's thread: what it has written, is asked to do, and leaves to others of the disk; on real files."""

import time
from queue import Queue
from types import SimpleNamespace

import pytest
import structlog

from parley.services.chat.archive import storage, worker
from parley.services.chat.archive.entries import MESSAGE, entry_bytes
from parley.services.chat.archive.worker import LOOK, Chunk, Policy, Task, Worker
from parley.services.chat.message.statuses import Status
from tests.support.kept_archive import ALICE, BOB, BOTH, message
from tests.support.nodes import wait_until


def entry(number):
    frame = message(ALICE, BOB, "x" * 1000, number)
    return entry_bytes(MESSAGE, BOTH, Status.DELIVERED, 5.0, number.to_bytes(16, "little"), frame)


class Told:
    """A worker, and how much was not in lists yet each time that it had come further."""

    def __init__(self, path, session=0):
        self.worker = Worker(path, Policy(30.0, 1 << 40), structlog.get_logger(), session=session)
        self.worker.start()

    def put(self, number):
        parts = [entry(at) for at in range(16 * number, 16 * (number + 1))]
        self.worker.put(Chunk(b"".join(parts), 86400.0, 0.0, 0.0, time.monotonic()))

    def do(self, run):
        self.worker.do(Task(run, time.monotonic() + 30.0))


@pytest.fixture
def told(tmp_path):
    told = Told(tmp_path / "archive.db")
    yield told
    told.worker.close()


def test_of_a_session_it_is_known_which_chunks_are_in_the_file_and_of_another_none(tmp_path):
    path = tmp_path / "archive.db"
    for session, known in ((7, 0), (7, 2), (8, 0), (7, 0)):
        told = Told(path, session)
        assert told.worker.position().written == known
        told.put(0)
        told.put(1)
        told.worker.close()


def test_what_an_earlier_one_left_in_no_list_is_behind_until_it_is_in_them(tmp_path):
    path = tmp_path / "archive.db"
    earlier = Told(path)
    earlier.worker._is_due = lambda: False
    earlier.put(0)
    earlier.worker.close()
    later = Worker(path, Policy(30.0, 1 << 40), structlog.get_logger())
    left = later.position()
    assert left.backlog == len(b"".join(map(entry, range(16))))
    later.start()
    assert later.wait_for(left.written, 30.0)
    assert later.position().backlog == 0
    later.close()


def test_a_task_sees_all_that_was_put_before_it_and_is_told_where_that_takes_too_long(told):
    seen = Queue()
    told.put(0)
    told.do(lambda db: seen.put(db.execute("SELECT COUNT(*) FROM line").fetchone()[0]))
    assert seen.get(timeout=30.0) == 32
    told.worker._is_due = lambda: False  # nothing is put into lists any more
    told.put(1)
    told.worker.do(Task(seen.put, time.monotonic()))
    assert seen.get(timeout=30.0) is None


def test_without_room_it_says_so_until_there_is_some(told):
    told.worker._policy = Policy(30.0, 1)
    told.put(0)
    told.worker._unseen = LOOK
    told.do(lambda _db: None)  # the thread comes round
    wait_until(lambda: told.worker.position().is_full)
    told.worker._policy = Policy(30.0, 1 << 40)
    told.worker._unseen = LOOK
    told.do(lambda _db: None)
    wait_until(lambda: not told.worker.position().is_full)


def test_a_part_of_the_disk_is_left_to_others(told, monkeypatch):
    total, free = 100 << 30, 2 << 30
    monkeypatch.setattr(worker.shutil, "disk_usage", lambda _path: SimpleNamespace(total=total, free=free))
    used = storage.used_bytes(told.worker._db)
    assert told.worker._limit() == used + (1 << 30)
    free = 0
    assert told.worker._limit() == max(0, used - (1 << 30))
    total, free = 1 << 30, 1 << 28
    assert told.worker._limit() == used + (1 << 28) - int(total * 0.05)


def test_a_disk_that_others_fill_costs_no_day_more_than_there_has_to_be_room_for(told, monkeypatch):
    """The pages of a day that is gone are the file's own: the disk is as full as before."""
    for day in range(1, 9):
        told.worker.put(Chunk(entry(day) * 1000, day * storage.DAY, 0.0, 0.0, time.monotonic()))
        told.worker.wait_for(told.worker._put, 30.0)
    total = 100 << 30
    monkeypatch.setattr(
        worker.shutil, "disk_usage", lambda _path: SimpleNamespace(total=total, free=(1 << 30) - 10)
    )
    days = []
    for _ in range(4):
        told.worker._unseen = LOOK
        seen = Queue()
        told.do(lambda db: seen.put(db.execute("SELECT COUNT(*) FROM day").fetchone()[0]))  # noqa: B023 - at once
        days.append(seen.get(timeout=30.0))
    told.do(seen.put)
    seen.get(timeout=30.0)
    assert days[-1] == days[-2] >= 6
