"""The statuses of members who had one shared copy go back together: one MESSAGE_ACK for many. Pure.

Their clients answer one by one, and each answer in a frame of its own would cost the group's server more than the
copy did. So statuses of such a message wait for each other: the first for FIRST, those after them for LATER, and
all no longer than until each member has one. That the message came is said at once: who is heard answers just now,
and has more time until its messages are written to disk (delivery/persist_timer.py).
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Final

from parley.services.chat.message.model import Destination
from parley.shared.addresses import User

FIRST: Final = 0.02
"""Seconds for which the first status of a message waits for others; less than half of the usual persist delay."""
LATER: Final = 0.1
"""The same of those after them: their clients are slow, or this machine has much to do."""
MOST: Final = 20_000
"""Messages of which that is known; of those that were forgotten each status is told at once."""

Answered = tuple[Destination, User, int]
"""A destination of statuses, and their message: its author and number."""


class AnswersTogether:
    """The messages of which statuses wait for each other."""

    def __init__(self) -> None:
        self.missing: OrderedDict[Answered, int] = OrderedDict()
        """Messages → the members without a status."""
        self._first: dict[Answered, float] = {}
        """Those of which a status waits, the first one → until when; in that order."""
        self._later: dict[Answered, float] = {}
        """The same where others were told before."""
        self._begun: set[Answered] = set()
        """Those of which something was told."""

    def came(self, which: Answered, members: int) -> None:
        """A message came for so many members at once."""
        self.missing[which] = self.missing.get(which, 0) + members
        if len(self.missing) > MOST:
            self._begun.discard(self.missing.popitem(last=False)[0])

    def may_go(self, which: Answered, statuses: int, now: float) -> bool:
        """Whether the statuses that were gathered of a message, so many, are told now."""
        missing = self.missing.get(which, 0)
        held, seconds = (self._later, LATER) if which in self._begun else (self._first, FIRST)
        if statuses < missing and now < held.setdefault(which, now + seconds):
            return False
        held.pop(which, None)
        if statuses < missing:
            self.missing[which] = missing - statuses
            self._begun.add(which)
        else:
            self.missing.pop(which, None)
            self._begun.discard(which)
        return True

    def due(self) -> list[float]:
        """When those that have waited the longest are to be given."""
        return [until for each in (self._first, self._later) for until in islice(each.values(), 1)]
