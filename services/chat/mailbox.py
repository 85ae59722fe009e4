"""What waits for whom. The interface, and the simplest mailbox behind it: in memory, bounded. Pure.

A destination is a user of this server or another server. What waits goes out in the order it came, and
before what is new. This mailbox does not survive its process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from shared.addresses import User

Destination = User | str
"""A user of this server, or another server's serverId."""


class Item:
    """One message on its way to one recipient."""

    __slots__ = ("answered", "attempts", "author", "deadline", "raw", "recipient", "sent_to", "snowflake", "told")

    def __init__(self, author: User, snowflake: int, recipient: User, raw: bytes) -> None:
        self.author = author
        self.snowflake = snowflake
        self.recipient = recipient
        self.raw = raw
        self.attempts = 0
        """How often it was written to a link."""
        self.sent_to: list[object] = []
        """The links that it is on now."""
        self.deadline = 0.0
        """When an answer is due (seconds, monotonic)."""
        self.told: int | None = None
        """The status that its author was given last."""
        self.answered = False
        """Whether an interim status came from the other server."""

    @property
    def key(self) -> tuple[User, int, User]:
        """By which it is recognised when it comes again."""
        return self.author, self.snowflake, self.recipient


class Mailbox(Protocol):
    """What waits for whom."""

    def put(self, destination: Destination, item: Item) -> bool:
        """Keep an item behind all that waits there; False when there is no room."""

    def put_back(self, destination: Destination, items: Iterable[Item]) -> None:
        """Keep items, in order, before all that waits there: they had been taken. There is always room."""

    def take(self, destination: Destination) -> Item | None:
        """The first that waits, no longer kept; None when nothing does."""

    def waiting(self, destination: Destination) -> Iterable[Item]:
        """All that waits, in order."""

    def is_empty(self, destination: Destination) -> bool:
        """Whether nothing waits there."""

    def clear(self, destination: Destination) -> list[Item]:
        """Take all that waits."""


class MemoryMailbox:
    """A mailbox of at most `limit` messages, and `limit_bytes` bytes of them, in all."""

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._count = 0
        self._bytes = 0
        self._queues: dict[Destination, deque[Item]] = {}

    def __len__(self) -> int:
        return self._count

    def put(self, destination: Destination, item: Item) -> bool:
        """Keep an item behind all that waits there; False when there is no room."""
        if self._count >= self._limit or self._bytes + len(item.raw) > self._limit_bytes:
            return False
        self._queues.setdefault(destination, deque()).append(item)
        self._add([item], 1)
        return True

    def put_back(self, destination: Destination, items: Iterable[Item]) -> None:
        """Keep items, in order, before all that waits there."""
        batch = list(items)
        if batch:
            self._queues.setdefault(destination, deque()).extendleft(reversed(batch))
            self._add(batch, 1)

    def take(self, destination: Destination) -> Item | None:
        """The first that waits, no longer kept; None when nothing does."""
        queue = self._queues.get(destination)
        if queue is None:
            return None
        item = queue.popleft()
        self._add([item], -1)
        if not queue:
            del self._queues[destination]
        return item

    def waiting(self, destination: Destination) -> Iterable[Item]:
        """All that waits, in order."""
        return self._queues.get(destination, ())

    def is_empty(self, destination: Destination) -> bool:
        """Whether nothing waits there."""
        return destination not in self._queues

    def clear(self, destination: Destination) -> list[Item]:
        """Take all that waits."""
        items = list(self._queues.pop(destination, ()))
        self._add(items, -1)
        return items

    def _add(self, items: list[Item], sign: int) -> None:
        """Count what came (1) or went (-1)."""
        self._count += sign * len(items)
        self._bytes += sign * sum(len(item.raw) for item in items)
