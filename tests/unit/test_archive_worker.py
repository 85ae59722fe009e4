"""The archive's thread: what it does at once, and what it leaves for later while chat is busy; on real files."""

import math
import threading
import time
from types import SimpleNamespace

import pytest
import structlog

from parley.services.chat.archive import storage, worker
from parley.services.chat.archive.entries import MESSAGE, entry_bytes
from parley.services.chat.archive.worker import LEAST, LOOK, Chunk, Policy, Worker
from parley.services.chat.message.statuses import Status
from parley.shared.runtime.thread_load import ThreadLoad
from tests.support.kept_archive import ALICE, BOB, BOTH, message
from tests.support.nodes import wait_until

CHUNKS = 40


def entry(number):
    frame = message(ALICE, BOB, "x" * 1000, number)
    return entry_bytes(MESSAGE, BOTH, Status.DELIVERED, 5.0, number.to_bytes(16, "little"), frame)


class Told:
    """A worker, and how much was not in lists yet each time that lists were changed."""

    def __init__(self, path, load):
        self.left = []
        self.worker = Worker(path, Policy(30.0, 1 << 40), structlog.get_logger(), self.touched, lambda: load)

    def touched(self, _people):
        self.left.append(self.worker.backlog)

    def put(self, number):
        parts = [entry(at) for at in range(16 * number, 16 * (number + 1))]
        assert self.worker.put(Chunk(b"".join(parts), 86400.0, 0.0, 0.0, time.monotonic()))


@pytest.fixture(params=[0.0, 1.0])
def told(tmp_path, request):
    told = Told(tmp_path / "archive.db", request.param)
    told.load = request.param
    yield told
    told.worker.close()


def test_while_chat_is_busy_little_is_projected_at_a_time_and_the_thread_rests(told):
    for number in range(CHUNKS):
        told.put(number)
    assert told.worker.wait_for(CHUNKS, 30.0)
    assert not told.worker.error
    turns = len(told.left)
    if told.load:
        assert turns >= CHUNKS * 16 * 1000 // (LEAST + 16 * 1200)
        assert told.worker._rests_until > 0.0
    else:
        assert turns < CHUNKS * 16 * 1000 // LEAST
        assert told.worker._rests_until == 0.0


@pytest.mark.parametrize("told", [1.0], indirect=True)
def test_who_asks_waits_for_no_rest(told):
    told.worker._rests_until = math.inf
    told.put(0)
    assert not told.worker._is_due()
    assert told.worker.wait_for(1, 30.0)


def test_a_thread_that_computes_is_loaded_and_one_that_waits_is_not():
    load = ThreadLoad()
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        pass
    assert load.part() > 0.5
    threading.Event().wait(0.3)
    assert load.part() < 0.5


@pytest.mark.parametrize("told", [0.0], indirect=True)
def test_without_room_nothing_more_is_kept_and_each_is_counted(told):
    told.worker._policy = Policy(30.0, 1)
    told.put(0)
    told.worker._unseen = LOOK
    assert told.worker.wait_for(1, 30.0)
    wait_until(lambda: told.worker.is_full)
    assert not told.worker.put(Chunk(entry(7), 86400.0, 0.0, 0.0, time.monotonic()))
    assert told.worker.dropped == 1
    told.worker._policy = Policy(30.0, 1 << 40)
    told.worker._unseen = LOOK
    told.worker.do(lambda _db: None)
    wait_until(lambda: not told.worker.is_full)


def test_a_part_of_the_disk_is_left_to_others(told, monkeypatch):
    total, free = 100 << 30, 2 << 30
    monkeypatch.setattr(worker.shutil, "disk_usage", lambda _path: SimpleNamespace(total=total, free=free))
    used = storage.used_bytes(told.worker._db)
    assert told.worker._limit() == used + (1 << 30)
    free = 0
    assert told.worker._limit() == max(0, used - (1 << 30))
    total, free = 1 << 30, 1 << 28
    assert told.worker._limit() == used + (1 << 28) - int(total * 0.05)
