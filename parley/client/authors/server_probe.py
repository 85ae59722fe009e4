"""Learns the key of a server on a link to it, so that the device lists of its users can be checked.

A client has a link to its user's own server alone. The server of somebody else who writes to it is looked for with
the others, dialled once, and hung up as soon as it has proved its key, which is pinned then as any server's.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from parley.shared.addresses import Endpoint, Server
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import ParleyError
from parley.shared.names import fold
from parley.shared.telemetry.logs import Log
from parley.shared.trust.certificates import MOST as MOST_CERTIFICATE
from parley.shared.trust.certificates import digest_of
from parley.shared.trust.proofs import Channel, read_hello
from parley.shared.trust_storage.tls_contexts import client_context
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import MESSAGES, decode, pb

PATIENCE: Final = 5.0
"""Seconds for which a server may take to prove its key."""
AGAIN: Final = 300.0
"""Seconds after which one that did not is tried again."""
MOST: Final = 1000
"""Servers of which it is known when they were tried."""
LONGEST: Final = 4096
"""Bytes of a HELLO."""


class ServerProbe:
    """One client's. `judge` pins what it did not know, and raises ParleyError where a name has another key."""

    def __init__(self, discovery: DiscoveryService, judge: Callable[[str, Channel], object], log: Log) -> None:
        self._discovery = discovery
        self._judge = judge
        self._log = log
        self._tried: OrderedDict[str, float] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def learn(self, server_id: str) -> None:
        """Have the key of that server judged, unless it was tried lately. Nothing is raised."""
        name, now = fold(server_id), time.monotonic()
        if now - self._tried.get(name, -AGAIN) < AGAIN:
            return
        self._tried[name] = now
        self._tried.move_to_end(name)
        if len(self._tried) > MOST:
            self._tried.popitem(last=False)
        async with self._one_at_a_time:
            try:
                await self._learn(server_id)
            except (OSError, ParleyError, TimeoutError, ssl.SSLError) as error:
                self._log.info("server_not_proven", error=str(error))

    async def _learn(self, server_id: str) -> None:
        servers = await self._discovery.discover_servers(until=lambda found: _find(found, server_id) is not None)
        server = _find(servers, server_id)
        if server is None:
            return
        async with asyncio.timeout(PATIENCE):
            channel = await proven_channel(server.endpoints(MESSAGES)[0])
        if channel is not None:
            self._judge(server.server_id, channel)


def _find(servers: tuple[Server, ...], server_id: str) -> Server | None:
    """The server of that name, if it has a key: none else is sent a ClientHello."""
    for server in servers:
        if fold(server.server_id) == fold(server_id) and server.key and server.endpoints(MESSAGES):
            return server
    return None


async def proven_channel(endpoint: Endpoint) -> Channel | None:
    """Dial, read HELLO, hang up: the key that the acceptor proved; None: it proved none. OSError, SSLError."""
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=client_context())
    try:
        frames, hello = FrameReader(LONGEST), None
        while hello is None and (data := await reader.read(LONGEST)):
            hello = next(iter(frames.feed(data)), None)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
        if hello is None or hello.name != "HELLO" or not 0 < len(certificate) <= MOST_CERTIFICATE:
            return None
        return read_hello(decode(hello, pb.Hello), digest_of(certificate))
    finally:
        writer.close()
