"""A feature whose events come and go by UDP, beside its link.

Datagrams go out from the link's own address and from the port that CONNECT_CLIENT named: a server takes no others.
"""

from __future__ import annotations

from shared.addresses import Endpoint, User
from shared.config import Config
from shared.datagrams import Address, UdpSocket
from shared.discovery import DiscoveryService
from shared.errors import ConfigError
from shared.framing import MAX_DATAGRAM, Frame
from shared.link import Link

from client.feature_base import FeatureBase  # isort: skip


class DatagramFeature(FeatureBase):
    """A FeatureBase with a UDP socket; the configured port where it is free, any other where it is not."""

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

    async def close(self) -> None:
        """Stop receiving, then hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        await super().close()

    def send_datagram(self, raw: bytes) -> bool:
        """Send a frame to the server's UDP port; whether it went out."""
        if self._socket is None or self._endpoint is None or not self.is_connected or len(raw) > MAX_DATAGRAM:
            return False
        return self._socket.send(raw, (self._endpoint.host, self._endpoint.udp_port)) is None

    def _received(self, frame: Frame, address: Address) -> None:
        """Only our server's datagrams count."""
        if self._endpoint is not None and address[0] == self._endpoint.host:
            self.handle_message(frame)
