"""Our users' clients at other servers: bounded, and each a subscriber like any other. Pure.

Whoever links as a server may say that any user of ours visits it, and so hear what that user hears, and speak as
that user: no more than whoever connects as that user's client. Where the name is owned, both have to prove it: here
by the session token that the client showed there.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from parley.shared.addresses import User
from parley.shared.limits.shares import Shares
from parley.shared.link.events import Identity
from parley.shared.soft_state.visitors.here import Peer
from parley.shared.wire.messages import encode, pb

MOST: Final = 10_000
"""Clients at other servers, in all."""
SHARE: Final = 0.1
"""The part of them that one other server may have."""
CLIENTS, DATAGRAMS = 1000, 16
"""In one TO_VISITORS."""

_numbers = itertools.count(-1, -1)


class VisitingClient:
    """A client of one of our users at another server."""

    __slots__ = ("identity", "is_parley", "link", "link_id", "logged_faults", "number")

    def __init__(
        self,
        link: Peer,
        number: int,
        user: User,
        *,
        is_parley: bool,
        on_link: bool = False,
        token: pb.SessionToken | None = None,
    ) -> None:
        """`number` is the other server's for it; `on_link`: that tells it over its link, where nothing is lost.

        `token`: shown for it there.
        """
        self.link = link
        self.number = number
        self.identity = Identity(user=user, events_on_link=on_link, token=token)
        self.is_parley = is_parley
        self.link_id = next(_numbers)
        self.logged_faults: frozenset[str] = frozenset()

    @property
    def remote_host(self) -> str:
        """The server that it is at."""
        return self.link.peer_id


class ClientsElsewhere:
    """All of them, by the links of the servers that they are at; and what goes to them, gathered for a turn."""

    def __init__(self, flush_later: Callable[[], object]) -> None:
        """`flush_later` has `flush` called at the end of this turn of the loop."""
        self._clients: dict[Peer, dict[int, VisitingClient]] = defaultdict(dict)
        self._shares = Shares(MOST, SHARE)
        self._flush_later = flush_later
        self._out: dict[Peer, dict[tuple[bytes, ...], list[int]]] = {}
        """Link → datagrams → the clients that get these."""
        self._behind: set[Peer] = set()
        """Links that were too slow to be given something."""

    def __len__(self) -> int:
        return len(self._shares)

    def of(self, link: Peer, number: int) -> VisitingClient | None:
        """The client of that number there."""
        return self._clients[link].get(number) if link in self._clients else None

    def arrived(
        self,
        link: Peer,
        number: int,
        user: User,
        *,
        is_parley: bool,
        on_link: bool = False,
        token: pb.SessionToken | None = None,
    ) -> VisitingClient | None:
        """A client is there; None: there is no room for it."""
        if not self._shares.has_room(link):
            return None
        client = VisitingClient(link, number, user, is_parley=is_parley, on_link=on_link, token=token)
        self._clients[link][number] = client
        self._shares.add(link)
        return client

    def left(self, link: Peer, number: int) -> VisitingClient | None:
        """It is not there any more."""
        client = self.of(link, number)
        if client is not None:
            del self._clients[link][number]
            self._shares.remove(link)
        return client

    def unlinked(self, link: Peer) -> list[VisitingClient]:
        """A server's link is over: the clients that were there."""
        self._out.pop(link, None)
        self._behind.discard(link)
        clients = list(self._clients.pop(link, {}).values())
        for _ in clients:
            self._shares.remove(link)
        return clients

    # Out ------------------------------------------------------------------------------------------

    def send(self, client: VisitingClient, datagrams: Iterable[bytes]) -> None:
        """Have datagrams sent to a client; many that get the same cost little more than one."""
        if not self._out:
            self._flush_later()
        self._out.setdefault(client.link, {}).setdefault(tuple(datagrams), []).append(client.number)

    def flush(self) -> None:
        """Give each server what it is to send; what one does not take is lost, as on any way of datagrams."""
        out, self._out = self._out, {}
        for link, lists in out.items():
            if link not in self._clients:  # it is over
                continue
            for datagrams, numbers in lists.items():
                self._give(link, datagrams, numbers)

    def _give(self, link: Peer, datagrams: tuple[bytes, ...], numbers: list[int]) -> None:
        for at in range(0, len(datagrams), DATAGRAMS):
            for of in range(0, len(numbers), CLIENTS):
                if not link.writable:
                    self._behind.add(link)
                    return
                some = pb.VisitorDatagrams(
                    clients=numbers[of : of + CLIENTS], datagrams=datagrams[at : at + DATAGRAMS]
                )
                link.send(encode("TO_VISITORS", some))

    def caught_up(self, link: Peer) -> list[VisitingClient]:
        """A link has room again: the clients that were not told something."""
        if link not in self._behind:
            return []
        self._behind.discard(link)
        return list(self._clients[link].values())
