"""`parley`: the commands and their help."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, NoReturn

import typer

from parley.cli.options import ConfigFile
from parley.cli.output import OutputError, take_over
from parley.cli.terminal import fail
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


class Later(NamedTuple):
    """A command, or a group of commands (`app`), that is imported where it is called or listed."""

    module: str
    name: str = "app"


LATER = {
    "servers": Later("people.commands", "servers"),
    "send": Later("people.commands", "send"),
    "listen": Later("people.commands", "listen"),
    "chat": Later("people.commands", "chat"),
    "users": Later("people.commands", "users"),
    "group": Later("people.commands", "group_app"),
    "block": Later("people.commands", "block"),
    "unblock": Later("people.commands", "unblock"),
    "blocked": Later("people.commands", "blocked"),
    "device": Later("people.devices"),
    "typing": Later("people.typing", "command"),
    "share": Later("people.share", "command"),
    "where": Later("people.where", "command"),
    "history": Later("people.history", "history"),
    "search": Later("people.history", "search"),
    "export": Later("people.export", "command"),
    "clear": Later("people.history", "clear"),
    "forget": Later("people.forget", "command"),
    "status": Later("operator.status", "command"),
    "trust": Later("operator.trust"),
    "archive": Later("operator.archive"),
    "federation": Later("operator.federation"),
    "mailbox": Later("operator.mailbox"),
    "user": Later("operator.user"),
}
"""All but `serve`, in the order of the help. No command needs another's modules: all together take a second."""


def _add_for(given: Sequence[str]) -> None:
    """Add what the arguments call, or everything where that is not at their head."""
    first = given[0] if given else ""
    if first in ("serve", "--version"):
        return
    for name in [first] if first in LATER else LATER:
        _add(name)


def _add(name: str) -> None:
    later = LATER[name]
    try:
        found = getattr(importlib.import_module(f"parley.cli.{later.module}"), later.name)
    except ModuleNotFoundError as missing:
        _add_missing(name, missing)
        return
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name, rich_help_panel=None)
    else:
        app.command(name)(found)


def _program(given: Sequence[str]) -> Any:
    """The command line, for these arguments; its help names no type for what takes no value."""
    _add_for(given)
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
        # Typer returns the code of its Exit, which it makes of Ctrl-C, too, before a command runs its coroutine.
        ended = _program(given)(args=given or ["--help"], prog_name="parley", standalone_mode=False)
        if isinstance(ended, int) and ended:
            sys.exit(ended)
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
