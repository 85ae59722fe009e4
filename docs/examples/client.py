"""Alice, at home at alpha, writes to bob."""

import asyncio

from parley import ChatFeature, DiscoveryService


async def main() -> None:
    server_list = await DiscoveryService().discover_servers()
    async with ChatFeature("alice@alpha") as chat:
        await chat.handle_connection(server_list)
        print(await chat.send("bob@beta", "Hello!").final)


asyncio.run(main())
