"""The common part of the commands for typing and locations: a connection to a server that offers the feature."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from parley.cli.terminal import EXIT_REFUSED, WHERE, fail, prepare
from parley.client.event_feature import EventFeature
from parley.client.trust.refusals import TrustError
from parley.shared.addresses import ServerList
from parley.shared.errors import PeerError


@asynccontextmanager
async def connected(feature: EventFeature, others: Collection[str] = ()) -> AsyncIterator[ServerList]:
    """A feature, connected to its user's server, or to another one that offers it; exits where none does.

    `others`: serverIds that are looked for, too. The servers that were found.
    """
    home = feature.user.server_id

    def is_enough(found: ServerList) -> bool:
        offering = {server.server_id for server in found if server.endpoints(feature.feature)}
        return home in offering and offering.issuperset(others)

    found = await feature.discovery.discover_servers(until=is_enough)
    if not found:
        fail(f"no server answered. {WHERE}")
    async with prepare(feature):
        try:
            await feature.handle_connection(found)
        except TrustError as error:
            fail(str(error), EXIT_REFUSED)
        except PeerError as error:
            fail(f"{error}; start a process that offers it")
        yield found
