"""What is on its way to one destination: written to its links and not answered yet. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.chat.mailbox import Item
from services.chat.roster import Sink
from shared.addresses import User

WINDOW = 4096
"""Unanswered messages per destination; beyond it the rest waits in the mailbox."""


class Outbound:
    """The unanswered messages of one destination, in the order in which they were sent."""

    def __init__(self) -> None:
        self._by_snowflake: dict[int, list[Item]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def has_room(self) -> bool:
        """Whether more may be on its way at once."""
        return self._count < WINDOW

    def send(self, item: Item, sinks: Sequence[Sink], deadline: float) -> None:
        """Write an item to its links; an answer is due at `deadline`."""
        for sink in sinks:
            sink.send(item.raw)
        item.sent_to = list(sinks)
        item.attempts += 1
        item.deadline = deadline
        self._by_snowflake.setdefault(item.snowflake, []).append(item)
        self._count += 1

    def find(self, snowflake: int, recipient: User | None = None) -> Item | None:
        """The oldest unanswered message with that snowflake, for that recipient where one is named."""
        for item in self._by_snowflake.get(snowflake, ()):
            if recipient is None or item.recipient == recipient:
                return item
        return None

    def holds(self, item: Item) -> bool:
        """Whether it is still unanswered."""
        return item in self._by_snowflake.get(item.snowflake, ())

    def remove(self, item: Item) -> None:
        """It was answered."""
        same = self._by_snowflake[item.snowflake]
        same.remove(item)
        item.deadline = 0.0
        self._count -= 1
        if not same:
            del self._by_snowflake[item.snowflake]

    def take_from(self, sink: Sink) -> list[Item]:
        """A link is gone: what was on it and on no other, no longer on its way, in order."""
        lost = []
        for item in [item for same in self._by_snowflake.values() for item in same]:
            if sink in item.sent_to:
                item.sent_to.remove(sink)
                if not item.sent_to:
                    self.remove(item)
                    lost.append(item)
        return lost
