"""A server that only dials, for tests of who is dialled."""

import socket

from tests.support.plain_link import TIMEOUT, Endpoint, Link
from tests.support.plain_program import PlainProgram
from tests.support.plain_wire import Fields


class PlainDialler(PlainProgram):
    """A server that only dials, and takes whatever comes: the side that existing servers work with."""

    def connect(self, to_server: str, server_id: str, feature: str = "MESSAGES") -> Link:
        """Find a server and connect as `server_id`; return the link with its `result`."""
        found = next(each for each in self.discover(TIMEOUT) if each.server_id == to_server)
        link = self.dial((found.address, found.features[feature][0]), feature)
        link.send("CONNECT_SERVER", {"serverId": server_id, "features": [feature]})
        self.wait_for(lambda: link.result or link.closed)
        return link

    def connect_from(self, own: Endpoint, address: Endpoint, feature: str = "MESSAGES") -> Link:
        """Open a link from an address and port of ours that a link was from before. OSError while it cannot."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.settimeout(TIMEOUT)
            sock.bind(own)
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        return self._add_link(sock, feature, dialled=True)

    def on_frame(self, _link: Link, _name: str, _fields: Fields) -> bool:
        """Take it."""
        return True
