"""People with clients of ours at real nodes: what came, and what they were told."""

import asyncio
from contextlib import asynccontextmanager

from parley import ChatFeature, DiscoveryService
from parley.shared.config import Config, DiscoveryConfig, LinkConfig
from tests.support.nodes import TIMEOUT


class Talker:
    """One client; `came` has the messages that were shown, `told` (number, whose, status) of its own."""

    def __init__(self, user, config):
        self.came = []
        self.told = []
        self._news = asyncio.Event()
        self.chat = ChatFeature(user, config, on_message=self.came.append, on_status=self._told)

    def _told(self, delivery, whose, status):
        self.told.append((delivery.snowflake, str(whose), status))
        self._news.set()

    async def wait_told(self, delivery, whose, status):
        """Wait until this status was told."""
        async with asyncio.timeout(TIMEOUT):
            while (delivery.snowflake, whose, status) not in self.told:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def talking(address, *users, payload_limit=None):
    """Connected clients of these users, at a loopback address."""
    link = LinkConfig(backoff_max=0.5) if payload_limit is None else LinkConfig(payload_limit=payload_limit)
    config = Config(address=address, link=link, discovery=DiscoveryConfig(discovery_timeout=1.0))
    found = await DiscoveryService(config).discover_servers()
    talkers = [Talker(user, config) for user in users]
    try:
        for talker in talkers:
            await talker.chat.handle_connection(found)
        yield talkers
    finally:
        for talker in talkers:
            await talker.chat.close()


async def final(delivery):
    """The final status, in time."""
    return await asyncio.wait_for(asyncio.shield(delivery.final), TIMEOUT)
