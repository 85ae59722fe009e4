"""`parley typing`: who types, as it changes."""

from __future__ import annotations

import asyncio

from parley.cli.options import As, ConfigFile, Json, ServerOption
from parley.cli.people.subscription import connected
from parley.cli.terminal import as_json as to_line
from parley.cli.terminal import finder, line, note, run, who_we_are
from parley.client.typing import TypingFeature
from parley.client.views.typing_view import Typist
from parley.shared.addresses import User
from parley.shared.audiences import EVERYONE, Audience
from parley.shared.config import Config
from parley.shared.printable import one_line


def command(user: As = "", server: ServerOption = None, as_json: Json = False, config: ConfigFile = None) -> None:
    """Watch who types, to you, in your groups and to everyone. Ctrl-C ends it.

    Examples:
        parley typing --as bob@beta

        parley typing --as bob@beta --json

    """
    run(lambda c: _watch(c, user, server or (), as_json=as_json), config)


async def _watch(config: Config, name: str, servers: list[str] | tuple[()], *, as_json: bool) -> None:
    """Print who begins and who stops, for ever."""
    user = who_we_are(config, name)
    shown: dict[tuple[User, Audience], Typist] = {}

    def changed(typists: list[Typist]) -> None:
        now = {(typist.user, typist.audience): typist for typist in typists}
        for key in [*(key for key in now if key not in shown), *(key for key in shown if key not in now)]:
            line(to_line(_fields(*key, begins=key in now)) if as_json else _sentence(*key, begins=key in now))
        shown.clear()
        shown.update(now)

    feature = TypingFeature(user, config, on_change=changed, discovery=await finder(config, servers))
    async with connected(feature):
        note(f"watching who types as {user}; Ctrl-C ends it")
        await asyncio.Event().wait()


def _sentence(user: User, audience: Audience, *, begins: bool) -> str:
    where = f" in {audience.group}" if audience.group is not None else " to you"
    return one_line(f"{user} {'types' if begins else 'stopped'}{'' if audience == EVERYONE else where}")


def _fields(user: User, audience: Audience, *, begins: bool) -> dict[str, object]:
    return {
        "user": str(user),
        "group": str(audience.group) if audience.group is not None else None,
        "to": str(audience.user) if audience.user is not None else None,
        "typing": begins,
    }
