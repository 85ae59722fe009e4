"""`parley forget`: what this device holds of a user is removed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from parley.cli.options import As, ConfigFile
from parley.cli.terminal import confirm, line, run, who_we_are
from parley.client.trust.forgetting import Forgotten, forget
from parley.client.trust.user_directory import UserDirectory
from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.errors import ConfigError, ParleyError
from parley.shared.names import spell


def command(
    user: As = "",
    with_key: Annotated[
        bool, typer.Option("--device-key", help="Remove this device's key, too: it speaks for you no more.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigFile = None,
) -> None:
    """Remove what this device holds of you: conversations, unsent messages, contacts, and what it knows of servers.

    Your server, your other devices and the people you wrote with keep what they have.

    Examples:
        parley forget --as alice@alpha

        parley forget --as alice@alpha --device-key --yes

    """
    sys.exit(run(lambda c: _forget(c, user, with_key=with_key, yes=yes), config))


async def _forget(config: Config, name: str, *, with_key: bool, yes: bool) -> int:
    user = who_we_are(config, name)
    directory = UserDirectory.of(config)
    if directory is None:
        raise ConfigError("there is no home directory; set PARLEY_CLIENT__DATA_DIR")
    if with_key and directory.device_file(user).exists():
        confirm(
            f"Remove this device's key of {user}? Where it is your only device, the name is yours again only if "
            f"{spell(user.server_id)}'s operator resets it.",
            yes=yes,
            unasked=" whether to remove the key",
            refused="nothing was removed",
        )
    try:
        found = forget(directory, user, with_key=with_key)
    except OSError as error:
        raise ParleyError(f"{error.filename or directory.path}: {(error.strerror or str(error)).lower()}") from None
    for text in described(found, user):
        line(text)
    return 0


def described(found: Forgotten, user: User) -> Iterator[str]:
    """Lines for what is gone, what stayed here, and what is elsewhere."""
    server = spell(user.server_id)
    if found.is_nothing:
        yield f"there was nothing of {user} to remove on this device"
    if found.history:
        yield f"removed: the copy of {user}'s conversations on this device"
    if found.unsent:
        yield f"removed: what no server had taken yet: {_messages(found.unsent)}, which nobody gets"
    if found.contacts:
        yield "removed: the keys of those who wrote; another one is not noticed"
    if found.numbers:
        yield "removed: the numbers of received messages"
    if found.pins:
        yield f"removed: the keys of servers; whoever answers as {server} first is believed"
    if found.key:
        yield f"removed: this device's key; {server} lists it still: `parley device revoke`, at another one"
    if found.pins_stay:
        yield "kept: the keys of servers, which other users of this device know them by, too"
    if found.key_stays:
        yield f"kept: this device's key, with which it speaks for {user}; --device-key removes it"
    yield f"elsewhere: what {server} keeps of your conversations; `parley clear --all --as {user}` removes that"
    yield "elsewhere: what your other devices and other people have, and documents that were saved"


def _messages(number: int) -> str:
    return "1 message" if number == 1 else f"{number} messages"
