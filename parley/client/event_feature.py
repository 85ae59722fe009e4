"""A feature whose events come and go over its link; by UDP beside it where the server has no other way.

A server that can says so in its announcement, or in CONNECTED. Where neither has said so yet, CONNECT_CLIENT asks
for both, and the socket is closed when CONNECTED grants the link. Datagrams go out from the link's own address and
from the port that CONNECT_CLIENT named: a server takes no others.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any, ClassVar

from parley.client.feature_base import FeatureBase
from parley.client.outbox.retransmissions import LATER, SOON, Retransmissions
from parley.shared.addresses import Endpoint, SocketAddress, User
from parley.shared.config import Config
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import ConfigError, RemoteProtocolError
from parley.shared.link.link import Link
from parley.shared.runtime.timer import Timer
from parley.shared.sockets.datagrams import UdpSocket
from parley.shared.soft_state.soft_state import SoftState
from parley.shared.wire.capabilities import EVENTS_ON_LINK
from parley.shared.wire.framing import MAX_DATAGRAM, Frame
from parley.shared.wire.messages import decode, pb


class EventFeature(FeatureBase):
    """A FeatureBase with events; where it needs a UDP port, the configured one if that is free, else any other."""

    asks_for_link: ClassVar[bool] = True
    view: SoftState[Any]
    """All of it that our user may see."""

    def __init__(
        self,
        user: str | User = "",
        config: Config | None = None,
        *,
        discovery: DiscoveryService | None = None,
    ) -> None:
        super().__init__(user, config, discovery=discovery)
        self._socket: UdpSocket | None = None
        self._endpoint: Endpoint | None = None
        self._is_granted: bool | None = None
        """Whether the server that was linked last has events on the link; None: none was."""
        self.retransmissions = Retransmissions(self.send_event, self._pause)
        self._last_timestamp = 0.0
        self._expiry = Timer(self._expired)

    @property
    def preferred_udp_port(self) -> int:
        """The port that clients of this feature usually listen on."""
        raise NotImplementedError

    @property
    def udp_port(self) -> int:
        """Where we listen; bound when it is first asked for. 0: nowhere, all goes over the link."""
        if self._needs_no_port:
            return 0
        if self._socket is None:
            try:
                self._socket = self._bind(self.preferred_udp_port)
            except ConfigError:  # another client on this machine has it
                self._socket = self._bind(0)
        return self._socket.port

    @property
    def _needs_no_port(self) -> bool:
        """Whether it is known that all goes over the link: the server was linked before, or announces it."""
        if self._is_granted is None:
            announced = self.mark is not None and self.mark.capabilities & EVENTS_ON_LINK
            return self.asks_for_link and bool(announced)
        return self._is_granted

    @property
    def is_on_link(self) -> bool:
        """Whether events go over the link that there is."""
        return bool(self._is_granted)

    def _bind(self, port: int) -> UdpSocket:
        return UdpSocket(self.config.bind_host, port, self.feature, received=self._received)

    def link_opened(self, link: Link) -> None:
        """Events go where this link's server has them; one that has none on the link is told of a port."""
        was_expected = self._needs_no_port
        self._is_granted = self.asks_for_link and bool(link.identity.capabilities & EVENTS_ON_LINK)
        if was_expected and not self._is_granted:
            link.hang_up()  # it is dialled again, with a port
            return
        if self._is_granted:
            self._close_socket()
        self._endpoint = self.endpoint
        super().link_opened(link)
        self.retransmissions.resend_all()

    async def close(self) -> None:
        """Stop receiving, then hang up."""
        self._expiry.cancel()
        self.retransmissions.cancel()
        self._close_socket()
        await super().close()

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send_event(self, raw: bytes) -> bool:
        """Send a frame to the server; whether it went out."""
        link = self.link
        if link is None or not self.is_connected or len(raw) > MAX_DATAGRAM:
            return False
        if not self.is_on_link:
            return self._send_datagram(raw)
        if not link.writable:
            return False
        link.send(raw)
        return True

    def _send_datagram(self, raw: bytes) -> bool:
        if self._socket is None or self._endpoint is None:
            return False
        return self._socket.send(raw, (self._endpoint.host, self._endpoint.udp_port)) is None

    def _pause(self) -> float | None:
        """Seconds until what asked for HEARD is sent again; over a link only its end loses anything."""
        if self.is_plain:
            return None
        return LATER if self.is_on_link else SOON

    @property
    def is_plain(self) -> bool:
        """Whether our server is no Parley: it knows no recipients of typing, no stops and no HEARD."""
        return self.link is not None and not self.link.is_parley

    def next_timestamp(self) -> float:
        """Unix seconds, later than the last even where our clock was set back."""
        self._last_timestamp = max(time.time(), math.nextafter(self._last_timestamp, math.inf))
        return self._last_timestamp

    @staticmethod
    def now() -> float:
        """The loop's seconds."""
        return asyncio.get_running_loop().time()

    def view_changed(self) -> None:
        """Tell the application of what may be seen now."""
        raise NotImplementedError

    def watch_expiry(self) -> None:
        """Know when something of the view is over next."""
        self._expiry.set(self.view.next_timeout())

    def _expired(self) -> None:
        if self.view.expire(self.now()):
            self.view_changed()
        self.watch_expiry()

    def _received(self, frame: Frame, address: SocketAddress) -> None:
        """Only our server's datagrams count; what is malformed is not worth more than a line."""
        if self._endpoint is None or address[0] != self._endpoint.host:
            return
        try:
            self.handle_message(frame)
        except RemoteProtocolError as error:
            self.log.warning("datagram_dropped", reason=error.reason)

    def handle_message(self, frame: Frame) -> bool:
        """HEARD, or a list: by whichever way it came."""
        if frame.name != "HEARD":
            return self.handle_list(frame)
        heard = decode(frame, pb.Heard)
        self.heard(heard.timestamp, heard.messageSnowflake)
        return True

    def handle_list(self, frame: Frame) -> bool:
        """Take the feature's list; False where it is none."""
        raise NotImplementedError

    def heard(self, timestamp: float, snowflake: int) -> None:  # noqa: ARG002 - for locations
        """The server has what we sent with this timestamp."""
        self.retransmissions.heard(timestamp)
