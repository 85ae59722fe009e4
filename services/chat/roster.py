"""Who is connected where: this server's users at their clients, and the other servers. Pure.

The interface stands first: several processes of one server would share a roster of another kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from shared.addresses import User


class Sink(Protocol):
    """Where bytes go out: a link."""

    @property
    def writable(self) -> bool:
        """Whether there is room for more."""

    @property
    def has_arrived(self) -> bool:
        """Whether all that was written has arrived at the other side's machine."""

    @property
    def takes_pieces(self) -> bool:
        """Whether the other side takes what is large in pieces: PIECE."""

    def send(self, raw: bytes) -> None:
        """Send a frame."""


class ServerSink(Protocol):
    """A linked server, and what can be expected of it."""

    @property
    def sink(self) -> Sink:
        """Its link."""

    @property
    def confirms(self) -> bool:
        """Whether it answers for each message: a Parley does, an existing server may not."""


class Roster(Protocol):
    """Who is connected where."""

    def clients(self, user: User) -> Sequence[Sink]:
        """The clients of a user here; empty when they are away."""

    def knows(self, user: User) -> bool:
        """Whether this user has ever been here."""

    def server(self, server_id: str) -> ServerSink | None:
        """A linked server."""

    def knows_server(self, server_id: str) -> bool:
        """Whether this server has ever been heard of."""


class LinkedServer:
    """A server and its link."""

    def __init__(self, sink: Sink, *, confirms: bool) -> None:
        self.sink = sink
        self.confirms = confirms


class LocalRoster:
    """The roster of a server that is one process: in memory."""

    def __init__(self) -> None:
        self.clients_by_user: dict[User, list[Sink]] = {}
        """The quick way reads this, and `servers_by_id` (express.py)."""
        self._known: set[User] = set()
        self.servers_by_id: dict[str, ServerSink] = {}
        self._known_servers: set[str] = set()

    def clients(self, user: User) -> Sequence[Sink]:
        """The clients of a user here; empty when they are away."""
        return self.clients_by_user.get(user, ())

    def knows(self, user: User) -> bool:
        """Whether this user has ever been here."""
        return user in self._known

    def server(self, server_id: str) -> ServerSink | None:
        """A linked server."""
        return self.servers_by_id.get(server_id)

    def knows_server(self, server_id: str) -> bool:
        """Whether this server has ever been heard of."""
        return server_id in self._known_servers

    def add_client(self, user: User, sink: Sink) -> None:
        """A client of a user connected."""
        self._known.add(user)
        self.clients_by_user.setdefault(user, []).append(sink)

    def remove_client(self, user: User, sink: Sink) -> None:
        """It left."""
        clients = self.clients_by_user.get(user, [])
        if sink in clients:
            clients.remove(sink)
        if not clients:
            self.clients_by_user.pop(user, None)

    def add_server(self, server_id: str, server: ServerSink) -> None:
        """A server is linked."""
        self._known_servers.add(server_id)
        self.servers_by_id[server_id] = server

    def remove_server(self, server_id: str) -> None:
        """It no longer is; it stays known."""
        self.servers_by_id.pop(server_id, None)

    def remember(self, destinations: Iterable[User | str]) -> bool:
        """These users and servers are known; whether any of them was new."""
        before = len(self._known) + len(self._known_servers)
        for destination in destinations:
            if isinstance(destination, User):
                self._known.add(destination)
            else:
                self._known_servers.add(destination)
        return len(self._known) + len(self._known_servers) > before
