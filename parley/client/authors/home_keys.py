"""The keys of authors' servers: pinned by a link of this person's clients, or learnt on one that is made for it."""

from __future__ import annotations

from parley.client.authors.server_probe import ServerProbe
from parley.client.trust.server_pins import ServerPins
from parley.client.trust.user_trust import UserTrust
from parley.shared.config import SecurityConfig
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.telemetry.logs import Log
from parley.shared.trust.proofs import Channel


class HomeKeys:
    """Those that a client's chat knows, from `begin` to `end`."""

    def __init__(self, trust: UserTrust, security: SecurityConfig, discovery: DiscoveryService, log: Log) -> None:
        self._trust = trust
        self._security = security
        self._probe = ServerProbe(discovery, self._judge, log)
        self._pins: ServerPins | None = None

    def begin(self) -> None:
        """Know the pins. Without keys, in mode `open`, there are none."""
        if self._pins is None and self._security.has_keys:
            directory = self._trust.directory
            self._pins = ServerPins.of(directory.pins if directory is not None else None)
            self._pins.acquire(_ignore)

    def end(self) -> None:
        """Know nothing any more."""
        if self._pins is not None:
            self._pins.release(_ignore)
            self._pins = None

    def of(self, server_id: str) -> bytes | None:
        """The key of a server; None: nobody here had a link to it that proved one."""
        return (self._pins.key_of(server_id) or None) if self._pins is not None else None

    async def learn(self, server_id: str) -> None:
        """Have a link to that server, so that its key is known."""
        if self._pins is not None:
            await self._probe.learn(server_id)

    def _judge(self, server_id: str, channel: Channel) -> object:
        """Pin what was not known. TrustError: the server has another key."""
        return self._pins.judge(server_id, channel) if self._pins is not None else None


def _ignore(_names: frozenset[str]) -> None:
    """Keys are looked up when they are needed."""
