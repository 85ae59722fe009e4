"""A server, gamma: it finds the others and stays linked with them."""

import asyncio
from contextlib import suppress

from parley.services.chat import ChatService
from parley.services.discovery import ServerDiscoveryService


async def main() -> None:
    server_list = await ServerDiscoveryService("gamma").discover_servers()
    async with ChatService("gamma") as chat:
        await chat.set_server_list_and_connect(server_list)
        await asyncio.Event().wait()


with suppress(KeyboardInterrupt):  # Ctrl-C hangs up and ends it
    asyncio.run(main())
