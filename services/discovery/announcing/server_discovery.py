"""Discovery as a server does it: the client's, but our own announcements do not count."""

from __future__ import annotations

from parley.shared.addresses import Server
from parley.shared.config import Config
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.names import fold


class ServerDiscoveryService(DiscoveryService):
    """Finds the other servers of this network."""

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(config)
        self.server_id = server_id or self.config.server_id

    def accepts(self, server: Server) -> bool:
        """Whether it is another server's."""
        return fold(server.server_id) != fold(self.server_id)
