"""The interface of the fast path: messages that are sent at once and wait for their answers apart. Pure.

Without the compiled core there is no fast path, and every message is routed by router.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from parley.services.chat.message.model import Destination, Key
from parley.services.chat.roster import ChatLink
from parley.shared.addresses import Recipient, User

Sent = tuple[Destination, User, int, Recipient, bytes, str, float, int, list[ChatLink], Key]
"""A message on its way: destination, author, snowflake, recipient, its frame, its origin (a serverId, or empty),
when it came and was sent (seconds, monotonic), its place in the mailbox's order, the links that it is on, its
key."""

DeliveredRun = Callable[[bool, float, int], None]
"""Hears of deliveries: whether of a recipient here, when they arrived (seconds, monotonic), of how many messages.
Or the core's Deliveries, which count these themselves, with no call."""


class FastPathInterface(Protocol):
    """Holds what it sent until it is answered, or handed over."""

    def __len__(self) -> int:
        """How many messages are on their way here."""

    @property
    def size(self) -> int:
        """The bytes of the messages in flight."""

    def due(self, delay: float) -> float | None:
        """When `settle_due` must be called (seconds, monotonic), or None."""

    def settle(self, destination: Destination) -> Iterable[Sent]:
        """Hand over all that is on its way there, in order."""

    def settle_due(self, now: float, delay: float) -> Iterable[Sent]:
        """Hand over what was sent `delay` seconds before `now` or earlier, in order.

        What is for one who answers just now has ten times as long: it is about to be answered.
        """


class NoFastPath(tuple[()]):
    """Nothing takes the fast path. A tuple, because it is asked for its length with each message."""

    __slots__ = ()
    size = 0

    def due(self, _delay: float) -> float | None:
        """Never."""
        return None

    def settle(self, _destination: Destination) -> Iterable[Sent]:
        """Nothing is on its way."""
        return ()

    def settle_due(self, _now: float, _delay: float) -> Iterable[Sent]:
        """Nothing is on its way."""
        return ()
