"""Visits at a process of typing or location: the names VISITORS, FROM_VISITOR and TO_VISITORS between servers.

They go only to who announced the capability for them. Everything that comes is taken a step at a time, in turn with
all else, and each client has a rate, here and at its home.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from parley.shared.addresses import User
from parley.shared.errors import MalformedMessage
from parley.shared.limits.connections import OF_USER
from parley.shared.limits.rates import DatagramRates
from parley.shared.limits.token_buckets import Buckets
from parley.shared.link.link import Link
from parley.shared.service.guard import Guard
from parley.shared.soft_state.subscriber import Subscriber
from parley.shared.soft_state.visitors.elsewhere import MOST, ClientsElsewhere, VisitingClient
from parley.shared.soft_state.visitors.here import Peer, VisitorsHere, takes_visitors
from parley.shared.spellings import Spellings
from parley.shared.telemetry.metrics import Metrics
from parley.shared.wire.framing import MAX_DATAGRAM, Frame, read_datagram
from parley.shared.wire.messages import decode, encode, pb

NAMES: Final = frozenset({"VISITORS", "FROM_VISITOR", "TO_VISITORS"})
LARGEST: Final = 64 * 1024
"""Bytes of one of these frames."""
TO_CLIENT: Final = (200.0, 2000.0)
"""Datagrams a second, and at once, that a home may have sent to a client: two in each round, and a long list."""


class VisitsOwner(Protocol):
    """The process, as its visits see it."""

    server_id: str
    spellings: Spellings
    metrics: Metrics
    guard: Guard
    clients: dict[User, list[Subscriber]]

    @property
    def section(self) -> str:
        """The name of its part of the configuration."""

    @property
    def list_name(self) -> str:
        """The list that it tells clients."""

    def now(self) -> float:
        """Seconds, monotonic."""

    def refuses_visitor(self, user: User, token: pb.SessionToken, /) -> bool:
        """Whether our user's client elsewhere, which showed that token, may not use the name."""

    def visitor_has_to_go(self, client: Subscriber, /) -> None:
        """A visitor's home says that devices own its name."""

    def may_subscribe(self, user: User) -> bool:
        """Whether a user's client may be a subscriber at all."""

    def add_client(self, client: Subscriber) -> None:
        """Tell a client what is for its user."""

    def remove_client(self, client: Subscriber) -> None:
        """Tell it no more."""

    def greet_in_turn(self, clients: Sequence[Subscriber]) -> None:
        """Tell clients what there is, those in datagrams twice more."""

    def take_datagram(self, client: Subscriber, frame: Frame) -> object:
        """A client says something."""

    def send_datagrams(self, client: Subscriber, datagrams: Sequence[bytes]) -> None:
        """Send to a client."""

    def handle_in_turn(self, link: Link, entries: Iterator[None]) -> None:
        """Do that a step at a time; what follows on the link waits."""

    def message_rejected(self, link: Link, reason: str, detail: str) -> None:
        """Count what is refused."""


class Visits:
    """Visitors here, and our users' clients elsewhere."""

    def __init__(self, owner: VisitsOwner, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """`call_soon` calls something at the end of this turn of the loop."""
        self._owner = owner
        self.here = VisitorsHere()
        self.elsewhere = ClientsElsewhere(lambda: call_soon(self.elsewhere.flush))
        self._rates = DatagramRates()
        self._to_clients = Buckets(*TO_CLIENT, keys=MOST)
        self._behind: set[Subscriber] = set()
        """Visitors here, on links, that were not sent something of their home's."""

    def counts(self) -> dict[str, int]:
        """Clients of other servers' users here that their homes tell, and of our users at other servers."""
        return {"here": len(self.here), "elsewhere": len(self.elsewhere)}

    # Visitors here --------------------------------------------------------------------------------

    def pass_on(self, client: Link, frame: Frame) -> bool:
        """Give a visitor's datagram to its home; whether there is one that takes it."""
        link = self.here.home_of(client)
        if link is None:
            return False
        if link.writable:
            link.send(encode("FROM_VISITOR", pb.VisitorDatagrams(clients=[client.link_id], datagrams=[frame.raw])))
        return True

    def left(self, client: Link) -> None:
        """A client is gone."""
        self._behind.discard(client)
        self.here.left(client)

    def missed(self, client: Link) -> None:
        """A visitor's link had no room for what its home told; only the home knows what there is by then."""
        if self.here.home_of(client) is not None:
            self._behind.add(client)

    def _take_refused(self, link: Link, numbers: Sequence[int]) -> Iterator[None]:
        for number in numbers:
            for client in self.here.refused(link, [number]):
                self._tell_here([client])
            yield

    def _tell_here(self, clients: Sequence[Subscriber]) -> None:
        for client in clients:
            self._owner.add_client(client)
        self._owner.greet_in_turn(clients)

    def _take_to_visitors(self, link: Link, given: pb.VisitorDatagrams) -> Iterator[None]:
        datagrams = [datagram for datagram in given.datagrams if self._may_be_sent(datagram)]
        if len(datagrams) < len(given.datagrams):
            self._owner.message_rejected(link, "unexpected", "TO_VISITORS")
        now = self._owner.now()
        for client in self.here.served_over(link, given.clients):
            if self._to_clients.consume(client.link_id, now, len(datagrams)):
                self._owner.send_datagrams(client, datagrams)
            else:
                self._owner.metrics.limited("datagrams", self._owner.section)
            yield

    def _may_be_sent(self, datagram: bytes) -> bool:
        try:
            name = read_datagram(datagram).name
        except MalformedMessage:
            return False
        return len(datagram) <= MAX_DATAGRAM and name in (self._owner.list_name, "HEARD")

    # Our users' clients elsewhere -----------------------------------------------------------------

    def _take_visitors(self, link: Link, visitors: pb.Visitors) -> Iterator[None]:
        """Take clients that left, and clients that came; those for which there is no room are told there."""
        for number in visitors.gone:
            self._went(link, number)
            yield
        came: list[VisitingClient] = []
        refused: list[int] = []
        taken: list[int] = []
        for visitor in visitors.here:
            known = self.elsewhere.of(link, visitor.client)
            if self._is_taken(visitor):
                taken.append(visitor.client)
                self._went(link, visitor.client)
                yield
                continue
            client = known or self._arrived(link, visitor)
            if client is None:
                refused.append(visitor.client)
            elif known is None or visitor.onLink:  # one that is named again has missed something
                came.append(client)
            yield
        if refused or taken:
            link.send(encode("VISITORS", pb.Visitors(refused=refused, taken=taken)))
        if came:
            self._owner.greet_in_turn(came)
        yield from self._take_refused(link, visitors.refused)
        for client_here in self.here.served_over(link, visitors.taken):
            self._owner.visitor_has_to_go(client_here)
            yield

    def _went(self, link: Peer, number: int) -> None:
        """A client of ours is there no more, or is told no more."""
        if (gone := self.elsewhere.left(link, number)) is not None:
            self._owner.remove_client(gone)

    def judge_again(self, clients: Sequence[Subscriber]) -> None:
        """Names have changed: a client elsewhere that may not use its own any more has to go."""
        for client in clients:
            user = client.identity.user
            if not isinstance(client, VisitingClient) or user is None:
                continue
            if self._owner.refuses_visitor(user, client.identity.token or pb.SessionToken()):
                self._went(client.link, client.number)
                client.link.send(encode("VISITORS", pb.Visitors(taken=[client.number])))

    def _is_taken(self, visitor: pb.Visitor) -> bool:
        """Whether devices own the name, and the visitor did not prove to be one of them."""
        user = self._owner.spellings.user(User.of(visitor.user))
        return user.server_id == self._owner.server_id and self._owner.refuses_visitor(user, visitor.token)

    def _arrived(self, link: Link, visitor: pb.Visitor) -> VisitingClient | None:
        owner = self._owner
        user = owner.spellings.user(User.of(visitor.user))
        if user.server_id != owner.server_id:
            owner.message_rejected(link, "foreign_user", "VISITORS")
            return None
        if not owner.may_subscribe(user):
            return None
        client = None
        if len(owner.clients.get(user, ())) < OF_USER:
            client = self.elsewhere.arrived(
                link,
                visitor.client,
                user,
                is_parley=visitor.isParley,
                on_link=visitor.onLink,
                token=visitor.token,
            )
        if client is None:
            owner.metrics.limited("visitors", owner.section)
        else:
            owner.add_client(client)
        return client

    def _take_from_visitor(self, link: Link, given: pb.VisitorDatagrams) -> Iterator[None]:
        owner = self._owner
        client = self.elsewhere.of(link, given.clients[0]) if given.clients else None
        for datagram in given.datagrams:
            if client is None:
                owner.metrics.dropped("not_a_subscriber")
            elif not self._rates.allows(link.peer_id, client.number, self._owner.now()):
                owner.metrics.limited("datagrams", owner.section)
            else:
                self._take(client, datagram)
            yield

    def _take(self, client: VisitingClient, datagram: bytes) -> None:
        try:
            frame = read_datagram(datagram)
        except MalformedMessage as error:
            self._owner.metrics.dropped(error.reason)
            return
        self._owner.take_datagram(client, frame)

    # Links ------------------------------------------------------------------------------------------

    def handle(self, link: Link, frame: Frame) -> bool:
        """Take one of the names; False where it is none, or from who did not announce that it has them."""
        if frame.name not in NAMES or not takes_visitors(link):
            return False
        if len(frame.raw) > LARGEST:
            self._owner.message_rejected(link, "too_large", frame.name)
        elif frame.name == "VISITORS":
            visitors = decode(frame, pb.Visitors)
            self._owner.guard.counts(link, "requests", len(visitors.here) + len(visitors.gone))
            self._owner.handle_in_turn(link, self._take_visitors(link, visitors))
        elif frame.name == "FROM_VISITOR":
            self._owner.handle_in_turn(link, self._take_from_visitor(link, decode(frame, pb.VisitorDatagrams)))
        else:
            self._owner.handle_in_turn(link, self._take_to_visitors(link, decode(frame, pb.VisitorDatagrams)))
        return True

    def linked(self, link: Link) -> None:
        """A server is linked: it tells its users who are here, if it can."""
        if takes_visitors(link):
            for client in self.here.linked(link):
                self._owner.remove_client(client)

    def unlinked(self, link: Link) -> None:
        """Its link is over."""
        for visiting in self.elsewhere.unlinked(link):
            self._owner.remove_client(visiting)
        self._tell_here(self.here.unlinked(link))

    def writable(self, link: Link) -> None:
        """A link that was too slow has room again: what its clients, or it, were not told they are told now."""
        if link in self._behind:
            self._behind.discard(link)
            self.here.named_again(link)
        self._owner.greet_in_turn(self.elsewhere.caught_up(link))
