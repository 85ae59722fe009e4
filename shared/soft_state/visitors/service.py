"""A service of datagrams whose clients may be at another server: a visitor here, our user there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import ClassVar

from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.errors import RemoteProtocolError
from parley.shared.link.events import Identity
from parley.shared.link.link import Link
from parley.shared.link.turn import turn_of
from parley.shared.runtime.steps import LOOK_EVERY, Steps, Task
from parley.shared.runtime.timer import clock
from parley.shared.soft_state.datagram_service import GREETINGS, DatagramServiceBase
from parley.shared.soft_state.subscriber import Subscriber
from parley.shared.soft_state.visitors.elsewhere import VisitingClient
from parley.shared.soft_state.visitors.visits import Visits
from parley.shared.trust.admission import Refusal
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import pb


class VisitedServiceBase(DatagramServiceBase):
    """A DatagramServiceBase with the visits between servers."""

    list_name: ClassVar[str]
    """The list that servers and clients are told."""

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.visits = Visits(self, lambda call: asyncio.get_running_loop().call_soon(call))
        self.metrics.watch(
            "parley_visitors",
            "Clients of other servers' users here that their homes tell, and of our users at other servers",
            lambda: [((where,), count) for where, count in self.visits.counts().items()],
            ["where"],
        )

    @staticmethod
    def now() -> float:
        """The loop's seconds."""
        return asyncio.get_running_loop().time()

    def status(self) -> dict[str, object]:
        """Adds how many clients are told at another server than their own."""
        return super().status() | {"visitors": self.visits.counts()}

    # Visitors here --------------------------------------------------------------------------------

    def is_served_elsewhere(self, link: Link) -> bool:
        """Whether a visitor's home tells it what is for it."""
        user = link.identity.user
        return user is not None and user.server_id != self.server_id and self.visits.here.arrived(link)

    def subscriber_disconnected(self, link: Link) -> None:
        """A visitor's home is told that it is gone."""
        super().subscriber_disconnected(link)
        self.visits.left(link)

    def pass_on(self, link: Link, frame: Frame) -> bool:
        """Whether a visitor's datagram goes to its home."""
        return frame.name == self.event_name and self.visits.pass_on(link, frame)

    # Our users' clients elsewhere -----------------------------------------------------------------

    def may_subscribe(self, user: User) -> bool:
        """Whether a user's client may be a subscriber."""
        return self.admit_client(Identity(user=user)) == pb.ConnectResponse.CONNECTED

    def send_otherwise(self, client: Subscriber, datagrams: Iterable[bytes]) -> None:
        """Send to our user's client at another server, or over a client's link."""
        if isinstance(client, VisitingClient):
            self.visits.elsewhere.send(client, datagrams)
        elif isinstance(client, Link) and client.identity.events_on_link:
            if not client.writable:
                self.visits.missed(client)
                return
            for datagram in datagrams:
                client.send(datagram)

    def greet_in_turn(self, clients: Sequence[Subscriber]) -> None:
        """Tell clients what there is, a step each: they may be very many. Twice more where datagrams are lost."""
        loop = asyncio.get_running_loop()
        if clients:
            loop.call_soon(self._add_greetings, clients)
        if again := [client for client in clients if not client.identity.events_on_link]:
            for delay in GREETINGS:
                loop.call_later(delay, self._add_greetings, again)

    def _add_greetings(self, clients: Sequence[Subscriber]) -> None:
        if not self._stopping:
            self._greetings.add(self._greet_each(clients))

    def _greet_each(self, clients: Sequence[Subscriber]) -> Task:
        yield
        for client in clients:
            self.greet(client)
            yield

    @cached_property
    def _greetings(self) -> Steps:
        loop = asyncio.get_running_loop()
        turn, queue = turn_of(loop)
        return Steps(queue, clock(loop), turn.is_over, lambda _size: None)

    def refuses_visitor(self, user: User, token: pb.SessionToken) -> bool:
        """Whether our user's client elsewhere, which showed that token, may not use the name."""
        return self.user_admission.refuses_visitor(user, token)

    def visitors_changed(self, user: User) -> None:
        """Our user has other devices: clients elsewhere are judged again."""
        self.visits.judge_again(list(self.clients.get(user, ())))

    def visitor_has_to_go(self, client: Subscriber) -> None:
        """A visitor's home says that devices own its name."""
        if isinstance(client, Link) and client.identity.user is not None:
            self.user_admission.refused(client, client.identity.user, Refusal.NAME_TAKEN)
            client.hang_up()

    # Other servers ----------------------------------------------------------------------------------

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """A server tells of visitors."""
        return self.visits.handle(link, frame)

    def handle_in_turn(self, link: Link, entries: Iterator[None]) -> None:
        """Take a list that came, a step for each entry: at once, or where it is long in turn with all others.

        What follows it on that link waits until it is taken.
        """
        for count, _ in enumerate(entries, start=1):
            if count % LOOK_EVERY == 0 and link.had_its_turn:
                break
        else:
            return
        link.hold()
        loop = asyncio.get_running_loop()
        turn, queue = turn_of(loop)
        steps = Steps(queue, clock(loop), turn.is_over, lambda _size: link.release())
        steps.add(self._update_rest(link, entries))

    def _update_rest(self, link: Link, entries: Iterator[None]) -> Task:
        yield
        try:
            for _ in entries:
                if not link.is_open:
                    return
                yield
        except RemoteProtocolError as error:
            self.message_rejected(link, error.reason, str(error))

    def peer_connected(self, link: Link) -> None:
        """A server that is linked learns who of its users is here."""
        super().peer_connected(link)
        self.visits.linked(link)

    def peer_disconnected(self, link: Link) -> None:
        """Its visitors are told here, and its clients of our users are gone."""
        super().peer_disconnected(link)
        self.visits.unlinked(link)

    def link_writable(self, link: Link) -> None:
        """A server or a client that was too slow: what its clients, or it, were not told they are told now."""
        super().link_writable(link)
        self.visits.writable(link)
