"""A service whose clients speak to it by UDP as well.

A subscriber is its TCP link; its datagrams come from that link's address and the `udpPort` that its CONNECT
named, and are sent there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol, cast

from parley.shared.addresses import SocketAddress
from parley.shared.config import Config
from parley.shared.errors import RemoteProtocolError
from parley.shared.limits.rates import DatagramRates
from parley.shared.link.link import Link
from parley.shared.service.service_base import ServiceBase
from parley.shared.sockets.datagrams import UdpSocket
from parley.shared.soft_state.clock_offsets import Clocks
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import encode, pb

REPEAT_INTERVAL = 0.25
"""Seconds between two tellings of the same change."""
REPEATED_FOR = 1.7
"""Seconds for which a change is told again."""
GREETINGS = (0.4, 1.2)
"""Seconds after a subscriber came at which it is told the present state again."""
SERVER_SHARE = 10
"""Servers are told that many times as often as subscribers, at most."""


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

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self._settings = cast("DatagramSettings", getattr(self.config, self.section))
        self._udp: UdpSocket | None = None
        self._addresses: dict[Link, SocketAddress] = {}
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

    # Subscribers ----------------------------------------------------------------------------------

    def subscriber_connected(self, link: Link) -> None:
        """Know it by its address, and tell it the present state, once CONNECTED is written."""
        if not link.identity.udp_port:
            return
        address = (link.remote_host, link.identity.udp_port)
        self._addresses[link] = address
        self._links_at.setdefault(address, []).append(link)
        loop = asyncio.get_running_loop()
        loop.call_soon(self.greet, link)
        for delay in GREETINGS:
            loop.call_later(delay, self.greet, link)

    def subscriber_disconnected(self, link: Link) -> None:
        """The link's datagrams no longer count; those of an older link at that address do again."""
        self._clocks.forget(link)
        address = self._addresses.pop(link, None)
        if address is None:
            return
        self._links_at[address].remove(link)
        if not self._links_at[address]:
            del self._links_at[address]

    def greet(self, link: Link) -> None:
        """Tell a subscriber what there is."""
        if link in self._addresses:
            self.send_datagrams(link, self.state_for(link))

    def state_for(self, link: Link) -> Iterable[bytes]:  # noqa: ARG002 - a seam
        """The datagrams that tell a subscriber that is new what there is."""
        return ()

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
        try:
            handled = self.handle_datagram_for_feature(link, frame)
        except RemoteProtocolError as error:
            self.datagram_dropped(link, error.reason)
            return
        if not handled:
            self.datagram_dropped(link, "unknown_name")
            return
        link.note_alive()

    def ahead(self, link: Link, timestamp: float, age: float = 0.0) -> float:
        """Seconds to be added to a subscriber's timestamp, where its clock is far off; said once per link.

        NaN where it is no time: that is out of range to whoever looks at it.
        """
        ahead = self._clocks.ahead(link, timestamp, time.time(), age)
        if ahead and "clock" not in link.logged_faults:
            link.logged_faults |= {"clock"}
            self.log.warning("clock_is_off", seconds=-ahead, link_id=link.link_id)
        return ahead

    def handle_datagram_for_feature(self, link: Link, frame: Frame) -> bool:  # noqa: ARG002 - a seam
        """Handle a subscriber's datagram; False when it is not one of this feature's."""
        return False

    def datagram_dropped(self, link: Link, reason: str) -> None:
        """Count a subscriber's datagram that is not taken; say so once per link and reason."""
        self.metrics.dropped(reason)
        kind = f"datagram {reason}"
        if kind not in link.logged_faults:
            link.logged_faults |= {kind}
            self.log.warning("datagram_dropped", reason=reason, link_id=link.link_id)

    # Datagrams out --------------------------------------------------------------------------------

    def send_datagrams(self, link: Link, datagrams: Iterable[bytes]) -> None:
        """Send to a subscriber; what its network or ours does not take is lost."""
        address = self._addresses.get(link)
        if address is None or self._udp is None:
            return
        sent = 0
        for datagram in datagrams:
            if self._udp.send(datagram, address) is None:
                sent += 1
        self._datagrams["sent"] += sent

    def confirm(self, link: Link, timestamp: float, snowflake: int = 0) -> None:
        """Tell a subscriber that its datagram came."""
        self.send_datagrams(link, [encode("HEARD", pb.Heard(timestamp=timestamp, messageSnowflake=snowflake))])
