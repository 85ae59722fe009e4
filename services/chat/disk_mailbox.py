"""The mailbox that survives its process: what waits is on disk, and in memory only what goes out soon. Pure.

The disk itself is behind `Disk` (store.py): it writes in order, and tells when something is safe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from services.chat.mailbox import Destination, Item, Kept, Key, Recall
from shared.addresses import User

IN_MEMORY: Final = 512
"""Waiting messages of one destination in memory; more are read when those go out."""
FIRST_READ: Final = 32
"""Of them read at first: those of a thousand users who come at once are read in turn."""
ALL_IN_MEMORY: Final = 50_000
"""Waiting messages of all destinations in memory: beyond it what comes waits on disk alone."""
ALL_BYTES_IN_MEMORY: Final = 32 * 1024 * 1024
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

    @property
    def recall(self) -> Recall:
        """What `find` looks through."""

    def find(self, key: Key) -> int | None:
        """The status of a message that is, or lately was, on disk."""

    def delivered(self, item: Item) -> None:
        """A message that was never kept was delivered."""

    def when_safe(self, then: Callable[[], None]) -> None:
        """Call when all that was written so far is safe."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many messages, and how many bytes of them, may wait: in all, and for one user."""

    messages: int
    size: int
    user_messages: int
    user_size: int


class _Queue:
    """What waits for one destination: first what is in memory, then what is only on disk."""

    __slots__ = ("count", "is_loading", "last_id", "next_read", "on_disk", "ready", "size")

    def __init__(self, on_disk: int = 0, size: int = 0, last_id: int = 0) -> None:
        self.ready: deque[Item] = deque()
        self.on_disk = on_disk
        self.last_id = last_id
        """What has greater ids than this is only on disk."""
        self.is_loading = False
        self.next_read = FIRST_READ
        """How many are read next; twice as many each time."""
        self.count = on_disk
        self.size = size


class DiskMailbox:
    """What waits, within limits.

    `next_id` is greater than that of any message on disk. `loaded(destination)` is called when more of what
    waits there is in memory.
    """

    def __init__(self, disk: Disk, limits: Limits, *, next_id: int, loaded: Callable[[Destination], None]) -> None:
        self._disk = disk
        self._limits = limits
        self.next_id = next_id
        self._loaded = loaded
        self._count = 0
        self._bytes = 0
        self._ready = 0
        """How many messages are in memory."""
        self._ready_bytes = 0
        self.queues: dict[Destination, _Queue] = {}
        """What waits somewhere; what is sent at once reads it, and counts `next_id` on (express.py)."""

    def __len__(self) -> int:
        return self._count

    def found_at_start(self, destination: Destination, count: int, size: int) -> None:
        """So much waits on disk from before."""
        self.queues[destination] = _Queue(count, size)
        self._count += count
        self._bytes += size

    # Mailbox ----------------------------------------------------------------------------------

    def number(self, item: Item) -> None:
        """Give an item its place: what is on its way has one before what waits behind it, written first or not."""
        if item.id == 0:
            item.id = self.next_id
            self.next_id += 1

    def put(self, destination: Destination, item: Item) -> Kept:
        """Keep an item behind all that waits there."""
        queue = self.queues.get(destination)
        if self._is_full(destination, queue, item):
            return Kept.FULL
        self.number(item)
        if queue is None:  # what is on disk with smaller numbers is on its way
            queue = self.queues[destination] = _Queue(last_id=item.id - 1)
        self._add(queue, item, 1)
        if queue.on_disk or queue.is_loading or not self._has_memory(queue, item):
            queue.on_disk += 1
        else:
            queue.ready.append(item)
            queue.last_id = item.id
            self._remember([item])
        return self.save(destination, item)

    def _has_memory(self, queue: _Queue, item: Item) -> bool:
        return (
            len(queue.ready) < IN_MEMORY
            and item.size < LARGE
            and self._ready < ALL_IN_MEMORY
            and self._ready_bytes < ALL_BYTES_IN_MEMORY
        )

    def _is_full(self, destination: Destination, queue: _Queue | None, item: Item) -> bool:
        """What waits for another server is many users'."""
        limits = self._limits
        if self._count >= limits.messages or self._bytes + item.size > limits.size:
            return True
        if queue is None or not isinstance(destination, User):
            return False
        return queue.count >= limits.user_messages or queue.size + item.size > limits.user_size

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

    def handed_over(self, item: Item, status: int) -> None:
        """Another server has it: that is known after a restart, too."""
        item.is_over = True
        self._disk.forget(item, status)

    def put_back(self, destination: Destination, items: Iterable[Item]) -> None:
        """Keep items, in order, before all that waits there."""
        batch = list(items)
        if not batch:
            return
        queue = self.queues.get(destination)
        if queue is None:  # all others of it that are on disk are on their way, too
            queue = self.queues[destination] = _Queue(last_id=self.next_id - 1)
        queue.ready.extendleft(reversed(batch))
        self._remember(batch)
        for item in batch:
            self._add(queue, item, 1)
            self.save(destination, item)

    def take(self, destination: Destination) -> Item | None:
        """The first that waits; None when nothing does, or it has to be read first."""
        queue = self.queues.get(destination)
        if queue is None:
            return None
        if not queue.ready:
            self._load(destination, queue)
            return None
        item = queue.ready.popleft()
        self._forget([item])
        self._add(queue, item, -1)
        if len(queue.ready) < queue.next_read // 4:
            self._load(destination, queue)
        self._tidy(destination, queue)
        return item

    def waiting(self, destination: Destination) -> Iterable[Item]:
        """All that waits and is in memory, in order."""
        queue = self.queues.get(destination)
        return queue.ready if queue is not None else ()

    def is_empty(self, destination: Destination) -> bool:
        """Whether nothing waits there."""
        return destination not in self.queues

    def clear(self, destination: Destination) -> list[Item]:
        """Take all that waits and is in memory."""
        queue = self.queues.get(destination)
        if queue is None:
            return []
        items = list(queue.ready)
        queue.ready.clear()
        self._forget(items)
        for item in items:
            self._add(queue, item, -1)
        self._load(destination, queue)  # the rest follows, and `loaded` tells
        self._tidy(destination, queue)
        return items

    def is_waiting_on_disk(self, destination: Destination) -> bool:
        """Whether some of what waits there is not in memory."""
        queue = self.queues.get(destination)
        return queue is not None and queue.on_disk > 0

    def remove(self, destination: Destination, item: Item, *, is_written: bool = True) -> bool:
        """Take one item from what waits; False when it does not, or is being read just now."""
        queue = self.queues.get(destination)
        if queue is None:
            return False
        if item.id > queue.last_id:
            if not queue.on_disk or (queue.is_loading and is_written):
                return False
            queue.on_disk -= 1
        elif (found := next((each for each in queue.ready if each.id == item.id), None)) is not None:
            queue.ready.remove(found)
            self._forget([found])
            found.is_over = True  # it may still be on its way to the disk
        else:
            return False
        self._add(queue, item, -1)
        self._tidy(destination, queue)
        return True

    @property
    def recall(self) -> Recall:
        """What `find` looks through."""
        return self._disk.recall

    def find(self, key: Key) -> int | None:
        """The status of a message that is, or lately was, on disk."""
        return self._disk.find(key)

    def delivered(self, item: Item) -> None:
        """It came and went at once: it is recognised after a restart all the same."""
        if not item.is_saved:
            self._disk.delivered(item)

    def when_safe(self, then: Callable[[], None]) -> None:
        """Call when all that was written so far is safe."""
        self._disk.when_safe(then)

    # Reading ------------------------------------------------------------------------------------

    def _load(self, destination: Destination, queue: _Queue) -> None:
        if queue.is_loading or not queue.on_disk:
            return
        queue.is_loading = True

        def found(items: list[Item]) -> None:
            queue.is_loading = False
            queue.ready.extend(items)
            self._remember(items)
            queue.on_disk -= len(items)  # none: what it was asked for could not be written; more may have come
            if items:
                queue.last_id = items[-1].id
            self._tidy(destination, queue)
            self._loaded(destination)

        count = min(queue.next_read, IN_MEMORY)
        if self._ready >= ALL_IN_MEMORY or self._ready_bytes >= ALL_BYTES_IN_MEMORY:
            count = min(FIRST_READ, IN_MEMORY)
        queue.next_read = min(2 * queue.next_read, IN_MEMORY)
        self._disk.load(destination, queue.last_id, count, found)

    def _tidy(self, destination: Destination, queue: _Queue) -> None:
        if not queue.ready and not queue.on_disk and not queue.is_loading:
            self.queues.pop(destination, None)

    def _remember(self, items: list[Item]) -> None:
        self._ready += len(items)
        self._ready_bytes += sum(item.size for item in items)

    def _forget(self, items: list[Item]) -> None:
        self._ready -= len(items)
        self._ready_bytes -= sum(item.size for item in items)

    def _add(self, queue: _Queue, item: Item, sign: int) -> None:
        """Count what came (1) or went (-1)."""
        item.waited = True
        self._count += sign
        self._bytes += sign * item.size
        queue.count += sign
        queue.size += sign * item.size
