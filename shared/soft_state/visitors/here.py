"""Visitors here: clients of other servers' users, and the links over which their homes are reached. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Final, Protocol

from parley.shared.link.events import Identity
from parley.shared.soft_state.subscriber import Subscriber
from parley.shared.spellings import ByName
from parley.shared.wire.capabilities import VISITORS
from parley.shared.wire.messages import encode, pb

IN_A_FRAME: Final = 16
"""Clients in one VISITORS: their names may have 2 KiB each."""


class Peer(Hashable, Protocol):
    """A link with another server."""

    peer_id: str

    @property
    def identity(self) -> Identity:
        """Its capabilities."""

    @property
    def is_parley(self) -> bool:
        """Whether it takes names of ours."""

    @property
    def writable(self) -> bool:
        """Whether there is room for more."""

    def send(self, raw: bytes) -> None:
        """Send a frame."""


def takes_visitors(link: Peer) -> bool:
    """Whether the server there tells its users who are attached elsewhere."""
    return link.is_parley and bool(link.identity.capabilities & VISITORS)


class VisitorsHere:
    """The visitors of one process. A client's number is its link's."""

    def __init__(self) -> None:
        self._clients: ByName[dict[int, Subscriber]] = ByName()
        """Home → its users' clients here, by their numbers."""
        self._homes: ByName[Peer] = ByName()
        self._served: dict[int, Peer] = {}
        """The number of each client that its home tells → over which link."""

    def __len__(self) -> int:
        return len(self._served)

    def arrived(self, client: Subscriber) -> bool:
        """A visitor's client is here; whether its home tells it from now on."""
        home = _home(client)
        self._clients.setdefault(home, {})[client.link_id] = client
        link = self._homes.get(home)
        if link is not None:
            self._announce(link, [client])
        return link is not None

    def left(self, client: Subscriber) -> None:
        """It is gone."""
        home = _home(client)
        clients = self._clients.get(home, {})
        if clients.pop(client.link_id, None) is not None and not clients:
            del self._clients[home]
        link = self._served.pop(client.link_id, None)
        if link is not None:
            link.send(encode("VISITORS", pb.Visitors(gone=[client.link_id])))

    def named_again(self, client: Subscriber) -> None:
        """It missed something of what its home told: have that tell all of it."""
        link = self._served.get(client.link_id)
        if link is not None:
            self._announce(link, [client])

    def home_of(self, client: Subscriber) -> Peer | None:
        """The link over which a client's home is told; None: it is told here."""
        return self._served.get(client.link_id)

    def linked(self, link: Peer) -> list[Subscriber]:
        """A server that takes visitors is linked: tell it of its own. Those clients are told by it from now on."""
        self._homes[link.peer_id] = link
        clients = list(self._clients.get(link.peer_id, {}).values())
        self._announce(link, clients)
        return clients

    def unlinked(self, link: Peer) -> list[Subscriber]:
        """Its link is over: the clients that it told."""
        if self._homes.get(link.peer_id) is not link:
            return []
        del self._homes[link.peer_id]
        clients = self._clients.get(link.peer_id, {})
        return [client for client in clients.values() if self._served.pop(client.link_id, None) is not None]

    def refused(self, link: Peer, numbers: Iterable[int]) -> list[Subscriber]:
        """Their home does not tell those: the clients that are to be told here."""
        found = []
        for number in numbers:
            if self._served.get(number) is link:
                del self._served[number]
                found.append(self._clients[link.peer_id][number])
        return found

    def served_over(self, link: Peer, numbers: Iterable[int]) -> list[Subscriber]:
        """The clients with those numbers, each once; what is over, or another server's, is none."""
        clients = self._clients.get(link.peer_id, {})
        return [clients[number] for number in dict.fromkeys(numbers) if self._served.get(number) is link]

    def _announce(self, link: Peer, clients: Sequence[Subscriber]) -> None:
        self._served |= dict.fromkeys((client.link_id for client in clients), link)
        for at in range(0, len(clients), IN_A_FRAME):
            visitors = pb.Visitors()
            for client in clients[at : at + IN_A_FRAME]:
                if (user := client.identity.user) is not None:
                    visitors.here.add(
                        user=user.to_pb(),
                        client=client.link_id,
                        isParley=client.is_parley,
                        onLink=client.identity.events_on_link,
                        token=client.identity.token,
                    )
            link.send(encode("VISITORS", visitors))


def _home(client: Subscriber) -> str:
    user = client.identity.user
    return user.server_id if user is not None else ""
