"""One other server, as peering knows it."""

from __future__ import annotations

import asyncio

from parley.shared.addresses import Endpoint
from parley.shared.link.link import Link
from parley.shared.peering.connector import Connector
from parley.shared.peering.refusals import Refusals


class Peer:
    """One other server: where it is, the dial of ours, and the link that stands."""

    def __init__(self, server_id: str) -> None:
        self.server_id = server_id
        self.endpoints: tuple[Endpoint, ...] = ()
        """Where the directory has it; empty: it does not."""
        self.connector: Connector | None = None
        """Dials it; None: it is not dialled."""
        self.dial: Link | None = None
        self.link: Link | None = None
        self.refusals = Refusals()
        self.rivals: dict[str, float] = {}
        """Address of another server of this name that asks to be linked → when it first did, since this link."""
        self.has_yielded = False
        """Whether the link went to another server of this name: once in a contest."""
        self.avoided, self.avoided_until = "", 0.0
        """The address of the one that yielded, and until when (seconds) it is neither dialled nor admitted."""
        self.lost_because = ""
        """How the link before this one ended."""
        self.is_gone = False
        """Whether the directory has forgotten it: it is dialled no more, once its link is over."""

    def avoids(self, host: str) -> bool:
        """Whether the server at that address has just yielded to another of its name."""
        return host == self.avoided and asyncio.get_running_loop().time() < self.avoided_until

    def is_at(self, host: str) -> bool:
        """Whether the directory has it at that address."""
        return any(endpoint.host == host for endpoint in self.endpoints)

    @property
    def is_contested(self) -> bool:
        """Whether another server of this name asks to be linked, and the linked one answers."""
        return self.link is not None and any(map(self.link.heard_since, self.rivals.values()))

    @property
    def standing_dial(self) -> Link | None:
        """Our dial, if its CONNECT is on its way."""
        return self.dial if self.dial is not None and self.dial.is_handshaking else None
