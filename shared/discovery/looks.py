"""Servers that repeated looks at the network find, where no discovery process keeps a directory. Pure.

Whoever announces decides neither how many servers are dealt with nor for how long: there is a bound in all and for
each address, and a server that is neither heard nor linked any more is forgotten. Times are seconds, monotonic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from parley.shared.addresses import Server
from parley.shared.spellings import ByName


class Looks:
    """The servers of all looks: `most` in all, `from_one` of an address, each until `expiry` after it was heard."""

    def __init__(self, *, most: int, from_one: int, expiry: float) -> None:
        self._most = most
        self._from_one = from_one
        self._expiry = expiry
        self._known: ByName[tuple[str, float]] = ByName()
        """Server → the address of its first endpoint, and when it was heard or linked last."""
        self._of_address: Counter[str] = Counter()
        self.refused = 0
        """Servers for which there was no room."""

    def __len__(self) -> int:
        return len(self._known)

    @property
    def addresses(self) -> int:
        """How many addresses are remembered."""
        return len(self._of_address)

    def heard(
        self, found: Iterable[Server], is_linked: Callable[[str], bool], now: float
    ) -> tuple[list[Server], list[str]]:
        """The servers of a look that are dealt with, and those that are forgotten."""
        gone = []
        for server_id, (address, at) in list(self._known.items()):
            if is_linked(server_id):
                self._known[server_id] = address, now
            elif now - at > self._expiry:
                del self._known[server_id]
                self._of_address[address] -= 1
                if not self._of_address[address]:
                    del self._of_address[address]
                gone.append(server_id)
        return [server for server in found if self._admits(server, now)], gone

    def _admits(self, server: Server, now: float) -> bool:
        known = self._known.get(server.server_id)
        address = known[0] if known else next((each[0].host for each in server.features.values() if each), "")
        if known is None:
            if len(self._known) >= self._most or self._of_address.get(address, 0) >= self._from_one:
                self.refused += 1
                return False
            self._of_address[address] += 1
        self._known[server.server_id] = address, now
        return True
