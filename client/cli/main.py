"""`parley`: the commands and their help."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from client.cli import chatting, nodes
from client.cli.terminal import fail, run
from shared.metrics import version
from shared.process import EXIT_CONFIG

app = typer.Typer(
    help="Chat for networks that nobody configured. Servers find each other; so do you.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises for a wrong command line; it has no public name there."""

As = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="USER@SERVER",
        help="Who you are; else client.user of parley.yml.",
        envvar="PARLEY_CLIENT__USER",
    ),
]
ServerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server", metavar="HOST[:PORT]", help="A discovery address to ask where broadcast does not reach."
    ),
]
ConfigFile = Annotated[str | None, typer.Option("--config", metavar="FILE", help="Instead of ./parley.yml.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"parley {version()}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    services: Annotated[
        list[nodes.Service] | None, typer.Argument(help="Which processes; all four when none is named.")
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
    sys.exit(nodes.serve([s.value for s in services or ()], config, verbose=verbose))


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
    sys.exit(run(lambda c: nodes.servers(c, server or (), timeout, as_json=as_json), config))


@app.command()
def send(
    recipient: Annotated[str, typer.Argument(metavar="USER@SERVER")],
    text: Annotated[str, typer.Argument(help="The message; - reads it from standard input.")],
    sender: As = "",
    server: ServerOption = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for a final status.")] = 10.0,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Send one message and print what became of it. Exit code 0 only on DELIVERED.

    Examples:

        parley send --as alice@alpha bob@beta "Lunch?"

        echo "Lunch?" | parley send --as alice@alpha bob@beta -
    """
    body = sys.stdin.read().removesuffix("\n") if text == "-" else text
    sys.exit(run(lambda c: chatting.send(c, sender, recipient, body, server or (), wait, as_json=as_json), config))


@app.command()
def listen(
    user: As = "",
    server: ServerOption = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Print each message as it comes, and acknowledge it. Ctrl-C ends it.

    Examples:

        parley listen --as bob@beta

        parley listen --as bob@beta --json | jq .text
    """
    run(lambda c: chatting.listen(c, user, server or (), as_json=as_json), config)


@app.command()
def chat(user: As = "", server: ServerOption = None, config: ConfigFile = None) -> None:
    """Chat line by line: `bob@beta: hello` sends; after that plain lines go to the same person.

    Examples:

        parley chat --as alice@alpha
    """
    run(lambda c: chatting.chat(c, user, server or ()), config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what is wrong with it is one line, and exit code 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=given or ["--help"], prog_name="parley", standalone_mode=False)
    except UsageError as error:
        words = " ".join(error.format_message().split())  # type: ignore[attr-defined]
        command = error.ctx.command_path if error.ctx is not None else "parley"  # type: ignore[attr-defined]
        fail(f"{words.removesuffix('.')}. `{command} --help` shows examples.", EXIT_CONFIG)
    except typer.Abort:
        sys.exit(130)
