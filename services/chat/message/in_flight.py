"""What is on its way to one destination: written to its links and not answered yet. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from parley.services.chat.roster import Sink
from parley.services.chat.storage.mailbox import Item
from parley.shared.addresses import User

WINDOW = 4096
"""Unanswered messages per user; beyond it the rest waits in the mailbox."""
WINDOW_BYTES = 8 * 1024 * 1024
"""The same in bytes: what is begun below it may end above it by one message."""
BURST = 8
"""How many windows may be on their way that are younger than `custody_delay`, while nothing older fills one."""
SERVER_WINDOWS = 16
"""How many such windows there are to a server: a user of it who never answers fills one, and holds up nobody."""


class Outbound:
    """The unanswered messages of one destination, in the order in which they were sent."""

    def __init__(self, windows: int = 1) -> None:
        self.window = WINDOW * windows
        """How many messages may be on their way."""
        self.quick_window = BURST * self.window
        """The same for as long as it is answered at once: a burst."""
        self.window_bytes = WINDOW_BYTES * windows
        """The same in bytes."""
        self.held: dict[Item, None] = {}
        self.numbers: dict[int, list[Item]] = {}
        """By snowflake. What is sent at once reads both (express.py)."""
        self.size = 0
        """Bytes of them."""
        self.answered_at = -math.inf
        """When one was answered last (seconds, monotonic)."""

    def __len__(self) -> int:
        return len(self.held)

    @property
    def items(self) -> Iterable[Item]:
        """All of them, in that order."""
        return self.held

    @property
    def has_room(self) -> bool:
        """Whether more may be on its way at once."""
        return len(self.held) < self.window and self.size < self.window_bytes

    def must_wait(self, item: Item) -> bool:
        """Whether the author's message of this number to the same recipient, another one, is to be answered first.

        An answer names number, author and recipient, or less; and some programs number by the second. One that is
        overdue holds up nobody; 0 is nobody's number, and is answered in the order in which it came.
        """
        same = self.numbers.get(item.snowflake)
        if same is None or not item.key:
            return False
        return any(
            other.recipient == item.recipient
            and other.author == item.author
            and other.key != item.key
            and other.told is other.pending is None
            for other in same
        )

    def send(self, item: Item, sinks: Sequence[Sink], deadline: float) -> None:
        """Write an item to its links; an answer is due at `deadline`."""
        for sink in sinks:
            sink.send(item.raw)
        item.was_whole = True
        self.hold(item, sinks, deadline)

    def hold(self, item: Item, sinks: Sequence[Sink], deadline: float) -> None:
        """An item was written to these links."""
        item.sent_to = list(sinks)
        item.attempts += 1
        item.deadline = deadline
        self.held[item] = None
        self.size += item.size
        self.numbers.setdefault(item.snowflake, []).append(item)

    def catch_up(self, sink: Sink) -> None:
        """Write all that is unanswered, in order, to a link that does not have it yet."""
        for item in self.held:
            if sink not in item.sent_to:
                sink.send(item.raw)
                item.sent_to.append(sink)

    def send_again(self) -> int:
        """Write what is unanswered to its links once more, while they have room; how many messages."""
        count = 0
        for item in self.held:
            if item.in_pieces:
                continue
            sinks = [sink for sink in item.sent_to if sink.writable]
            if not sinks:
                break
            for sink in sinks:
                sink.send(item.raw)
            count += 1
        return count

    def find(self, snowflake: int, recipient: User | None = None, author: User | None = None) -> Item | None:
        """The oldest unanswered message with that snowflake, of those who are named."""
        for item in self.numbers.get(snowflake, ()):
            if recipient in (None, item.recipient) and author in (None, item.author):
                return item
        return None

    def holds(self, item: Item) -> bool:
        """Whether it is still unanswered."""
        return item in self.held

    def remove(self, item: Item) -> None:
        """It was answered."""
        del self.held[item]
        self.size -= item.size
        item.deadline = 0.0
        same = self.numbers[item.snowflake]
        same.remove(item)
        if not same:
            del self.numbers[item.snowflake]

    def take_from(self, sink: Sink) -> list[Item]:
        """A link is gone: what was on it and on no other, no longer on its way, in order."""
        lost = []
        for item in list(self.held):
            if sink in item.sent_to:
                item.sent_to.remove(sink)
                if not item.sent_to:
                    self.remove(item)
                    lost.append(item)
        return lost
