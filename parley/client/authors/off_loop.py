"""Work on jobs off the event loop: one thread, a bounded queue, and the order in which they came.

Those that came meanwhile are given to the thread together: a signature takes 140 µs, a hand-over about as long, and
more where the machine is busy. So one that comes alone is worked on where it is.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

MOST: Final = 40_000
"""Jobs that wait: more than an honest server has in flight."""
MOST_BYTES: Final = 32 * 1024 * 1024
BATCH: Final = 64
"""Jobs that the thread is given at a time."""
REST: Final = 0.001
"""Seconds between jobs that are worked on in the event loop: with 140 µs each, a seventh of its time at most."""

Job = TypeVar("Job")
Result = TypeVar("Result")


class OffLoop(Generic[Job, Result]):
    """Jobs that wait. `work` is called with some on the thread; `done` gets each in the event loop, in order."""

    def __init__(
        self, work: Callable[[Sequence[Job]], Sequence[Result]], done: Callable[[Job, Result], Awaitable[None]]
    ) -> None:
        self._work = work
        self._done = done
        self._queue: deque[tuple[Job, int]] = deque()
        self._size = 0
        self._thread: ThreadPoolExecutor | None = None
        self._task: asyncio.Task[None] | None = None
        self._rests_until = 0.0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and nothing is worked on."""
        return self._task is None and not self._queue

    def add(self, job: Job, size: int) -> bool:
        """Have it worked on; False where too much waits. `size` in bytes."""
        if len(self._queue) >= MOST or self._size + size > MOST_BYTES:
            return False
        self._queue.append((job, size))
        self._size += size
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return True

    def work_now(self, job: Job) -> Result | None:
        """Work on a short job at once, in the event loop; None where others came before it, or a moment ago."""
        now = time.monotonic()
        if not self.is_idle or now < self._rests_until:
            return None
        self._rests_until = now + REST
        (result,) = self._work([job])
        return result

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                some = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                if self._thread is None:
                    self._thread = ThreadPoolExecutor(1, "verification")
                jobs = [job for job, _ in some]
                for job, result in zip(
                    jobs, await loop.run_in_executor(self._thread, self._work, jobs), strict=True
                ):
                    await self._done(job, result)
                self._size -= sum(size for _, size in some)
        finally:
            if self._task is asyncio.current_task():  # else it was closed, and may be in use again
                self._task = None

    def close(self) -> None:
        """Drop what waits. It may be used again."""
        self._queue.clear()
        self._size = 0
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None
