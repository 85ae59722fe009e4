"""An echo bot: it sends each text back to where it came from."""

import asyncio

import parley


async def main() -> None:
    async with parley.connect("echo@alpha") as me:
        async for message in me.messages():
            await message.reply(message.text)


asyncio.run(main())
