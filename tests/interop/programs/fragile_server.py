"""The servers of code base 1, as fragile as protocol.md says: one loop for each feature, and what ends it.

A loop reads and accepts all links of its feature. It ends at a name that it does not know, and at a payload that
ends in 0x0A, of which it strips that byte. From then on nobody is answered there, and nothing says so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.support import plain_wire as wire
from tests.support.plain_link import Endpoint, Link
from tests.support.plain_server import PlainServer
from tests.support.plain_wire import Fields


class Death(NamedTuple):
    """The end of a feature's loop."""

    cause: str
    source: Endpoint
    """Who sent it."""

    def __str__(self) -> str:
        return f"DIED at {self.cause}"


class FragileServer(PlainServer):
    """A server of code base 1; `deaths` says which of its loops ended, and at what."""

    def __init__(self, server_id: str, address: str, **settings: Any) -> None:
        super().__init__(server_id, address, **{"confirms": False, **settings})
        self.deaths: dict[str, Death] = {}

    def die(self, link: Link, cause: str) -> None:
        """End the loop that read this link: no link of the feature is read any more, and none is accepted."""
        if link.feature in self.deaths:
            return
        self.deaths[link.feature] = Death(cause, link.remote)
        self.leave_unread(self.listeners[link.feature])
        for each in self.links:
            if each.feature == link.feature:
                self.leave_unread(each.sock)

    def reads(self, link: Link) -> bool:
        """Nothing of a feature whose loop has ended."""
        return link.feature not in self.deaths

    def read_payload(self, name: str, payload: bytes) -> Fields:
        """A payload, without the line feeds at its end."""
        try:
            return super().read_payload(name, payload.rstrip(b"\n"))
        except wire.MalformedError as error:
            ends = "a payload that ends in 0x0A" if payload.endswith(b"\n") else "a payload that does not parse"
            raise wire.MalformedError(f"{name}, {ends}") from error

    def on_malformed(self, link: Link, error: wire.MalformedError) -> None:
        """The loop ends."""
        self.die(link, str(error))

    def on_frame(self, link: Link, name: str, fields: Fields) -> bool:
        """Serve what it knows."""
        return name in self.names and super().on_frame(link, name, fields)

    def on_unsupported(self, link: Link, name: str) -> None:
        """A name that it knows, where that means nothing, is answered; one that it does not know ends the loop."""
        if name in self.names:
            super().on_unsupported(link, name)
        else:
            self.die(link, name)

    def on_datagram(self, sock: Any, name: str, fields: Fields, source: Endpoint) -> None:
        """Serve the features whose loops run."""
        feature = next((each for each, udp in self._udp.items() if udp is sock), "")
        if feature not in self.deaths:
            super().on_datagram(sock, name, fields, source)
