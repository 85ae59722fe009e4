"""A feature whose events come and go by UDP, beside its link.

Datagrams go out from the link's own address and from the port that CONNECT_CLIENT named: a server takes no others.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

from parley.client.feature_base import FeatureBase
from parley.client.outbox.retransmissions import Retransmissions
from parley.shared.addresses import Endpoint, SocketAddress, User
from parley.shared.config import Config
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import ConfigError, RemoteProtocolError
from parley.shared.link.link import Link
from parley.shared.runtime.timer import Timer
from parley.shared.sockets.datagrams import UdpSocket
from parley.shared.soft_state.soft_state import SoftState
from parley.shared.wire.framing import MAX_DATAGRAM, Frame
from parley.shared.wire.messages import decode, pb


class DatagramFeature(FeatureBase):
    """A FeatureBase with a UDP socket; the configured port where it is free, any other where it is not."""

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
        self.retransmissions = Retransmissions(self.send_datagram, self._is_answered)
        self._last_timestamp = 0.0
        self._expiry = Timer(self._expired)

    @property
    def preferred_udp_port(self) -> int:
        """The port that clients of this feature usually listen on."""
        raise NotImplementedError

    @property
    def udp_port(self) -> int:
        """Where we listen; bound when it is first asked for."""
        if self._socket is None:
            try:
                self._socket = self._bind(self.preferred_udp_port)
            except ConfigError:  # another client on this machine has it
                self._socket = self._bind(0)
        return self._socket.port

    def _bind(self, port: int) -> UdpSocket:
        return UdpSocket(self.config.bind_host, port, self.feature, received=self._received)

    def link_opened(self, link: Link) -> None:
        """Datagrams go to where the link goes."""
        self._endpoint = self.endpoint
        super().link_opened(link)
        self.retransmissions.resend_all()

    async def close(self) -> None:
        """Stop receiving, then hang up."""
        self._expiry.cancel()
        self.retransmissions.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        await super().close()

    def send_datagram(self, raw: bytes) -> bool:
        """Send a frame to the server's UDP port; whether it went out."""
        if self._socket is None or self._endpoint is None or not self.is_connected or len(raw) > MAX_DATAGRAM:
            return False
        return self._socket.send(raw, (self._endpoint.host, self._endpoint.udp_port)) is None

    def _is_answered(self) -> bool:
        return not self.is_plain

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
            if frame.name == "HEARD":
                heard = decode(frame, pb.Heard)
                self.heard(heard.timestamp, heard.messageSnowflake)
            else:
                self.handle_message(frame)
        except RemoteProtocolError as error:
            self.log.warning("datagram_dropped", reason=error.reason)

    def heard(self, timestamp: float, snowflake: int) -> None:  # noqa: ARG002 - for locations
        """The server has what we sent with this timestamp."""
        self.retransmissions.heard(timestamp)
