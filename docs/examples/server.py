"""A server, gamma: it finds the others and stays linked with them."""

import asyncio
from contextlib import suppress

from parley import ChatService, DiscoveryService


async def main() -> None:
    server_list = await DiscoveryService().discover_servers()
    chat = ChatService("gamma")
    await chat.set_server_list_and_connect(server_list)
    await chat.handle_connections()


with suppress(KeyboardInterrupt):  # Ctrl-C hangs up and ends it
    asyncio.run(main())
