"""Work on jobs off the event loop: one thread, a bounded queue, and the order in which they came.

Those that came meanwhile are given to the thread together: a signature takes 60 µs, a hand-over about as long, and
more where the machine is busy. So one that comes alone is worked on where it is.

    add → the queue → the thread, a batch at a time → results → done, one at a time and in order
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Final, Generic, TypeVar
from weakref import WeakMethod, finalize

MOST: Final = 40_000
"""Jobs that wait: more than an honest server has in flight."""
MOST_BYTES: Final = 32 * 1024 * 1024
BATCH: Final = 64
"""Jobs that the thread is given at a time."""
REST: Final = 0.001
"""Seconds between jobs that are worked on in the event loop: with 70 µs each, a fourteenth of its time at most."""

Job = TypeVar("Job")
Result = TypeVar("Result")


class OffLoop(Generic[Job, Result]):
    """Jobs that wait. `work` is called with some on the thread; `done` gets each in the event loop, in order.

    Where `done` returns an awaitable, those that follow wait for it.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Job]], Sequence[Result]],
        done: Callable[[Job, Result], Awaitable[None] | None],
    ) -> None:
        self._work = work
        self._done = done
        self._queue: deque[tuple[Job, int]] = deque()
        """Jobs that wait for the thread, and the size of each."""
        self._results: deque[tuple[tuple[Job, int], Result]] = deque()
        """Those that it worked on, and `done` did not get yet."""
        self._size = 0
        """Bytes of all of them."""
        self._given: _Thread[Job, Result] | None = None
        """The thread that is at work; another than the present one was closed meanwhile."""
        self._thread: _Thread[Job, Result] | None = None
        self._is_telling = False
        self._awaited: asyncio.Future[None] | None = None
        """Waits for what `done` returned."""
        self._rests_until = 0.0

    def __len__(self) -> int:
        return len(self._queue) + len(self._results)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and nothing is worked on."""
        return self._given is None and not self._is_telling and not self._queue

    def add(self, job: Job, size: int) -> bool:
        """Have it worked on; False where too much waits. `size` in bytes."""
        if len(self) >= MOST or self._size + size > MOST_BYTES:
            return False
        self._queue.append((job, size))
        self._size += size
        self._give()
        return True

    def work_now(self, job: Job) -> Result | None:
        """Work on a short job at once, in the event loop; None where others came before it, or a moment ago."""
        now = time.monotonic()
        if not self.is_idle or now < self._rests_until:
            return None
        self._rests_until = now + REST
        (result,) = self._work([job])
        return result

    def _give(self) -> None:
        """Give the thread what waits, where it has nothing to do."""
        if self._given is None and self._queue:
            if self._thread is None:
                self._thread = _Thread(self._work, self._worked, self)
            self._given = self._thread
            self._thread.give([self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))])

    def _worked(
        self,
        thread: _Thread[Job, Result],
        jobs: Sequence[tuple[Job, int]],
        results: Sequence[Result] | Exception,
    ) -> None:
        """Take the results of a batch, or the error with which all of it failed."""
        if thread is not self._given:
            return  # it was closed meanwhile
        self._given = None
        if isinstance(results, Exception):
            self._size -= sum(size for _, size in jobs)
        else:
            self._results.extend(zip(jobs, results, strict=True))
        self._give()  # it works on while these are told
        self._tell()
        if isinstance(results, Exception):
            raise results

    def _tell(self) -> None:
        """Have `done` get all results, until it is to be waited for."""
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._results and self._awaited is None:
                (job, size), result = self._results.popleft()
                self._size -= size
                later = self._done(job, result)
                if later is not None:
                    self._awaited = asyncio.ensure_future(later)
                    self._awaited.add_done_callback(self._waited)
        finally:
            self._is_telling = self._awaited is not None
            if self._results and not self._is_telling:
                asyncio.get_running_loop().call_soon(self._tell)  # it raised: that is no fault of the others

    def _waited(self, awaited: asyncio.Future[None]) -> None:
        if self._awaited is awaited:  # else it was closed, and may be in use again
            self._awaited, self._is_telling = None, False
            self._tell()
        if not awaited.cancelled():
            awaited.result()

    def close(self) -> None:
        """Drop what waits. It may be used again."""
        self._queue.clear()
        self._results.clear()
        self._size = 0
        self._given = None
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited, self._is_telling = None, False
        if self._thread is not None:
            self._thread.end()
            self._thread = None


class _Thread(Generic[Job, Result]):
    """A thread that works on what it is given, and tells the event loop: in half of the time of an executor.

    It ends with whoever made it.
    """

    def __init__(
        self, work: Callable[[Sequence[Job]], Sequence[Result]], worked: Callable[..., None], owner: object
    ) -> None:
        """`worked`, a method of the owner, is called in the present event loop."""
        self._work = work
        self._worked = WeakMethod(worked)
        self._loop = asyncio.get_running_loop()
        self._given: SimpleQueue[list[tuple[Job, int]] | None] = SimpleQueue()
        self.end = finalize(owner, self._given.put, None)
        """Have it end once it has worked on what it has."""
        Thread(target=self._run, name="verification", daemon=True).start()

    def give(self, jobs: list[tuple[Job, int]]) -> None:
        """Have it work on some."""
        self._given.put(jobs)

    def _run(self) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            while (jobs := self._given.get()) is not None:
                self._loop.call_soon_threadsafe(self._tell, jobs, self._results(jobs))

    def _results(self, jobs: Sequence[tuple[Job, int]]) -> Sequence[Result] | Exception:
        try:
            return self._work([job for job, _ in jobs])
        except Exception as error:  # noqa: BLE001 - it is raised in the event loop
            return error

    def _tell(self, jobs: Sequence[tuple[Job, int]], results: Sequence[Result] | Exception) -> None:
        worked = self._worked()
        if worked is not None:
            worked(self, jobs, results)
