"""A user of ours: the same client, but that it says that it is a Parley's."""

from __future__ import annotations

from tests.support import plain_wire as wire
from tests.support.plain_client import PlainClient

TERMS = b"\x82\x07"
"""Field 112 of CONNECT_CLIENT: whom it expects, and what it can."""


class OurClient(PlainClient):
    """It has terms: the server that it expects, and no capabilities."""

    def hello(self, udp_port: int) -> bytes:
        """The first frame of each link."""
        server_id = self.user["serverId"].encode()
        terms = TERMS + bytes([len(server_id) + 2, 0x0A, len(server_id)]) + server_id
        payload = wire.encode_payload("ConnectClient", {"user": self.user, "udpPort": udp_port})
        return wire.frame("CONNECT_CLIENT", payload + terms)
