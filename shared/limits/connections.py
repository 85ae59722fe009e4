"""Accepted connections by the address that they come from: who has too many, and which one goes. Pure.

Nobody who is connected is counted against: a gateway stands for everybody behind it. But a connection that says
nothing costs its other side nothing: of those that are not connected yet each address may have UNCONNECTED, after a
moment in which a thousand that come at once have said who they are. And where the process's descriptors come to an
end, the address with the most connections loses its newest, so that some are left for servers and for the pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

UNCONNECTED: Final = 64
"""Connections of one address that have not said who they are."""
UNCONNECTED_BURST: Final = 1024
"""The same for MOMENT seconds: as many as the system holds that wait to be accepted."""
MOMENT: Final = 1.0
OF_TURN: Final = 16
"""Of those that have had it, so many are given up in one turn of the loop: a millisecond's work."""
USED: Final = 0.8
"""The share of the process's descriptors at which connections are given up."""
OF_USER: Final = 64
"""Connected clients of one user: what comes for the user is written to each of them."""
QUIET: Final = 60.0
"""Seconds for which one of them was not heard that goes for a newcomer."""

T = TypeVar("T")


class Connections(Generic[T]):
    """All accepted connections; times are seconds, monotonic."""

    def __init__(self) -> None:
        self._address: dict[T, str] = {}
        self._of: dict[str, dict[T, None]] = {}
        """Address → its connections, oldest first."""
        self._unconnected: dict[str, dict[T, float]] = {}
        """Address → those that are not connected, oldest first, and when they came."""
        self._by_count: dict[int, dict[str, None]] = {}
        """How many → the addresses that have so many."""
        self._most = 0

    def __len__(self) -> int:
        return len(self._address)

    @property
    def unconnected(self) -> int:
        """How many are not connected yet."""
        return sum(map(len, self._unconnected.values()))

    def came(self, connection: T, address: str, now: float) -> None:
        """One was accepted."""
        self._address[connection] = address
        of = self._of.setdefault(address, {})
        of[connection] = None
        self._recount(address, len(of) - 1, len(of))
        self._unconnected.setdefault(address, {})[connection] = now

    def connected(self, connection: T) -> None:
        """A connection has said who it is, and was let in."""
        address = self._address.get(connection)
        if address is not None:
            self._forget_unconnected(connection, address)

    def went(self, connection: T) -> None:
        """A connection is closed."""
        address = self._address.pop(connection, None)
        if address is None:
            return
        of = self._of[address]
        del of[connection]
        self._recount(address, len(of) + 1, len(of))
        if not of:
            del self._of[address]
        self._forget_unconnected(connection, address)

    def _forget_unconnected(self, connection: T, address: str) -> None:
        unconnected = self._unconnected.get(address)
        if unconnected is not None and unconnected.pop(connection, None) is not None and not unconnected:
            del self._unconnected[address]

    def _recount(self, address: str, before: int, after: int) -> None:
        if before:
            addresses = self._by_count[before]
            del addresses[address]
            if not addresses:
                del self._by_count[before]
        if after:
            self._by_count.setdefault(after, {})[address] = None
        self._most = max(self._most, after)
        while self._most and self._most not in self._by_count:
            self._most -= 1

    # Who goes ----------------------------------------------------------------------------------------

    def too_many(self, address: str) -> bool:
        """Whether more than UNCONNECTED_BURST of an address are not connected: the newest goes at once."""
        return len(self._unconnected.get(address, ())) > UNCONNECTED_BURST

    def silent(self, now: float) -> list[T]:
        """Those beyond UNCONNECTED of an address that have had their moment, the oldest first; OF_TURN at most."""
        found: list[T] = []
        for unconnected in self._unconnected.values():
            excess = len(unconnected) - UNCONNECTED
            for connection, came in unconnected.items():
                if excess <= 0 or now - came < MOMENT:
                    break
                if len(found) == OF_TURN:
                    return found
                found.append(connection)
                excess -= 1
        return found

    def next_look(self, address: str | None = None) -> float | None:
        """When `silent` may find some, of one address or of any: the oldest of too many has had its moment."""
        all_of_them = self._unconnected
        some = all_of_them.values() if address is None else [all_of_them[address]] if address in all_of_them else []
        oldest = [next(iter(unconnected.values())) for unconnected in some if len(unconnected) > UNCONNECTED]
        return min(oldest) + MOMENT if oldest else None

    def newest_of_the_largest(self, may_go: Callable[[T], bool]) -> T | None:
        """The newest connection, of those that may go, of the address that has the most."""
        for address in self._by_count.get(self._most, ()):
            for connection in reversed(self._of[address]):
                if may_go(connection):
                    return connection
        return None


def who_goes(
    clients: Iterable[T],
    newcomer: str,
    address_of: Callable[[T], str],
    heard_at: Callable[[T], float],
    now: float,
) -> T | None:
    """Which of a user's clients goes for one more, who comes from the address `newcomer`.

    Anybody can say that they are that user. So an address that has more of them than the newcomer's would have
    loses its newest; and else the one goes that was not heard for longest, if that is long, but none of an address
    that has fewer.
    """
    of: dict[str, list[T]] = {}
    for client in clients:
        of.setdefault(address_of(client), []).append(client)
    count = len(of.get(newcomer, ())) + 1
    largest = max(of.values(), key=len)
    if len(largest) > count:
        return largest[-1]
    may_go = [each for address, some in of.items() if address == newcomer or len(some) >= count for each in some]
    found = min(may_go, key=heard_at, default=None)
    return found if found is not None and now - heard_at(found) >= QUIET else None
