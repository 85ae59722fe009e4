"""`parley group …`, `parley block`, `parley unblock` and `parley blocked`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from parley.cli.people.names import group_named, looks_like_a_group, new_group, no_group, to_block, user_named
from parley.cli.people.wording import HISTORY
from parley.cli.terminal import as_json, at_home, finder, line, who_we_are
from parley.client.chat import ChatFeature
from parley.client.outbox.questions import RequestFailed
from parley.client.outbox.requests import GroupState
from parley.shared.addresses import Group, User
from parley.shared.config import Config


async def _ask(
    config: Config, name: str, servers: Sequence[str], ask: Callable[[ChatFeature], Awaitable[None]]
) -> int:
    """Connect as that user and ask; what waits for them is left to a client that shows it."""
    chat = ChatFeature(who_we_are(config, name), config, discovery=await finder(config, servers))
    async with at_home(chat, servers):
        await ask(chat)
    return 0


def _group(config: Config, name: str, group: str) -> Group:
    return group_named(group, who_we_are(config, name).server_id)


async def _is_member(chat: ChatFeature, group: Group) -> bool:
    """Whether we are in a group; where that is not told, what is asked next will tell why."""
    try:
        return chat.user in await chat.members(group)
    except RequestFailed as error:
        if error.reason != "refused" or error.is_away:
            raise
        return False


def joined(user: str, group: Group, members: Sequence[User]) -> str:
    """Words for who has joined a group that has these members; `user`: "bob@beta is", "you are"."""
    return f"{user} in {group}" + (", its only member: it is new" if len(members) == 1 else "")


async def join(config: Config, name: str, servers: Sequence[str], group_name: str) -> int:
    """Become a member."""
    group = new_group(group_name, who_we_are(config, name).server_id)

    async def ask(chat: ChatFeature) -> None:
        was_in = await _is_member(chat, group)
        members = await chat.join(group)
        line(f"{chat.user} was in {group} already" if was_in else joined(f"{chat.user} is", group, members))

    return await _ask(config, name, servers, ask)


async def leave(config: Config, name: str, servers: Sequence[str], group_name: str) -> int:
    """Be no member any more."""
    group = _group(config, name, group_name)

    async def ask(chat: ChatFeature) -> None:
        was_in = await _is_member(chat, group)
        await chat.leave(group)
        line(f"{chat.user} is not in {group} any more" if was_in else f"{chat.user} was not in {group}")

    return await _ask(config, name, servers, ask)


async def members(config: Config, name: str, servers: Sequence[str], group_name: str, *, in_json: bool) -> int:
    """Print who is in a group, one a line."""
    group = _group(config, name, group_name)

    async def ask(chat: ChatFeature) -> None:
        for user in sorted(map(str, await chat.members(group))):
            line(as_json({"group": str(group), "member": user}) if in_json else user)

    return await _ask(config, name, servers, ask)


def described(group: Group, state: GroupState) -> Iterator[str]:
    """Lines about a group: how many are in it, who may change it, and whether it is kept."""
    yield f"{group} has {len(state.members)} member{'s' if len(state.members) != 1 else ''}"
    if state.admins:
        yield f"its admin is {', '.join(map(str, state.admins))}"
    yield HISTORY[state.is_history_off].format(group=group)


async def show(config: Config, name: str, servers: Sequence[str], group_name: str, *, in_json: bool) -> int:
    """Print how many are in a group, who may change it, and whether it is kept."""
    group = _group(config, name, group_name)

    async def ask(chat: ChatFeature) -> None:
        state = await chat.group(group)
        fields = {
            "group": str(group),
            "members": len(state.members),
            "admins": list(map(str, state.admins)),
            "history": "off" if state.is_history_off else "on",
        }
        for text in [as_json(fields)] if in_json else described(group, state):
            line(text)

    return await _ask(config, name, servers, ask)


async def set_history(config: Config, name: str, servers: Sequence[str], group_name: str, *, is_off: bool) -> int:
    """Switch a group's history off, or on again."""
    group = _group(config, name, group_name)

    async def ask(chat: ChatFeature) -> None:
        await chat.set_history(group, is_off=is_off)
        line(HISTORY[is_off].format(group=group))

    return await _ask(config, name, servers, ask)


async def block(config: Config, name: str, servers: Sequence[str], person: str) -> int:
    """Take no more messages from a user."""
    user = to_block(who_we_are(config, name), person)

    async def ask(chat: ChatFeature) -> None:
        was_blocked = user in await chat.blocked()
        try:
            await chat.block(user)
        except RequestFailed as error:  # our server knows whether somebody of that name was ever there
            raise no_group(person) if looks_like_a_group(person) and error.reason == "refused" else error from None
        before = " before, either" if was_blocked else ""
        line(f"{chat.user} {'took' if was_blocked else 'takes'} no messages from {user}{before}")

    return await _ask(config, name, servers, ask)


async def unblock(config: Config, name: str, servers: Sequence[str], person: str) -> int:
    """Take a user's messages again."""
    user = user_named(person, who_we_are(config, name).server_id)

    async def ask(chat: ChatFeature) -> None:
        was_blocked = user in await chat.blocked()
        await chat.unblock(user)
        line(f"{chat.user} takes messages from {user}" if was_blocked else f"{user} was not blocked")

    return await _ask(config, name, servers, ask)


async def blocked(config: Config, name: str, servers: Sequence[str], *, in_json: bool) -> int:
    """Print whom a user has blocked, one a line."""

    async def ask(chat: ChatFeature) -> None:
        for user in sorted(map(str, await chat.blocked())):
            line(as_json({"blocked": user}) if in_json else user)

    return await _ask(config, name, servers, ask)
