"""`parley`: the commands and their help."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from parley.cli.operator import status, trust
from parley.cli.options import As, ConfigFile, Json, ServerOption
from parley.cli.output import OutputError, take_over
from parley.cli.people import chat as chatting
from parley.cli.people import devices, groups, history, receive, share, typing, where
from parley.cli.people import send as sending
from parley.cli.people import servers as discovered
from parley.cli.people import users as connected
from parley.cli.terminal import fail, run
from parley.shared.errors import EXIT_CONFIG
from parley.shared.extras import needed_extra
from parley.shared.sockets.descriptors import fill_standard_streams
from parley.shared.version import version

app = typer.Typer(
    help="Chat for networks that nobody configured. Servers find each other; so do you.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""The class that typer raises for a wrong command line; it has no public name there."""

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


class Service(StrEnum):
    """The processes of a node."""

    DISCOVERY = "discovery"
    CHAT = "chat"
    TYPING = "typing"
    LOCATION = "location"


def _fail_without(missing: ModuleNotFoundError) -> NoReturn:
    """End a command that needs more than is installed."""
    needed = needed_extra(missing)
    if not needed:
        raise missing
    fail(f"this command is for who runs a node: {needed}", EXIT_CONFIG)


def _add_missing(name: str, missing: ModuleNotFoundError) -> None:
    """Have a command that cannot be imported say what it needs, whatever its arguments are."""
    if not needed_extra(missing):
        raise missing

    def command(_arguments: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
        _fail_without(missing)

    settings = {"ignore_unknown_options": True}
    app.command(name, help="Needs the extra [node].", context_settings=settings)(command)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"parley {version()}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    password_file: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Your password, on a machine that keeps no key of yours; - asks for it.",
            envvar="PARLEY_CLIENT__PASSWORD_FILE",
        ),
    ] = "",
) -> None:
    if password_file:
        os.environ["PARLEY_CLIENT__PASSWORD_FILE"] = password_file


@app.command()
def serve(
    services: Annotated[
        list[Service] | None, typer.Argument(help="Which processes; all four when none is named.")
    ] = None,
    config: ConfigFile = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the processes' own logs.")] = False,
) -> None:
    """Run a node: all four processes, restarting what dies. Ctrl-C stops it.

    Examples:

        parley serve

        PARLEY_SERVER_ID=alpha PARLEY_ADDRESS=127.0.0.2 parley serve

        parley serve chat
    """
    try:
        from parley.cli.operator import serve as serving  # noqa: PLC0415 - no other command imports the processes
    except ModuleNotFoundError as error:
        _fail_without(error)
    sys.exit(serving.serve([s.value for s in services or ()], config, verbose=verbose))


@app.command()
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
    sys.exit(run(lambda c: discovered.servers(c, server or (), timeout, in_json=as_json), config))


@app.command()
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


@app.command()
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


@app.command()
def chat(user: As = "", server: ServerOption = None, save: Save = "", config: ConfigFile = None) -> None:
    """Chat line by line: `bob@beta: hello` sends; after that plain lines go to the same person. /help tells more.

    At a terminal, whom you write to sees that you type, and you see who types to you, where a server offers that.

    Examples:

        parley chat --as alice@alpha
    """
    sys.exit(run(lambda c: chatting.chat(c, user, server or (), save), config))


@app.command()
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


group_app = typer.Typer(help="Join or leave a group, or see who is in it.", no_args_is_help=True)
app.add_typer(group_app, name="group", rich_help_panel=None)


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


Person = Annotated[str, typer.Argument(metavar="USER[@SERVER]", help="Without a server they are at yours.")]


@app.command()
def block(person: Person, user: As = "", server: ServerOption = None, config: ConfigFile = None) -> None:
    """Take no more messages from somebody. They are told USER_BLOCKED.

    Examples:

        parley block bob@beta --as alice@alpha
    """
    sys.exit(run(lambda c: groups.block(c, user, server or (), person), config))


@app.command()
def unblock(person: Person, user: As = "", server: ServerOption = None, config: ConfigFile = None) -> None:
    """Take somebody's messages again.

    Examples:

        parley unblock bob@beta --as alice@alpha
    """
    sys.exit(run(lambda c: groups.unblock(c, user, server or (), person), config))


@app.command()
def blocked(user: As = "", server: ServerOption = None, as_json: Json = False, config: ConfigFile = None) -> None:
    """Print whom you have blocked, one a line.

    Examples:

        parley blocked --as alice@alpha
    """
    sys.exit(run(lambda c: groups.blocked(c, user, server or (), in_json=as_json), config))


app.add_typer(devices.app, name="device", rich_help_panel=None)
app.command("typing")(typing.command)
app.command("share")(share.command)
app.command("where")(where.command)
app.command("history")(history.history)
app.command("search")(history.search)
app.command("export")(history.export)
app.command("status")(status.command)
app.add_typer(trust.app, name="trust", rich_help_panel=None)
try:
    from parley.cli.operator import archive, federation, mailbox, user
except ModuleNotFoundError as missing:
    _add_missing("archive", missing)
    _add_missing("federation", missing)
    _add_missing("mailbox", missing)
    _add_missing("user", missing)
else:
    app.add_typer(archive.app, name="archive", rich_help_panel=None)
    app.add_typer(federation.app, name="federation", rich_help_panel=None)
    app.add_typer(mailbox.app, name="mailbox", rich_help_panel=None)
    app.add_typer(user.app, name="user", rich_help_panel=None)


def _program() -> Any:
    """The command line; its help names no type for what takes no value."""
    program = typer.main.get_command(app)
    _name_no_type_of_flags(program)
    return program


def _name_no_type_of_flags(command: Any) -> None:
    for option in (*command.params, command.get_help_option(typer.Context(command))):
        if getattr(option, "is_flag", False):
            option.metavar = ""
    for each in getattr(command, "commands", {}).values():
        _name_no_type_of_flags(each)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what is wrong with it is one line, and exit code 2."""
    take_over(fill_standard_streams())
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _program()(args=given or ["--help"], prog_name="parley", standalone_mode=False)
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the help was asked for, by asking for nothing
            sys.exit(0)
        message = " ".join(error.format_message().replace("''", "'").split())  # type: ignore[attr-defined]
        command = error.ctx.command_path if error.ctx is not None else "parley"  # type: ignore[attr-defined]
        fail(f"{message.removesuffix('.')}. `{command} --help` shows examples.", EXIT_CONFIG)
    except OutputError as error:
        if error.is_gone:  # as in `parley servers | head -1`: nobody wants more
            sys.exit(0)
        fail(str(error))
    except typer.Abort:
        sys.exit(130)
