"""A service whose clients speak to it over their links, or by UDP beside them.

A subscriber is its TCP link. Where its CONNECT asked for that, all goes over the link (linked_clients.py). Else its
datagrams come from the link's address and the `udpPort` that its CONNECT named, and are sent there.

Who is told from here is in `clients`: subscribers, but for those whose home tells them, and our users' clients at
other servers (visitors/).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import ClassVar, Protocol, cast

from parley.shared.addresses import SocketAddress, User
from parley.shared.config import Config
from parley.shared.errors import RemoteProtocolError
from parley.shared.limits.rates import DatagramRates
from parley.shared.link.events import Identity
from parley.shared.link.link import Link
from parley.shared.service.service_base import ServiceBase
from parley.shared.sockets.datagrams import UdpSocket
from parley.shared.soft_state.clock_offsets import Clocks
from parley.shared.soft_state.linked_clients import UNSENT
from parley.shared.soft_state.subscriber import Subscriber
from parley.shared.wire.framing import MAX_DATAGRAM, Frame
from parley.shared.wire.messages import encode, pb

GREETINGS = (0.4, 1.2)
"""Seconds after a subscriber came at which it is told the present state again."""


class DatagramSettings(Protocol):
    """The keys that the feature's part of the configuration has."""

    @property
    def udp_port(self) -> int:
        """For the clients' datagrams."""

    @property
    def fanout_interval(self) -> float:
        """Seconds between two rounds of datagrams, at least."""


class DatagramServiceBase(ServiceBase):
    """A ServiceBase with the feature's UDP port."""

    event_name: ClassVar[str]
    """The name of what a client says."""

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self._settings = cast("DatagramSettings", getattr(self.config, self.section))
        self._udp: UdpSocket | None = None
        self.clients: dict[User, list[Subscriber]] = {}
        self.client_counts = {"link": 0, "datagrams": 0}
        """How many of these are told in which way."""
        self._addresses: dict[Subscriber, SocketAddress] = {}
        self._links_at: dict[SocketAddress, list[Link]] = {}
        self._clocks = Clocks()
        self._rates = DatagramRates()
        self.metrics.expect_datagrams()
        self._datagrams = self.metrics.datagrams

    # Life ---------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Take the TCP port and the UDP port."""
        super().bind()
        self._udp = UdpSocket(
            self.config.bind_host,
            self._settings.udp_port,
            self.feature,
            received=self._datagram_received,
            dropped=self.metrics.dropped,
        )

    @property
    def udp_port(self) -> int:
        """The port for our clients' datagrams."""
        return self._udp.port if self._udp is not None else 0

    async def stop(self) -> None:
        """Receive and send no more datagrams, then end as any service."""
        if self._udp is not None:
            self._udp.close()
        await super().stop()

    def admit_client(self, identity: Identity) -> pb.ConnectResponse.Result:
        """In mode `strict` nobody is told in datagrams, which anybody may read and write."""
        is_plain = bool(identity.udp_port) and not identity.events_on_link
        if is_plain and not self.config.security.allows_plain:
            return pb.ConnectResponse.UNKNOWN_ERROR
        return super().admit_client(identity)

    # Subscribers ----------------------------------------------------------------------------------

    def subscriber_connected(self, link: Link) -> None:
        """Know where it is told, and tell it the present state, once CONNECTED is written."""
        if link.identity.events_on_link:
            link.limit_unsent(UNSENT)
        elif link.identity.udp_port:
            address = (link.remote_host, link.identity.udp_port)
            self._addresses[link] = address
            self._links_at.setdefault(address, []).append(link)
        else:
            return
        if self.is_served_elsewhere(link):
            return
        self.add_client(link)
        loop = asyncio.get_running_loop()
        loop.call_soon(self.greet, link)
        for delay in () if link.identity.events_on_link else GREETINGS:
            loop.call_later(delay, self.greet, link)

    def is_served_elsewhere(self, link: Link) -> bool:  # noqa: ARG002 - a seam
        """Whether another server tells the subscriber what is for it."""
        return False

    def subscriber_disconnected(self, link: Link) -> None:
        """The link's datagrams no longer count; those of an older link at that address do again."""
        self.remove_client(link)
        address = self._addresses.pop(link, None)
        if address is None:
            return
        self._links_at[address].remove(link)
        if not self._links_at[address]:
            del self._links_at[address]

    def add_client(self, client: Subscriber) -> None:
        """Tell a client what is for its user."""
        if (user := client.identity.user) is not None:
            self.clients.setdefault(user, []).append(client)
            self.client_counts[_way(client)] += 1

    def remove_client(self, client: Subscriber) -> None:
        """Tell it no more; nothing where it is told elsewhere."""
        self._clocks.forget(client)
        user = client.identity.user
        if user is not None and client in (clients := self.clients.get(user, [])):
            clients.remove(client)
            self.client_counts[_way(client)] -= 1
            if not clients:
                del self.clients[user]

    def greet(self, client: Subscriber) -> None:
        """Tell a client what there is."""
        user = client.identity.user
        if user is not None and client in self.clients.get(user, ()):
            self.send_datagrams(client, self.state_for(client))

    def state_for(self, client: Subscriber) -> Iterable[bytes]:  # noqa: ARG002 - a seam
        """The datagrams that tell a client that is new what there is."""
        return ()

    # Events in, over a link ---------------------------------------------------------------------

    def handle_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """Take over the link what comes in datagrams from others; at a higher rate it is read more slowly."""
        if frame.name != self.event_name or not link.identity.events_on_link:
            return super().handle_message_for_feature(link, frame)
        if len(frame.raw) > MAX_DATAGRAM:
            self.message_rejected(link, "too_large", frame.name)
            return True
        self.guard.counts(link, "events", 1)
        if not self.pass_on(link, frame):
            self.take_datagram(link, frame)
        return True

    # Datagrams in ---------------------------------------------------------------------------------

    def _datagram_received(self, frame: Frame, address: SocketAddress) -> None:
        """A datagram counts only if it comes from a subscriber; at one address the newest link is meant."""
        self._datagrams["received"] += 1
        links = self._links_at.get(address)
        if links is None:
            self.metrics.dropped("not_a_subscriber")
            return
        if not self._rates.allows(*address, asyncio.get_running_loop().time()):
            self.metrics.limited("datagrams", self.section)
            return
        link = links[-1]
        if self.pass_on(link, frame) or self.take_datagram(link, frame):
            link.note_alive()

    def pass_on(self, link: Link, frame: Frame) -> bool:  # noqa: ARG002 - a seam
        """Whether a subscriber's datagram is another server's business, and goes there."""
        return False

    def take_datagram(self, client: Subscriber, frame: Frame) -> bool:
        """Handle a client's datagram, or drop it; whether it is one of this feature's."""
        try:
            handled = self.handle_datagram_for_feature(client, frame)
        except RemoteProtocolError as error:
            self.datagram_dropped(client, error.reason)
            return False
        if not handled:
            self.datagram_dropped(client, "unknown_name")
        return handled

    def ahead(self, client: Subscriber, timestamp: float, age: float = 0.0) -> float:
        """Seconds to be added to a client's timestamp, where its clock is far off; said once per client.

        NaN where it is no time: that is out of range to whoever looks at it.
        """
        ahead = self._clocks.ahead(client, timestamp, time.time(), age)
        if ahead and "clock" not in client.logged_faults:
            client.logged_faults |= {"clock"}
            self.log.warning("clock_is_off", seconds=-ahead, link_id=client.link_id)
        return ahead

    def handle_datagram_for_feature(self, client: Subscriber, frame: Frame) -> bool:  # noqa: ARG002 - a seam
        """Handle a client's datagram; False when it is not one of this feature's."""
        return False

    def datagram_dropped(self, client: Subscriber, reason: str) -> None:
        """Count what a client says and is not taken; say so once per client and reason."""
        if isinstance(client, Link) and client.identity.events_on_link:
            self.message_rejected(client, reason, self.event_name)
            return
        self.metrics.dropped(reason)
        kind = f"datagram {reason}"
        if kind not in client.logged_faults:
            client.logged_faults |= {kind}
            self.log.warning("datagram_dropped", reason=reason, link_id=client.link_id)

    # Datagrams out --------------------------------------------------------------------------------

    def send_datagrams(self, client: Subscriber, datagrams: Iterable[bytes]) -> None:
        """Send to a client; what its network or ours does not take is lost."""
        address = self._addresses.get(client)
        if address is None:
            self.send_otherwise(client, datagrams)
            return
        if self._udp is None:
            return
        sent = 0
        for datagram in datagrams:
            if self._udp.send(datagram, address) is None:
                sent += 1
        self._datagrams["sent"] += sent

    def send_otherwise(self, client: Subscriber, datagrams: Iterable[bytes]) -> None:
        """Send to a client that has no address here, but a link, or is at another server."""

    def confirm(self, client: Subscriber, timestamp: float, snowflake: int = 0) -> None:
        """Tell a client that what it said came."""
        self.send_datagrams(client, [encode("HEARD", pb.Heard(timestamp=timestamp, messageSnowflake=snowflake))])


def _way(client: Subscriber) -> str:
    return "link" if client.identity.events_on_link else "datagrams"
