"""What waits for whom. The interface, and the simplest mailbox behind it: in memory, bounded. Pure.

A destination is a user of this server or another server. What waits goes out in the order it came, and
before what is new. `MemoryMailbox` does not survive its process: it is for a server without a disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import Protocol

from shared.addresses import User
from shared.errors import LocalProtocolError

Destination = User | str
"""A user of this server, or another server's serverId."""


class Item:
    """One message on its way to one recipient."""

    __slots__ = (
        "answered", "attempts", "author", "deadline", "id", "is_over", "is_safe", "is_saved",
        "pending", "raw", "recipient", "sent_to", "snowflake", "told",
    )  # fmt: skip

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
        self.id = 0
        """Its place in the order in which messages came; the mailbox gives it."""
        self.is_saved = False
        """Whether it is on disk, or on its way there."""
        self.is_safe = False
        """Whether it would survive us."""
        self.pending: int | None = None
        """The interim status that its author is given once it is safe."""
        self.is_over = False
        """Whether it was answered finally, or another server has it."""

    @property
    def key(self) -> tuple[User, int, User]:
        """By which it is recognised when it comes again."""
        return self.author, self.snowflake, self.recipient


class Kept(Enum):
    """What became of an item that was to be kept."""

    SAFE = auto()
    """It would survive us."""
    SOON = auto()
    """It is being written; whoever owns the mailbox is told."""
    FULL = auto()
    """There is no room."""


class Mailbox(Protocol):
    """What waits for whom, and what is written of what is on its way."""

    def number(self, item: Item) -> None:
        """Give an item its place among all: when it is taken, whether it is kept or not."""

    def put(self, destination: Destination, item: Item) -> Kept:
        """Keep an item behind all that waits there."""

    def save(self, destination: Destination, item: Item) -> Kept:
        """Write an item that is on its way and was not answered soon: it would survive us."""

    def over(self, item: Item, status: int) -> None:
        """It was answered finally, or another server has it: nothing of it needs to be kept."""

    def put_back(self, destination: Destination, items: Iterable[Item]) -> None:
        """Keep items, in order, before all that waits there: they had been taken. There is always room."""

    def take(self, destination: Destination) -> Item | None:
        """The first that waits, no longer waiting; None when nothing does, or it has to be read first."""

    def waiting(self, destination: Destination) -> Iterable[Item]:
        """All that waits and is in memory, in order."""

    def is_empty(self, destination: Destination) -> bool:
        """Whether nothing waits there."""

    def clear(self, destination: Destination) -> list[Item]:
        """Take all that waits and is in memory."""

    def remove(self, destination: Destination, item: Item) -> None:
        """An item that could not be written does not wait any more."""

    def owe(self, destination: Destination, raw: bytes) -> None:
        """A status cannot be told now: it is to survive us."""

    def paid(self, destination: Destination) -> None:
        """All that was owed there was told."""


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

    def number(self, item: Item) -> None:
        """In memory the queues are the order."""

    def put(self, destination: Destination, item: Item) -> Kept:
        """Keep an item behind all that waits there."""
        if self._count >= self._limit or self._bytes + len(item.raw) > self._limit_bytes:
            return Kept.FULL
        self._queues.setdefault(destination, deque()).append(item)
        self._add([item], 1)
        return self.save(destination, item)

    def save(self, destination: Destination, item: Item) -> Kept:  # noqa: ARG002 - there is no disk
        """What is in memory counts as safe here."""
        item.is_saved = item.is_safe = True
        return Kept.SAFE

    def over(self, item: Item, status: int) -> None:  # noqa: ARG002 - there is no disk
        """Nothing of it is kept."""
        item.is_over = True

    def owe(self, destination: Destination, raw: bytes) -> None:
        """There is no disk."""

    def paid(self, destination: Destination) -> None:
        """There is no disk."""

    def put_back(self, destination: Destination, items: Iterable[Item]) -> None:
        """Keep items, in order, before all that waits there."""
        batch = list(items)
        if batch:
            self._queues.setdefault(destination, deque()).extendleft(reversed(batch))
            self._add(batch, 1)
            for item in batch:
                self.save(destination, item)

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

    def remove(self, destination: Destination, item: Item) -> None:
        """There is no disk that could fail: this never happens."""
        raise LocalProtocolError(f"{item.key} of {destination} was not written")

    def _add(self, items: list[Item], sign: int) -> None:
        """Count what came (1) or went (-1)."""
        self._count += sign * len(items)
        self._bytes += sign * sum(len(item.raw) for item in items)
