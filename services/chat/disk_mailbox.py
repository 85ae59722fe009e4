"""The mailbox that survives its process: what waits is on disk, and in memory only what goes out soon. Pure.

The disk itself is behind `Disk` (store.py): it writes in order, and tells when something is safe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from services.chat.mailbox import Destination, Item, Kept

IN_MEMORY: Final = 512
"""Waiting messages of one destination in memory; more are read when those have gone out."""
LARGE: Final = 64 * 1024
"""Bytes from which a message waits on disk alone."""


class Disk(Protocol):
    """What writes and reads."""

    def keep(self, destination: Destination, item: Item) -> None:
        """Write a message."""

    def forget(self, item: Item, status: int) -> None:
        """A message that was written is over."""

    def load(self, destination: Destination, after: int, limit: int, found: Callable[[list[Item]], None]) -> None:
        """Read the next messages with ids greater than `after`."""

    def owe(self, destination: Destination, raw: bytes) -> None:
        """Write a status that cannot be told now."""

    def paid(self, destination: Destination) -> None:
        """Remove the statuses of a destination."""


class _Queue:
    """What waits for one destination: first what is in memory, then what is only on disk."""

    __slots__ = ("is_loading", "last_id", "on_disk", "ready")

    def __init__(self, on_disk: int = 0, last_id: int = 0) -> None:
        self.ready: deque[Item] = deque()
        self.on_disk = on_disk
        self.last_id = last_id
        """What has greater ids than this is only on disk."""
        self.is_loading = False


class DiskMailbox:
    """At most `limit` messages, and `limit_bytes` bytes of them, wait in all.

    `next_id` is greater than that of any message on disk. `loaded(destination)` is called when more of what
    waits there is in memory.
    """

    def __init__(
        self, disk: Disk, *, limit: int, limit_bytes: int, next_id: int, loaded: Callable[[Destination], None]
    ) -> None:
        self._disk = disk
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._next_id = next_id
        self._loaded = loaded
        self._count = 0
        self._bytes = 0
        self._queues: dict[Destination, _Queue] = {}

    def __len__(self) -> int:
        return self._count

    def found_at_start(self, destination: Destination, count: int, size: int) -> None:
        """So much waits on disk from before."""
        self._queues[destination] = _Queue(count)
        self._count += count
        self._bytes += size

    # Mailbox ----------------------------------------------------------------------------------

    def number(self, item: Item) -> None:
        """Give an item its place: what is on its way has one before what waits behind it, written first or not."""
        if item.id == 0:
            item.id = self._next_id
            self._next_id += 1

    def put(self, destination: Destination, item: Item) -> Kept:
        """Keep an item behind all that waits there."""
        if self._count >= self._limit or self._bytes + len(item.raw) > self._limit_bytes:
            return Kept.FULL
        queue = self._queues.setdefault(destination, _Queue())
        self.number(item)
        self._add([item], 1)
        if queue.on_disk or queue.is_loading or len(queue.ready) >= IN_MEMORY or len(item.raw) >= LARGE:
            queue.on_disk += 1
        else:
            queue.ready.append(item)
            queue.last_id = item.id
        return self.save(destination, item)

    def save(self, destination: Destination, item: Item) -> Kept:
        """Write an item, once."""
        if not item.is_saved:
            item.is_saved = True
            self._disk.keep(destination, item)
        return Kept.SAFE if item.is_safe else Kept.SOON

    def over(self, item: Item, status: int) -> None:
        """Nothing of it needs to be kept any more."""
        item.is_over = True
        if item.is_saved:
            self._disk.forget(item, status)

    def put_back(self, destination: Destination, items: Iterable[Item]) -> None:
        """Keep items, in order, before all that waits there."""
        batch = list(items)
        if not batch:
            return
        queue = self._queues.get(destination)
        if queue is None:  # all others of it that are on disk are on their way, too
            queue = self._queues[destination] = _Queue(last_id=self._next_id - 1)
        queue.ready.extendleft(reversed(batch))
        self._add(batch, 1)
        for item in batch:
            self.save(destination, item)

    def take(self, destination: Destination) -> Item | None:
        """The first that waits; None when nothing does, or it has to be read first."""
        queue = self._queues.get(destination)
        if queue is None:
            return None
        if not queue.ready:
            self._load(destination, queue)
            return None
        item = queue.ready.popleft()
        self._add([item], -1)
        self._tidy(destination, queue)
        return item

    def waiting(self, destination: Destination) -> Iterable[Item]:
        """All that waits and is in memory, in order."""
        queue = self._queues.get(destination)
        return queue.ready if queue is not None else ()

    def is_empty(self, destination: Destination) -> bool:
        """Whether nothing waits there."""
        return destination not in self._queues

    def clear(self, destination: Destination) -> list[Item]:
        """Take all that waits and is in memory."""
        queue = self._queues.get(destination)
        if queue is None:
            return []
        items = list(queue.ready)
        queue.ready.clear()
        self._add(items, -1)
        self._load(destination, queue)  # the rest follows, and `loaded` tells
        self._tidy(destination, queue)
        return items

    def remove(self, destination: Destination, item: Item) -> None:
        """An item that could not be written does not wait any more."""
        queue = self._queues.get(destination)
        if queue is None:
            return
        if item in queue.ready:
            queue.ready.remove(item)
        elif queue.on_disk:
            queue.on_disk -= 1
        self._add([item], -1)
        self._tidy(destination, queue)

    def owe(self, destination: Destination, raw: bytes) -> None:
        """A status is to survive us."""
        self._disk.owe(destination, raw)

    def paid(self, destination: Destination) -> None:
        """All that was owed there was told."""
        self._disk.paid(destination)

    # Reading ------------------------------------------------------------------------------------

    def _load(self, destination: Destination, queue: _Queue) -> None:
        if queue.is_loading or not queue.on_disk:
            return
        queue.is_loading = True

        def found(items: list[Item]) -> None:
            queue.is_loading = False
            queue.ready.extend(items)
            queue.on_disk -= len(items)  # none: what it was asked for could not be written; more may have come
            if items:
                queue.last_id = items[-1].id
            self._tidy(destination, queue)
            self._loaded(destination)

        self._disk.load(destination, queue.last_id, IN_MEMORY, found)

    def _tidy(self, destination: Destination, queue: _Queue) -> None:
        if not queue.ready and not queue.on_disk and not queue.is_loading:
            self._queues.pop(destination, None)

    def _add(self, items: list[Item], sign: int) -> None:
        """Count what came (1) or went (-1)."""
        self._count += sign * len(items)
        self._bytes += sign * sum(len(item.raw) for item in items)
