"""A whole node in one process, by the same steps as a client: `python -m docs.examples.node gamma`."""

import asyncio
import sys
from contextlib import suppress

from parley import AnnouncementService, ChatService, DiscoveryService, LocationService, TypingService


async def main(server_id: str) -> None:
    async with AnnouncementService(server_id) as announcement:
        await announcement.announce_server()
        server_list = await DiscoveryService().discover_servers()
        services = [ChatService(server_id), TypingService(server_id), LocationService(server_id)]
        for service in services:
            await service.set_server_list_and_connect(server_list)
        await asyncio.gather(*(service.handle_connections() for service in services))


with suppress(KeyboardInterrupt):  # Ctrl-C hangs up and ends it
    asyncio.run(main(sys.argv[1]))
