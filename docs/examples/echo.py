"""An echo bot: it sends each text back to its author."""

import asyncio

from parley import ChatFeature, ChatMessage, DiscoveryService, User


async def main() -> None:
    def echo(message: ChatMessage) -> None:
        chat.send(User.of(message.author), message.textContent)

    server_list = await DiscoveryService().discover_servers()
    async with ChatFeature("echo@alpha", on_message=echo) as chat:
        await chat.handle_connection(server_list)
        await asyncio.Event().wait()


asyncio.run(main())
