"""The roster: this server's users at their clients, and the other servers, by their links. Pure.

The interface stands first: several processes of one server would share a roster of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from parley.services.chat.routing.known_names import KnownNames
from parley.services.chat.search.connected_users import ConnectedUsers
from parley.services.chat.state import ChatState
from parley.shared.addresses import User
from parley.shared.dialects.dialect import Dialect


class ChatLink(Protocol):
    """Where bytes go out: a link."""

    @property
    def writable(self) -> bool:
        """Whether there is room for more."""

    @property
    def has_arrived(self) -> bool:
        """Whether all that was written has arrived at the other side's machine."""

    @property
    def is_parley(self) -> bool:
        """Whether the other side is a Parley, and so takes names and fields of ours."""

    @property
    def window(self) -> int:
        """How many messages may be on their way to this client, unacknowledged; 0: as many as the server likes."""

    @property
    def takes_pieces(self) -> bool:
        """Whether the other side takes what is large in pieces: PIECE."""

    @property
    def answers_searches(self) -> bool:
        """Whether the other side is a Parley that answers SEARCH_USERS."""

    @property
    def takes_read_receipts(self) -> bool:
        """Whether the other side is told what was read."""

    @property
    def takes_shared_copies(self) -> bool:
        """Whether the other side takes one MESSAGE for several members of a group."""

    @property
    def dialect(self) -> Dialect:
        """The dialect that the other side speaks."""

    def send(self, raw: bytes) -> None:
        """Send a frame."""

    def take_back(self, raw: bytes) -> bool:
        """Do not write a message that was sent here and waits for its turn; False: it may have been written."""

    def answer(self, raw: bytes) -> None:
        """Send a frame that was asked for: who does not read the answers is not listened to."""


class ServerLink(Protocol):
    """A linked server, and what can be expected of it."""

    @property
    def link(self) -> ChatLink:
        """The server's link."""

    @property
    def confirms(self) -> bool:
        """Whether it answers for each message: a Parley does, an existing server may not."""


class Roster(Protocol):
    """The users and servers that are connected, by their links."""

    def clients(self, user: User) -> Sequence[ChatLink]:
        """The clients of a user here; empty when they are away."""

    @property
    def withheld(self) -> AbstractSet[ChatLink]:
        """The clients that get nothing for as long as mail waits for their user: it came before their claim."""

    def knows(self, user: User) -> bool:
        """Whether this user has ever been here."""

    def use(self, *destinations: User | str) -> None:
        """These are here in earnest: somebody writes to them, or they do something that lasts."""

    def server(self, server_id: str) -> ServerLink | None:
        """A linked server to which messages for its users go."""

    def linked(self, server_id: str) -> ServerLink | None:
        """A linked server, for what it is answered: also one whose users are reached by a gateway."""

    def is_reached_by_gateway(self, server_id: str) -> bool:
        """Whether each user of a server is a destination of their own (gateways/), and the server is none."""

    def linked_servers(self) -> Iterable[tuple[str, ChatLink]]:
        """All linked servers, by name."""

    def knows_server(self, server_id: str) -> bool:
        """Whether this server has ever been heard of."""


def retries_messages(roster: Roster, server_id: str) -> bool:
    """Whether a server keeps what it sent until it is answered; of one that is gone just now, that is assumed."""
    server = roster.linked(server_id)
    return server is None or server.confirms


class LinkedServer:
    """A server and its link."""

    def __init__(self, link: ChatLink, *, confirms: bool) -> None:
        self.link = link
        self.confirms = confirms


class LocalRoster:
    """The roster of a server that is one process: in memory."""

    def __init__(self, *, users: int = 1_000_000, servers: int = 1_000_000, share: float = 1.0) -> None:
        """At most so many `users` and `servers`, and `share` of that from one address."""
        self._limits = users, share
        self._state: Final = ChatState()
        self.withheld: Final[set[ChatLink]] = set()
        """The clients that get nothing for as long as mail waits for their user (shared/trust/names.py)."""
        self.connected: Final = ConnectedUsers()
        """The users who have clients here, as a search finds them."""
        self._by_gateway: dict[str, ServerLink | None] = {}
        """The servers whose users are reached by a gateway → where they are linked."""
        self._remote_users: dict[User, Sequence[ChatLink]] = {}
        """The users of these to whom messages may go now: nobody takes them for users of ours."""
        self.noted: Callable[[User | str], None] = lambda _destination: None
        """Called with who is known in earnest from now on."""
        self.forgotten: Callable[[User | str], None] = lambda _destination: None
        """Called with who is not known any more."""
        self.users: KnownNames[User] = KnownNames(
            users,
            share,
            is_here=self._state.clients.__contains__,
            forgotten=lambda user: self.forgotten(user),  # noqa: PLW0108 - it is set later
        )
        self.servers: KnownNames[str] = KnownNames(
            servers,
            share,
            is_here=self._state.servers.__contains__,
            forgotten=lambda name: self.forgotten(name),  # noqa: PLW0108 - it is set later
        )

    @property
    def state(self) -> ChatState:
        """The links of our users' clients, and of the other servers; a chat engine's has the same ones."""
        return self._state

    def clients(self, user: User) -> Sequence[ChatLink]:
        """The clients of a user here, or the way to a user who is reached by a gateway; empty: they are away."""
        return self._state.clients.get(user) or self._remote_users.get(user, ())

    def knows(self, user: User) -> bool:
        """Whether this user has ever been here, and not in vain."""
        return user in self.users

    def server(self, server_id: str) -> ServerLink | None:
        """A linked server to which messages for its users go."""
        return self._state.servers.get(server_id)

    def linked_servers(self) -> Iterable[tuple[str, ChatLink]]:
        """All linked servers, by name."""
        return [(server_id, server.link) for server_id, server in self._state.servers.items()]

    def linked(self, server_id: str) -> ServerLink | None:
        """A linked server, for what it is answered: also one whose users are reached by a gateway."""
        return self._state.servers.get(server_id) or self._by_gateway.get(server_id)

    def is_reached_by_gateway(self, server_id: str) -> bool:
        """Whether each user of a server is a destination of their own (gateways/), and the server is none."""
        return server_id in self._by_gateway

    def knows_server(self, server_id: str) -> bool:
        """Whether this server has ever been heard of, and not in vain."""
        return server_id in self.servers

    def source(self, user: User) -> str:
        """The source that a user counts to: an address, or the server of a user of another server."""
        return self.users.source(user) or f"@{user.server_id}"

    @property
    def server_ids(self) -> Iterable[str]:
        """Every server that has been heard of."""
        return self.servers

    def add_client(self, user: User, link: ChatLink) -> None:
        """A client of a user connected."""
        self.users.add(user)
        self.connected.add(user)
        self._state.clients.setdefault(user, []).append(link)

    def remove_client(self, user: User, link: ChatLink) -> None:
        """A client left."""
        clients = self._state.clients.get(user, [])
        if link in clients:
            clients.remove(link)
        if not clients:
            self._state.clients.pop(user, None)
            self.connected.remove(user)

    def add_server(self, server_id: str, server: ServerLink) -> None:
        """A server is linked."""
        self.servers.add(server_id)
        self.use(server_id)
        self._state.servers[server_id] = server

    def remove_server(self, server_id: str) -> None:
        """A server is linked no longer; it stays known, and reached as it was."""
        self._state.servers.pop(server_id, None)
        if server_id in self._by_gateway:
            self._by_gateway[server_id] = None

    def reach_by_gateway(self, server_id: str, server: ServerLink | None = None) -> None:
        """A server's users are reached by a gateway from now on; `server`: it is linked."""
        self.servers.add(server_id)
        self.use(server_id)
        self._state.servers.pop(server_id, None)
        self._by_gateway[server_id] = server

    def reach_directly(self, server_id: str) -> None:
        """A server takes the messages for its users itself, once it is linked."""
        self._by_gateway.pop(server_id, None)

    def new_names(self, *, is_here: Callable[[User], bool], forgotten: Callable[[User], None]) -> KnownNames[User]:
        """A table of as many users of other servers as ours may be, and of one server its share of that."""
        return KnownNames(*self._limits, is_here=is_here, forgotten=forgotten)

    def add_remote_user(self, user: User, link: ChatLink) -> None:
        """Messages may go to a user who is reached by a gateway."""
        self._remote_users[user] = [link]

    def remove_remote_user(self, user: User) -> None:
        """They may not any more."""
        self._remote_users.pop(user, None)

    def may_remember(self, destination: User | str, source: str = "") -> bool:
        """Whether it is known, or there is room for it."""
        if isinstance(destination, User):
            return self.users.may_add(destination, source)
        return self.servers.may_add(destination, source)

    def remember(self, destinations: Iterable[User | str], source: str = "", at: float = 0.0) -> bool:
        """These users and servers are known; whether any of them was new."""
        added = [
            self.users.add(each, source, at) if isinstance(each, User) else self.servers.add(each, source, at)
            for each in destinations
        ]
        return any(added)

    def expire(self, before: float) -> int:
        """Forget who has been here in vain since before that age; how many."""
        return self.users.expire(before) + self.servers.expire(before)

    def use(self, *destinations: User | str) -> None:
        """These are here in earnest: somebody writes to them, or they do something that lasts."""
        for each in destinations:
            if isinstance(each, str):
                if each in self.servers.unused and self.servers.use(each):
                    self.noted(each)
            elif each in self.users.unused and self.users.use(each):
                self.noted(each)
