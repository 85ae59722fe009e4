"""A service whose clients speak to it by UDP as well: typing indicators and live locations.

A subscriber is its TCP link; its datagrams come from that link's address and the `udpPort` that its CONNECT
named, and are sent there. What changes is gathered, so that no more than one round of datagrams goes
out per `fanout_interval`; nothing is kept for a datagram that is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol, cast

from shared.config import Config
from shared.datagrams import Address, UdpSocket
from shared.errors import RemoteProtocolError
from shared.framing import Frame
from shared.link import Link
from shared.service_base import ServiceBase


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
        self._addresses: dict[Link, Address] = {}
        self._links_at: dict[Address, list[Link]] = {}
        self._round: asyncio.TimerHandle | None = None
        self._next_round = 0.0
        self._count_received = self.metrics.datagrams.labels(self.feature, "received").inc
        self._count_sent = self.metrics.datagrams.labels(self.feature, "sent").inc

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
        if self._round is not None:
            self._round.cancel()
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
        asyncio.get_running_loop().call_soon(self._greet, link)

    def subscriber_disconnected(self, link: Link) -> None:
        """Its datagrams no longer count; those of an older link at that address do again."""
        address = self._addresses.pop(link, None)
        if address is None:
            return
        self._links_at[address].remove(link)
        if not self._links_at[address]:
            del self._links_at[address]

    def _greet(self, link: Link) -> None:
        if link in self._addresses:
            self.send_datagrams(link, self.state_for(link))

    def state_for(self, link: Link) -> Iterable[bytes]:  # noqa: ARG002 - a seam
        """The datagrams that tell a subscriber that is new what there is."""
        return ()

    # Datagrams in ---------------------------------------------------------------------------------

    def _datagram_received(self, frame: Frame, address: Address) -> None:
        """A datagram counts only if it comes from a subscriber; at one address the newest link is meant."""
        self._count_received()
        links = self._links_at.get(address)
        if links is None:
            self.metrics.dropped("not_a_subscriber")
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

    def handle_datagram_for_feature(self, link: Link, frame: Frame) -> bool:  # noqa: ARG002 - a seam
        """Handle a subscriber's datagram; False when it is not one of this feature's."""
        return False

    def datagram_dropped(self, link: Link, reason: str) -> None:
        """Count a subscriber's datagram that is not taken; say so once per link and reason."""
        self.metrics.dropped(reason)
        told = f"datagram {reason}"
        if told not in link.told:
            link.told.add(told)
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
        self._count_sent(sent)

    def changed(self) -> None:
        """Have `fan_out` called: at once after a quiet time, else `fanout_interval` after the last time."""
        if self._round is None and not self._stopping:
            loop = asyncio.get_running_loop()
            self._round = loop.call_at(max(loop.time(), self._next_round), self._run_round)

    def _run_round(self) -> None:
        self._round = None
        self._next_round = asyncio.get_running_loop().time() + self._settings.fanout_interval
        self.fan_out()

    def fan_out(self) -> None:
        """Tell all that changed since the last time."""
