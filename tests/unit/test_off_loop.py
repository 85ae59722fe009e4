"""Work beside the event loop keeps its order, waits where it is told to, and outlives no owner and no fault."""

import asyncio
import gc
import threading
import weakref

import pytest

from parley.client.authors import off_loop
from parley.client.authors.off_loop import OffLoop
from tests.support.wired import run


class Jobs:
    """What came out of an OffLoop; `work` waits for the gate where there is one."""

    def __init__(self, later=lambda _job: None):
        self.done = []
        self.batches = []
        self.threads = set()
        self.gate = None
        self.entered = threading.Event()
        self.later = later
        self.queue = OffLoop(self.work, self.tell)

    def work(self, jobs):
        self.threads.add(threading.current_thread())
        self.entered.set()
        if self.gate is not None:
            self.gate.wait(10)
        self.batches.append(len(jobs))
        if "bad" in jobs:
            raise ValueError("bad")
        return [job * 10 for job in jobs]

    def tell(self, job, result):
        self.done.append((job, result))
        return self.later(job)

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - of some there is no event
                await asyncio.sleep(0)

    async def are_done(self, *jobs):
        await self.until(lambda: len(self.done) >= len(jobs) and self.queue.is_idle)
        assert [job for job, _ in self.done] == list(jobs)


def test_jobs_are_done_in_order_and_those_that_came_meanwhile_together():
    async def story():
        jobs = Jobs()
        jobs.gate = threading.Event()
        assert all(jobs.queue.add(number, 1) for number in range(1 + off_loop.BATCH + 3))
        assert not jobs.queue.is_idle
        jobs.gate.set()
        await jobs.are_done(*range(1 + off_loop.BATCH + 3))
        assert jobs.batches == [1, off_loop.BATCH, 3]
        assert all(result == job * 10 for job, result in jobs.done)
        assert len(jobs.threads) == 1
        assert threading.main_thread() not in jobs.threads
        jobs.queue.close()

    run(story())


def test_what_follows_waits_for_what_done_waits_for():
    async def story():
        keys = asyncio.Event()
        jobs = Jobs(lambda job: keys.wait() if job == 2 else None)
        for number in (1, 2, 3):
            jobs.queue.add(number, 1)
        await jobs.until(lambda: len(jobs.done) == 2)
        jobs.queue.add(4, 1)
        assert jobs.queue.work_now(5) is None
        for _ in range(100):
            await asyncio.sleep(0)
        assert [job for job, _ in jobs.done] == [1, 2]
        keys.set()
        await jobs.are_done(1, 2, 3, 4)
        assert jobs.queue.work_now(5) == 50
        jobs.queue.close()

    run(story())


def test_nothing_is_worked_on_at_once_out_of_a_result():
    """It would come before results that are there already, or be told within another."""

    async def story():
        found = []
        jobs = Jobs(lambda _job: found.append(jobs.queue.work_now(9)))
        jobs.queue.add(1, 1)
        await jobs.are_done(1)
        assert found == [None]
        jobs.queue.close()

    run(story())


def test_room_is_given_back_by_what_is_done_and_by_what_failed():
    async def story():
        jobs, errors = Jobs(), []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context["exception"]))
        half = off_loop.MOST_BYTES // 2
        for job in (1, "bad", 2):
            assert jobs.queue.add(job, half + 1)
            assert not jobs.queue.add(3, half + 1)
            await jobs.until(lambda: jobs.queue.is_idle)
        assert jobs.done == [(1, 10), (2, 20)]
        assert [str(error) for error in errors] == ["bad"]
        jobs.queue.close()

    run(story())


def test_a_result_that_raises_is_told_and_the_others_are_done():
    async def story():
        errors = []

        def later(job):
            if job == 1:
                raise ValueError("not now")

        jobs = Jobs(later)
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context["exception"]))
        jobs.gate = threading.Event()
        for number in (0, 1, 2, 3):
            jobs.queue.add(number, 1)
        jobs.gate.set()
        await jobs.are_done(0, 1, 2, 3)
        assert [str(error) for error in errors] == ["not now"]
        jobs.queue.close()

    run(story())


@pytest.mark.parametrize("waits", [False, True])
def test_what_was_closed_is_dropped_and_it_works_again(waits):
    async def story():
        never = asyncio.Event()
        jobs = Jobs(lambda job: never.wait() if waits and job == 1 else None)
        if waits:
            jobs.queue.add(1, 1)
            await jobs.until(lambda: jobs.done)
        else:
            jobs.gate = threading.Event()
            jobs.queue.add(1, 1)
            assert await asyncio.to_thread(jobs.entered.wait, 10)
        jobs.queue.add(2, off_loop.MOST_BYTES - 1)
        jobs.queue.close()
        assert jobs.queue.is_idle
        assert len(jobs.queue) == 0
        jobs.done.clear()
        assert jobs.queue.add(3, off_loop.MOST_BYTES)
        if jobs.gate is not None:
            jobs.gate.set()
        await jobs.are_done(3)
        jobs.queue.close()

    run(story())


@pytest.mark.parametrize("closes", [True, False])
def test_its_thread_ends_when_it_is_closed_and_with_its_owner(closes):
    async def story():
        threads, done = [], asyncio.Event()

        def work(jobs):
            threads.append(threading.current_thread())
            return jobs

        queue = OffLoop(work, lambda _job, _result: done.set())
        queue.add(1, 1)
        await done.wait()
        assert threads[0].is_alive()
        if closes:
            queue.close()
        gone = weakref.ref(queue)
        del queue
        gc.collect()
        assert gone() is None
        await asyncio.to_thread(threads[0].join, 10)
        assert not threads[0].is_alive()

    run(story())
