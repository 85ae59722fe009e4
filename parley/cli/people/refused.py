"""The end of a command that goes on, once the user's own server lets this device in no more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from parley.cli.terminal import EXIT_REFUSED
from parley.client.trust.refusals import UserRefused


class Refused:
    """Hears of the refusal, which was told as a line already."""

    def __init__(self) -> None:
        self._came = asyncio.Event()

    def by(self, _error: UserRefused) -> None:
        """The server let this device in no more."""
        self._came.set()

    async def unless(self, work: Coroutine[Any, Any, int]) -> int:
        """Do the work to its end, or until it is refused; the exit code."""
        loop = asyncio.get_running_loop()
        tasks = loop.create_task(work), loop.create_task(self._came.wait())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return tasks[0].result() if tasks[0].done() else EXIT_REFUSED
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
