"""`parley group …`, `parley block`, `parley unblock` and `parley blocked`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence

from client.chat import ChatFeature
from client.cli.terminal import at_home, finder, line, who_we_are
from shared.addresses import Group, User
from shared.config import Config


async def _ask(
    config: Config, name: str, servers: Sequence[str], ask: Callable[[ChatFeature], Awaitable[None]]
) -> int:
    """Connect as that user and ask; what waits for them is left to a client that shows it."""
    chat = ChatFeature(who_we_are(config, name), config, discovery=await finder(config, servers))
    async with at_home(chat):
        await ask(chat)
    return 0


async def join(config: Config, name: str, servers: Sequence[str], group: Group) -> int:
    """Become a member."""

    async def ask(chat: ChatFeature) -> None:
        await chat.join(group)
        line(f"{chat.user} is in {group}")

    return await _ask(config, name, servers, ask)


async def leave(config: Config, name: str, servers: Sequence[str], group: Group) -> int:
    """Be no member any more."""

    async def ask(chat: ChatFeature) -> None:
        await chat.leave(group)
        line(f"{chat.user} is not in {group} any more")

    return await _ask(config, name, servers, ask)


async def members(config: Config, name: str, servers: Sequence[str], group: Group, *, as_json: bool) -> int:
    """Print who is in a group, one a line."""

    async def ask(chat: ChatFeature) -> None:
        for user in sorted(map(str, await chat.members(group))):
            line(json.dumps({"group": str(group), "member": user}, ensure_ascii=False) if as_json else user)

    return await _ask(config, name, servers, ask)


async def block(config: Config, name: str, servers: Sequence[str], user: User) -> int:
    """Take no more messages from a user."""

    async def ask(chat: ChatFeature) -> None:
        await chat.block(user)
        line(f"{chat.user} takes no messages from {user}")

    return await _ask(config, name, servers, ask)


async def unblock(config: Config, name: str, servers: Sequence[str], user: User) -> int:
    """Take a user's messages again."""

    async def ask(chat: ChatFeature) -> None:
        await chat.unblock(user)
        line(f"{chat.user} takes messages from {user}")

    return await _ask(config, name, servers, ask)


async def blocked(config: Config, name: str, servers: Sequence[str], *, as_json: bool) -> int:
    """Print whom a user has blocked, one a line."""

    async def ask(chat: ChatFeature) -> None:
        for user in sorted(map(str, await chat.blocked())):
            line(json.dumps({"blocked": user}, ensure_ascii=False) if as_json else user)

    return await _ask(config, name, servers, ask)
