"""`parley chat`."""

from __future__ import annotations

from collections.abc import Sequence

from client.chat import ChatFeature
from client.cli.conversation import Conversation
from client.cli.documents import Folder
from client.cli.screens import screen
from client.cli.terminal import at_home, finder, who_we_are
from shared.config import Config


async def chat(config: Config, name: str, servers: Sequence[str], save: str) -> int:
    """Lines in, lines out, until the input ends; 1 where something that was sent was not answered for."""
    user = who_we_are(config, name)
    conversation = Conversation(user, Folder(save) if save else None)
    conversation.screen = screen(conversation.prompt)
    conversation.chat = ChatFeature(
        user,
        config,
        on_message=conversation.received,
        on_status=conversation.told,
        on_connection=conversation.connection,
        discovery=await finder(config, servers),
    )
    async with at_home(conversation.chat):
        conversation.screen.note(f"you are {user}. Write `someone@server: text`; /help tells more, Ctrl-D ends.")
        return await conversation.run()
