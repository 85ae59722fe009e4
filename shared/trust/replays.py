"""Which numbers of an author's device came already: an old message that a server sends again is refused. Pure.

A device's numbers grow. Two programs of one device, or a lost link, bring them in another order: so beside the
highest the last few are known, and what is between them and new is let in (the window of RFC 4303). What is at or
below the window's end is old. A sender is a hash, which says of nobody who wrote to whom.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum
from typing import Final

from parley.shared.addresses import Group
from parley.shared.names import fold
from parley.shared.trust.authors import conversation_of
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb

WINDOW: Final = 256
"""Numbers of one device in one conversation that are known."""
MOST: Final = 10_000
"""Devices and conversations that are known, 25 MB at most: the one that was silent the longest is forgotten."""
SENDER: Final = 16
"""Bytes of a sender."""

Sender = bytes
"""A device's key and the conversation, hashed."""


def sender_of(message: pb.ChatMessage) -> Sender:
    """Of which device's numbers in which conversation a signed message's is one."""
    to = conversation_of(message)
    fields = signed_bytes("sender", message.proof.key, int(isinstance(to, Group)), to[0], fold(to[1]))
    return hashlib.blake2b(fields, digest_size=SENDER).digest()


class Order(Enum):
    """A number's place among those that came."""

    NEW = "new"
    KNOWN = "known"
    """It came: the same message once more, because its acknowledgement was lost."""
    OLD = "old"
    """The device has passed it by far."""


class Replays:
    """The last numbers of devices in conversations."""

    def __init__(self, most: int = MOST, window: int = WINDOW) -> None:
        self._most = most
        self._window = window
        self._numbers: OrderedDict[Sender, array[int]] = OrderedDict()
        """The numbers known, in order; the first is the floor once there are `window` of them."""

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, sender: Sender) -> list[int]:
        """The numbers that are known of one, in order."""
        return list(self._numbers.get(sender, ()))

    def order(self, sender: Sender, number: int) -> Order:
        """The place of a number; nothing is changed."""
        known = self._numbers.get(sender)
        if not known:
            return Order.NEW
        at = bisect_left(known, number)
        if at < len(known) and known[at] == number:
            return Order.KNOWN
        return Order.OLD if at == 0 and len(known) >= self._window else Order.NEW

    def note(self, sender: Sender, *numbers: int) -> None:
        """These came, and their signatures hold."""
        known = self._numbers.setdefault(sender, array("Q"))
        self._numbers.move_to_end(sender)
        add_numbers(known, numbers, self._window)
        if len(self._numbers) > self._most:
            self._numbers.popitem(last=False)


def add_numbers(known: array[int], numbers: Iterable[int], window: int = WINDOW) -> None:
    """Add numbers to those that are known, and forget the lowest beyond the window."""
    for number in numbers:
        at = bisect_left(known, number)
        if at == len(known) or known[at] != number:
            known.insert(at, number)
    del known[:-window]
