"""The lists of positions that clients are told, each in its own dialect. Pure.

An existing client loses what stands behind a position that is over: each of these is the last of its list
(pack_plain), and so nearly each costs a datagram of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from heapq import nlargest
from typing import Final, Generic, Protocol, TypeVar

from parley.services.location.positions import LIST, Position
from parley.shared.soft_state.datagram_lists import pack, pack_plain

MOST_ENDED: Final = 32
"""Positions that are over, the newest, of which an existing client is told at a time: it knows when each ends."""


class Client(Protocol):
    """Somebody who is told."""

    @property
    def is_parley(self) -> bool:
        """Whether it takes fields of ours."""


ClientT = TypeVar("ClientT", bound=Client)


class Lists(Generic[ClientT]):
    """Positions, gathered for each client."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._items: dict[ClientT, list[bytes]] = defaultdict(list)
        self._ended: dict[ClientT, list[Position]] = defaultdict(list)
        """Positions that are over, for clients that are no Parley."""

    def add(self, client: ClientT, position: Position) -> None:
        """Have a client told of a position."""
        if client.is_parley:
            self._items[client].append(position.item(self._now))
        elif position.is_over:
            self._ended[client].append(position)
        else:
            self._items[client].append(position.plain)

    def datagrams(self) -> Iterator[tuple[ClientT, Iterator[bytes]]]:
        """Each client, and what to send to it."""
        for client in self._items | self._ended:
            items = self._items.get(client, [])
            if client.is_parley:
                yield client, pack(LIST, items)
            else:
                newest = nlargest(MOST_ENDED, self._ended.get(client, ()), key=lambda position: position.sequence)
                yield client, pack_plain(LIST, items, (position.plain for position in newest))
