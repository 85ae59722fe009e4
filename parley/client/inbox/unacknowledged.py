"""Received messages that are not acknowledged yet: some wait for the application, some it has.

Theory of operation. Whoever reads them, `on_message` or a loop over `messages()`, does it with these:

    put           a new one waits, and whoever reads is told
    take          the application has the oldest that waits
    acknowledge   the application is done with it, and its server is told
    drop          the application could not take it; its server offers it again after a while
    put_back      what the application has had, and did not acknowledge, waits again, before all others

A message in this table that its server offers once more is the same one, and nothing is done about it. How many
there are is its server's affair: it keeps to the window that CONNECT_CLIENT names. A server that does not, or knows
no window, ends at MOST: what comes then is not kept, nor acknowledged.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from parley.client.inbox.message import Message

MOST: Final = 40_000
"""Messages: more than an honest server has in flight to a client that names no window."""
MOST_BYTES: Final = 32 * 1024 * 1024


class Unacknowledged:
    """One user's. `acknowledged` hears of each that the application is done with; `dropped` of all others."""

    def __init__(
        self,
        acknowledged: Callable[[Message], None],
        dropped: Callable[[Message], None],
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._acknowledged = acknowledged
        self._dropped = dropped
        self._most = most
        self._most_bytes = most_bytes
        self._unread: OrderedDict[Message, int] = OrderedDict()
        """The size of each message that waits, in order."""
        self._taken: OrderedDict[Message, int] = OrderedDict()
        """The same of those that the application has."""
        self._keys: set[bytes] = set()
        self._size = 0
        self._news = asyncio.Event()
        """Set where a message waits, or something else is to be looked at by whoever waits for one."""
        self._reader: object = None
        self._has_ended = False
        self.arrived: Callable[[], None] = _nothing
        """Called when a message waits that did not before."""

    def __len__(self) -> int:
        return len(self._unread) + len(self._taken)

    def has(self, key: bytes) -> bool:
        """Whether the message with this key is one of them."""
        return key in self._keys

    # In and out ------------------------------------------------------------------------------------------

    def put(self, message: Message) -> bool:
        """A message is new; False where there is no room for it."""
        size = message.content.ByteSize()
        if len(self) >= self._most or self._size + size > self._most_bytes:
            return False
        self._unread[message] = size
        self._size += size
        if message.key:
            self._keys.add(message.key)
        self._news.set()
        self.arrived()
        return True

    def take(self) -> Message | None:
        """The application has the oldest that waits; None: none does."""
        if not self._unread:
            return None
        message, size = self._unread.popitem(last=False)
        self._taken[message] = size
        return message

    def acknowledge(self, message: Message) -> None:
        """The application is done with it; what is none of these was acknowledged before, or dropped."""
        if self._forget(message):
            self._acknowledged(message)

    def drop(self, message: Message) -> None:
        """The application could not take it."""
        if self._forget(message):
            self._dropped(message)

    def _forget(self, message: Message) -> bool:
        size = self._taken.pop(message, None)
        if size is None:
            size = self._unread.pop(message, None)
        if size is None:
            return False
        self._size -= size
        self._keys.discard(message.key)
        return True

    def put_back(self) -> None:
        """Have all that the application has wait again, before all others."""
        while self._taken:
            message, size = self._taken.popitem()
            self._unread[message] = size
            self._unread.move_to_end(message, last=False)

    # A loop that reads -----------------------------------------------------------------------------------

    def read_by(self, reader: object) -> None:
        """From now on this one reads, and no other; what its predecessor did not acknowledge comes again."""
        self._reader = reader
        self._has_ended = False
        self.put_back()
        self._news.set()

    def require(self, reader: object) -> None:
        """RuntimeError: another one reads since."""
        if self._reader is not reader:
            raise RuntimeError("messages() was called again since: one loop at a time reads a user's messages")

    async def next(self, reader: object) -> Message:
        """Wait for a message, and take it.

        Raises:
            RuntimeError: another one reads since.
            StopAsyncIteration: the connection was closed for good.

        """
        while True:
            self.require(reader)
            if self._has_ended:
                raise StopAsyncIteration
            if (message := self.take()) is not None:
                return message
            self._news.clear()
            await self._news.wait()

    def close(self) -> None:
        """Give the application nothing any more: what waits is dropped, and a loop over `messages()` ends."""
        for message in list(self._unread):
            self.drop(message)
        self._has_ended = True
        self._news.set()


def _nothing() -> None:
    """Do nothing: a loop that reads asks by itself."""
