"""Owed statuses: those that somebody must be told for certain, kept until a receipt says so. Pure.

Theory of operation. A status that follows an interim one is known to one server only: the author's server has
forgotten the message, and asks no more. So the server that has it owes the status:

    owed to                  told                                until
    another Parley           over each new link, in order        STATUS_RECEIVED: it is safe there
    an existing server       once, over the next link            it was written to the link
    an author, a user here   once, when a client is there        it was written to the link

A status is on disk before it is told. MESSAGE_ACK carries its number as `receipt`, and STATUS_RECEIVED names the
highest that came: a receipt settles what was told over its own link, up to that number, and nothing else. The
first IN_MEMORY statuses of a destination are in memory, the others on disk alone, and read when those have come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, Protocol

from parley.services.chat.message.model import Destination
from parley.services.chat.roster import ChatLink, Roster
from parley.shared.addresses import User
from parley.shared.wire.framing import encode_frame
from parley.shared.wire.messages import pb

IN_MEMORY: Final = 1024
"""Statuses of one destination in memory, and so told without an answer; more are read when those have come."""

MOST: Final = 1_000_000
"""Statuses owed to one destination."""
MOST_OF_ALL: Final = 2_000_000
"""The same of all together: one destination has half of what the others leave at most."""
ALL_IN_MEMORY: Final = 100_000
"""Statuses of all destinations in memory: beyond it what comes is on disk alone until those before it were told."""

OwedStatus = tuple[int, bytes]
"""A status's number, and its MESSAGE_ACK's payload."""


class Ledger(Protocol):
    """The statuses that are owed, on disk."""

    def owe(self, destination: Destination, number: int, payload: bytes) -> None:
        """Write a status."""

    def paid(self, destination: Destination, number: int) -> None:
        """Remove all statuses up to this number."""

    def load_owed(
        self, destination: Destination, after: int, limit: int, found: Callable[[list[OwedStatus]], None]
    ) -> None:
        """Read the next statuses with numbers greater than `after`."""


class _Account:
    """The statuses owed to one destination: first those in memory, then those only on disk."""

    __slots__ = ("is_loading", "last_number", "newest", "on_disk", "sent", "statuses")

    def __init__(self, on_disk: int = 0) -> None:
        self.statuses: deque[OwedStatus] = deque()
        self.sent = 0
        """How many of them the present link was given."""
        self.on_disk = on_disk
        self.last_number = 0
        self.is_loading = False
        self.newest = 0.0
        """When the last one came (the mailbox's age)."""

    def __len__(self) -> int:
        return len(self.statuses) + self.on_disk


class OwedStatuses:
    """All that is owed. `next_number` is greater than that of any status on disk.

    `age` tells how old the mailbox is (seconds); `limited` counts what is owed to nobody any more.
    """

    def __init__(
        self,
        roster: Roster,
        ledger: Ledger,
        next_number: int,
        *,
        age: Callable[[], float] = lambda: 0.0,
        limited: Callable[[], None] = lambda: None,
    ) -> None:
        self._age = age
        self._limited = limited
        self._count = 0
        self._in_memory = 0
        self._roster = roster
        self._ledger = ledger
        self._next_number = next_number
        self._accounts: dict[Destination, _Account] = {}

    def __len__(self) -> int:
        return self._count

    @property
    def destinations(self) -> int:
        """To how many something is owed."""
        return len(self._accounts)

    def found_at_start(self, destination: Destination, count: int) -> None:
        """So many are on disk from before."""
        account = self._accounts[destination] = _Account(count)
        account.newest = self._age()
        self._count += count

    def owe(self, destination: Destination, payload: bytes) -> None:
        """Tell a status, now or later, and keep it until it was told."""
        account = self._accounts.get(destination)
        if account is None:
            account = _Account()
        owed = len(account)
        if owed >= MOST or owed >= (MOST_OF_ALL - self._count + owed) / 2:
            self._limited()  # whoever never comes back is owed no more
            return
        self._accounts[destination] = account
        account.newest = self._age()
        self._count += 1
        number, self._next_number = self._next_number, self._next_number + 1
        self._ledger.owe(destination, number, payload)
        is_behind = account.on_disk or account.is_loading or len(account.statuses) >= IN_MEMORY
        if is_behind or (self._in_memory >= ALL_IN_MEMORY and not self._links(destination)[0]):
            account.on_disk += 1
        else:
            self._in_memory += 1
            account.statuses.append((number, payload))
            account.last_number = number
        self.send(destination)

    def connected(self, destination: Destination) -> None:
        """There is a link, another one perhaps: tell all from the first."""
        if (account := self._accounts.get(destination)) is not None:
            account.sent = 0
            self.send(destination)

    def send(self, destination: Destination) -> None:
        """Tell what the link was not given yet, while it has room."""
        account = self._accounts.get(destination)
        if account is None:
            return
        links, confirms = self._links(destination)
        last = 0
        for number, payload in islice(account.statuses, account.sent, None):
            if not any(link.writable for link in links):
                break
            raw = encode_frame("MESSAGE_ACK", payload + _receipt(number) if confirms else payload)
            for link in links:
                link.send(raw)
            account.sent += 1
            last = number
        if last and not confirms:
            self._pay(destination, account, last)
        elif links and not account.statuses:
            self._read_on(destination, account)

    def received(self, server_id: str, number: int) -> None:
        """Another server has all up to this number safe."""
        if (account := self._accounts.get(server_id)) is not None:
            sent = list(islice(account.statuses, account.sent))
            self._pay(server_id, account, min(number, sent[-1][0] if sent else 0))

    def expire(self, before: float) -> None:
        """Forget statuses owed before that age of the mailbox: the disk has forgotten them."""
        for destination in [each for each, account in self._accounts.items() if account.newest < before]:
            account = self._accounts.pop(destination)
            self._count -= len(account)
            self._in_memory -= len(account.statuses)

    def _links(self, destination: Destination) -> tuple[list[ChatLink], bool]:
        """Where it is told, and whether that answers."""
        if isinstance(destination, User):
            return list(self._roster.clients(destination)), False
        server = self._roster.linked(destination)
        return ([], False) if server is None else ([server.link], server.confirms)

    def _pay(self, destination: Destination, account: _Account, number: int) -> None:
        paid = 0
        while account.statuses and account.statuses[0][0] <= number:
            account.statuses.popleft()
            paid += 1
        self._count -= paid
        self._in_memory -= paid
        if paid:
            account.sent = max(0, account.sent - paid)
            self._ledger.paid(destination, number)
        self._read_on(destination, account)

    def _read_on(self, destination: Destination, account: _Account) -> None:
        """Read what is only on disk, once what was in memory has been told; or close the account."""
        if account.statuses or account.is_loading:
            return
        if not account.on_disk:
            self._accounts.pop(destination, None)
            return
        account.is_loading = True
        asked = account.on_disk

        def found(statuses: list[OwedStatus]) -> None:
            account.is_loading = False
            if self._accounts.get(destination) is not account:
                return  # it has expired
            account.statuses.extend(statuses)
            self._in_memory += len(statuses)
            account.on_disk -= len(statuses) or asked  # none: they have expired, or could not be written
            self._count -= 0 if statuses else asked
            if statuses:
                account.last_number = statuses[-1][0]
            self.send(destination)
            if not account.statuses:
                self._read_on(destination, account)

        self._ledger.load_owed(destination, account.last_number, IN_MEMORY, found)


def _receipt(number: int) -> bytes:
    """Field 103, which any payload can be given by appending it."""
    return pb.ChatMessageResponse(receipt=number).SerializeToString()
