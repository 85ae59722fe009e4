"""The outcome of the messages of one chat: how many wait for a first status, and the exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from parley.cli.terminal import EXIT_KEPT
from parley.client.outbox.deliveries import DELIVERED, Delivery

MOST_UNANSWERED: Final = 500
"""Messages without a status; where there are as many, no further line is read: a file may have any number."""


class Outcome:
    """Messages that were sent, until each has its final status."""

    def __init__(self) -> None:
        self.failed = False
        """Whether something was not delivered and will not be, or was not even sent."""
        self._unanswered: dict[int, Delivery] = {}
        self._kept: dict[int, Delivery] = {}
        self._status_came = asyncio.Event()

    def message_sent(self, delivery: Delivery) -> None:
        """One more waits for a status."""
        self._unanswered[delivery.snowflake] = delivery

    def status_received(self, delivery: Delivery) -> None:
        """Note that a message has a status."""
        self._status_came.set()
        self._kept.pop(delivery.snowflake, None)
        if delivery.final.done():
            self.failed = self.failed or delivery.final.result() != DELIVERED
            self._unanswered.pop(delivery.snowflake, None)
        elif delivery.first_status.done():
            self._unanswered.pop(delivery.snowflake, None)
            self._kept[delivery.snowflake] = delivery

    async def wait_for_room(self) -> None:
        """Wait until not too many are without a status, and let what was sent go out."""
        await asyncio.sleep(0)
        while len(self._unanswered) >= MOST_UNANSWERED:
            self._status_came.clear()
            await self._status_came.wait()

    async def wait_for_first_statuses(self, timeout: Callable[[], float]) -> list[Delivery]:
        """Wait for first statuses for as long as any come; those messages that have none.

        `timeout`: seconds for which none comes before it is given up.
        """
        while self._unanswered:
            self._status_came.clear()
            try:
                async with asyncio.timeout(timeout()):
                    await self._status_came.wait()
            except TimeoutError:
                break
        return [delivery for delivery in self._unanswered.values() if not delivery.statuses]

    def exit_code(self) -> int:
        """As `parley send` has it: 0 where all was delivered, EXIT_KEPT where the rest is kept."""
        if self.failed:
            return 1
        return EXIT_KEPT if self._kept or self._unanswered else 0
