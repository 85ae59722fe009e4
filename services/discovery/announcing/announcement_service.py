"""Announcing a server from any process: the discovery port without the rest of a node's discovery.

Whoever asks for servers is told where this one's features are. It asks nobody and keeps no directory: that is for a
discovery process, or for each service of a program (`handle_connections`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from prometheus_client import CollectorRegistry

from parley.services.discovery.announcing.answering import Request
from parley.services.discovery.announcing.discovery_port import DiscoveryPort
from parley.shared.config import Config, check_server_id, host_name, load
from parley.shared.discovery.announcements import encode_announcement, our_mark
from parley.shared.errors import ConfigError
from parley.shared.runtime.supervised import Faults, forever
from parley.shared.sockets.listener import is_taken
from parley.shared.telemetry import logs
from parley.shared.telemetry.metrics import Metrics
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust_storage.identity import find_identity
from parley.shared.version import version
from parley.shared.wire.framing import MAX_DATAGRAM
from parley.shared.wire.messages import FEATURES, LIVE_LOCATION, MESSAGES, TYPING_INDICATOR, pb

SECTIONS: Final = {MESSAGES: "chat", TYPING_INDICATOR: "typing", LIVE_LOCATION: "location"}
"""Feature → its part of the configuration, where its ports are."""


def _counted() -> dict[str, int]:
    return {"sent": 0, "received": 0}


@dataclass
class _Counts:
    requests: dict[str, int] = field(default_factory=_counted)
    announcements: dict[str, int] = field(default_factory=_counted)


class AnnouncementService:
    """Announces one server and the features that it offers, at the ports of the configuration.

    `server_id`: empty for the configured one, or the host's name. `features`: those that are announced, each for as
    long as something accepts connections at its port: a client asks once, and dials what it is told. ConfigError
    where there is no such feature, or no server may have that name.
    """

    def __init__(
        self, server_id: str = "", config: Config | None = None, *, features: Sequence[str] = FEATURES
    ) -> None:
        self.config = config or load()
        self.server_id = check_server_id(server_id or self.config.server_id or host_name())
        self.endpoints = [_endpoint(feature, self.config) for feature in features]
        self._instance_id = secrets.token_hex(8)
        self._log = logs.get(feature="DISCOVERY", instance_id=self._instance_id, server_id=self.server_id)
        self._metrics = Metrics(CollectorRegistry(), "DISCOVERY", self.server_id)
        self._metrics.expect_datagrams()
        self._port: DiscoveryPort | None = None
        self._identity: PrivateKey | None = None
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def announce_server(self) -> None:
        """Answer who asks for servers, from now on until `stop()`.

        Raises:
            ConfigError: the discovery port is taken, or `address` is none of this machine's.

        """
        if self._port is None:
            self._port = DiscoveryPort(
                self.config, asked=self._announce, metrics=self._metrics, counters=_Counts(), log=self._log
            )
            faults = Faults(lambda: self._log, self._metrics.errors.inc)
            looking = forever("looking at the networks", self._look_around, faults)
            self._looking = asyncio.get_running_loop().create_task(looking)

    async def stop(self) -> None:
        """Answer no more."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
            self._looking = None
        if self._port is not None:
            self._port.close()
            self._port = None

    async def _look_around(self) -> None:
        await asyncio.sleep(self.config.discovery.discovery_interval)
        if self._port is not None:
            self._port.look_around()

    def _announce(self, request: Request) -> None:
        served = [endpoint for endpoint in self.endpoints if is_taken(self.config.bind_host, endpoint.port)]
        if not served:
            return
        announcement = encode_announcement(
            self.server_id,
            served,
            mark=our_mark(version(), self._instance_id),
            nonce=request.nonce,
            limit=request.limit or MAX_DATAGRAM,
            identity=self._find_identity(),
        )
        if self._port is not None and self._port.may_answer(request, len(announcement)):
            self._port.answer(request, announcement)

    def _find_identity(self) -> PrivateKey | None:
        """The key that the program's services have made by now; who announces none is spoken to in plain."""
        if self._identity is None and self.config.security.mode != "open":
            self._identity = find_identity(Path(self.config.data_dir), self.server_id)
        return self._identity


def _endpoint(feature: str, config: Config) -> pb.Endpoint:
    """Where a feature is served, as the configuration has it; ConfigError where Parley has no such feature."""
    if feature not in SECTIONS:
        raise ConfigError(f"there is no feature {feature[:80]!a}: {', '.join(SECTIONS)}")
    section = getattr(config, SECTIONS[feature])
    return pb.Endpoint(feature=feature, port=section.port, udpPort=getattr(section, "udp_port", 0))
