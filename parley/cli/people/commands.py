"""Commands for people whose arguments and help stand here: to find servers, to write and read; groups, blocks."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from parley.cli.options import As, ConfigFile, Json, ServerOption
from parley.cli.people import chat as chatting
from parley.cli.people import groups, receive
from parley.cli.people import send as sending
from parley.cli.people import users as connected
from parley.cli.terminal import fail, run
from parley.shared.errors import EXIT_CONFIG


class Switch(StrEnum):
    """The positions of a switch."""

    ON = "on"
    OFF = "off"


Save = Annotated[
    str,
    typer.Option(
        "--save", metavar="DIR", help="Write received documents there instead of into your download directory."
    ),
]
GroupName = Annotated[
    str,
    typer.Argument(
        metavar="'#GROUP[@SERVER]'",
        help="In quotes: a shell takes # for the beginning of a comment. Without a server it is at yours.",
    ),
]
Person = Annotated[str, typer.Argument(metavar="USER[@SERVER]", help="Without a server they are at yours.")]


def servers(
    server: ServerOption = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds to listen.")] = 2.0,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Find the servers of this network and print them.

    Examples:

        parley servers

        parley servers --server 192.168.1.20
    """
    from parley.cli.people import servers as discovered  # noqa: PLC0415 - its table takes 40 ms

    sys.exit(run(lambda c: discovered.servers(c, server or (), timeout, in_json=as_json), config))


def send(
    recipient: Annotated[
        str,
        typer.Argument(
            metavar="USER[@SERVER]", help="Or '#GROUP[@SERVER]', in quotes; without a server: at yours."
        ),
    ],
    text: Annotated[str | None, typer.Argument(help="The message; - reads it from standard input.")] = None,
    sender: As = "",
    file: Annotated[Path | None, typer.Option("--file", metavar="PATH", help="Send a file, up to 2 MiB.")] = None,
    server: ServerOption = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the delivery after the first status.")
    ] = 10.0,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Send one message and print what became of it.

    Exit code 0 only on DELIVERED, to all members of a group; 3 where it is kept, and not delivered yet; else 1.

    Examples:

        parley send --as alice@alpha bob@beta "Lunch?"

        parley send --as alice@alpha '#crew@alpha' --file map.png

        echo "Lunch?" | parley send --as alice@alpha bob@beta -
    """
    if (text is None) == (file is None):
        fail("one message is a text or a file: write TEXT, or --file PATH", EXIT_CONFIG)
    body = sending.text_of(text) if text is not None else ""
    sys.exit(
        run(lambda c: sending.send(c, sender, recipient, body, file, server or (), wait, in_json=as_json), config)
    )


def listen(
    user: As = "", server: ServerOption = None, save: Save = "", as_json: Json = False, config: ConfigFile = None
) -> None:
    """Print each message as it comes, and acknowledge it. Ctrl-C ends it.

    Examples:

        parley listen --as bob@beta

        parley listen --as bob@beta --save inbox

        parley listen --as bob@beta --json | jq .text
    """
    sys.exit(run(lambda c: receive.listen(c, user, server or (), save, in_json=as_json), config))


def chat(user: As = "", server: ServerOption = None, save: Save = "", config: ConfigFile = None) -> None:
    """Chat line by line: `bob@beta: hello` sends; after that plain lines go to the same person. /help tells more.

    At a terminal, whom you write to sees that you type, and you see who types to you, where a server offers that.

    Examples:

        parley chat --as alice@alpha
    """
    sys.exit(run(lambda c: chatting.chat(c, user, server or (), save), config))


def users(
    part: Annotated[str, typer.Argument(metavar="[PART]", help="A part of their names.")] = "",
    user: As = "",
    server: ServerOption = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Print who else is connected now, at your server and at those that it is linked with, one a line.

    Examples:

        parley users --as alice@alpha

        parley users bo --as alice@alpha
    """
    sys.exit(run(lambda c: connected.users(c, user, server or (), part, in_json=as_json), config))


group_app = typer.Typer(help="Join or leave a group, see who is in it, or change it.", no_args_is_help=True)


@group_app.command("join")
def group_join(group: GroupName, user: As = "", server: ServerOption = None, config: ConfigFile = None) -> None:
    """Become a member of a group. Whoever joins a group that nobody is in makes it.

    Examples:

        parley group join '#crew@alpha' --as bob@beta
    """
    sys.exit(run(lambda c: groups.join(c, user, server or (), group), config))


@group_app.command("leave")
def group_leave(group: GroupName, user: As = "", server: ServerOption = None, config: ConfigFile = None) -> None:
    """Be no member of a group any more.

    Examples:

        parley group leave '#crew@alpha' --as bob@beta
    """
    sys.exit(run(lambda c: groups.leave(c, user, server or (), group), config))


@group_app.command("members")
def group_members(
    group: GroupName, user: As = "", server: ServerOption = None, as_json: Json = False, config: ConfigFile = None
) -> None:
    """Print who is in a group, one a line. Only its members may ask.

    Examples:

        parley group members '#crew@alpha' --as bob@beta
    """
    sys.exit(run(lambda c: groups.members(c, user, server or (), group, in_json=as_json), config))


@group_app.command("show")
def group_show(
    group: GroupName, user: As = "", server: ServerOption = None, as_json: Json = False, config: ConfigFile = None
) -> None:
    """Print how many are in a group, who may change it, and whether it is kept. Only its members may ask.

    Examples:

        parley group show '#crew@alpha' --as bob@beta
    """
    sys.exit(run(lambda c: groups.show(c, user, server or (), group, in_json=as_json), config))


@group_app.command("history")
def group_history(
    group: GroupName,
    switch: Annotated[Switch, typer.Argument(help="off: no server keeps what is written in it from now on.")],
    user: As = "",
    server: ServerOption = None,
    config: ConfigFile = None,
) -> None:
    """Switch a group's history off, or on again. Only its admin can: the member who has been in it the longest.

    Examples:

        parley group history '#crew@alpha' off --as bob@beta
    """
    is_off = switch is Switch.OFF
    sys.exit(run(lambda c: groups.set_history(c, user, server or (), group, is_off=is_off), config))


def block(person: Person, user: As = "", server: ServerOption = None, config: ConfigFile = None) -> None:
    """Take no more messages from somebody. They are told USER_BLOCKED.

    Examples:

        parley block bob@beta --as alice@alpha
    """
    sys.exit(run(lambda c: groups.block(c, user, server or (), person), config))


def unblock(person: Person, user: As = "", server: ServerOption = None, config: ConfigFile = None) -> None:
    """Take somebody's messages again.

    Examples:

        parley unblock bob@beta --as alice@alpha
    """
    sys.exit(run(lambda c: groups.unblock(c, user, server or (), person), config))


def blocked(user: As = "", server: ServerOption = None, as_json: Json = False, config: ConfigFile = None) -> None:
    """Print whom you have blocked, one a line.

    Examples:

        parley blocked --as alice@alpha
    """
    sys.exit(run(lambda c: groups.blocked(c, user, server or (), in_json=as_json), config))
