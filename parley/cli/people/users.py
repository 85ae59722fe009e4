"""`parley users`."""

from __future__ import annotations

from collections.abc import Sequence

from parley.cli.terminal import as_json, at_home, finder, line, note, who_we_are
from parley.client.chat import ChatFeature
from parley.shared.config import Config

LEFT_OUT = "there may be others, of servers that did not answer or have too many: name a part of the name"


async def users(config: Config, name: str, servers: Sequence[str], query: str, *, in_json: bool) -> int:
    """Print who else is connected, one a line."""
    chat = ChatFeature(who_we_are(config, name), config, discovery=await finder(config, servers))
    async with at_home(chat, servers):
        found = await chat.search_users(query)
    for user in found.users:
        if user != chat.user:
            line(as_json({"user": str(user)}) if in_json else str(user))
    if not found.is_all:
        note(f"parley: {LEFT_OUT}")
    return 0
