"""`parley mailbox`: what waits on a server, for its operator to see, to try again and to drop."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer

from parley.cli.operator.mailbox_access import Running, drop_all
from parley.cli.operator.mailbox_output import (
    content_of,
    fields_of,
    messages_of,
    print_destinations,
    print_dropped,
    print_entries,
    print_json,
    print_retried,
    since,
    size_of,
)
from parley.cli.options import ConfigFile, Json
from parley.cli.terminal import confirm, fail, line, note
from parley.services.chat.operator.commands import LAST, MOST, Drop, Dropped, Retry, Wanted, seconds, wanted_by
from parley.services.chat.operator.inspection import Entry, Inspection, servers
from parley.services.chat.storage.rows import name as name_of
from parley.shared.config import Config, load
from parley.shared.errors import EXIT_CONFIG, ConfigError, ParleyError
from parley.shared.printable import harmless

app = typer.Typer(
    help="What waits on this server, for its operator: see it, try it again, drop it.", no_args_is_help=True
)

DataDir = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="Else data_dir of the configuration.")
]
ServerId = Annotated[
    str | None, typer.Option("--server-id", metavar="NAME", help="Else server_id, or the only one there.")
]
Where = Annotated[str, typer.Option("--to", metavar="USER@SERVER|SERVER", help="Only what waits for them.")]

_SHOWN: Final = 100


# Commands -------------------------------------------------------------------------------------------------


@app.command("list")
def list_(
    messages: Annotated[bool, typer.Option("--messages", help="Single messages, the oldest first.")] = False,
    to: Where = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Messages shown at most.")] = _SHOWN,
    as_json: Json = False,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Print what waits for whom, and how many statuses are owed to whom; with --messages each message.

    Examples:
        parley mailbox list

        parley mailbox list --messages --to bob@alpha --limit 20

    """
    with located(config, data_dir, server_id) as (_, directory), Inspection(directory) as inspection:
        wanted = wanted_by(to, directory.name)
        if messages:
            entries = _read(inspection, wanted)
            print_entries(islice(entries, limit), as_json=as_json)
            if next(entries, None) is not None:
                note(f"there are more: --limit shows more than {limit}")
        else:
            destinations = inspection.queues()
            print_destinations(
                [each for each in destinations if wanted.waits_at(each.destination)], as_json=as_json
            )


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="A message's number, as in list --messages.")],
    content: Annotated[
        bool, typer.Option("--content", help="What is in it, too: it is somebody's letter.")
    ] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Print the fields of one message that waits.

    Examples:
        parley mailbox show 12

    """
    with located(config, data_dir, server_id) as (_, directory), Inspection(directory) as inspection:
        found = inspection.entries(Wanted((number,)), 1)
        message = inspection.message(number) if content else None
        if not found:
            fail(f"no message {number} waits at {directory.name}")
        fields = fields_of(found[0]) | {"from_server": found[0].origin or None}
        if message is not None:
            fields |= content_of(message)
        if as_json:
            print_json(fields)
            return
        fields["age_seconds"] = since(found[0].age)
        for key, value in fields.items():
            if value is not None:
                line(f"{key.removesuffix('_seconds')}: {harmless(str(value))}")


@app.command()
def retry(
    destination: Annotated[str, typer.Argument(metavar="USER@SERVER|SERVER", show_default=False)] = "",
    everything: Annotated[bool, typer.Option("--all", help="Each destination that something waits for.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Have it tried at once: look for a server that is not linked, write again what is unanswered.

    Exit code 1 where nothing could be done, as for users who are away.

    Examples:
        parley mailbox retry beta

        parley mailbox retry --all

    """
    with located(config, data_dir, server_id) as (_, directory):
        if bool(destination) == everything:
            raise ConfigError("name one destination, or say --all")
        wanted = wanted_by(destination, directory.name)
        with Inspection(directory) as inspection:
            destinations = {name_of(each.destination): each for each in inspection.queues() if each.messages}
        names = [name for name, each in destinations.items() if wanted.waits_at(each.destination)]
        if not names:
            fail(f"nothing waits for {destination}" if destination else f"nothing waits at {directory.name}")
        running, tried = Running(directory), False
        for some in _parts(names):
            for done in running.retry(Retry(tuple(some))):
                print_retried(done, destinations[done.destination].messages, as_json=as_json)
                tried = tried or done.messages > 0 or done.state in ("looked_for", "tried")
    if not tried:
        fail("nothing can be tried again now")


@app.command()
def drop(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="ID...", show_default=False)] = None,
    to: Where = "",
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="3d", help="Seconds, or with s, m, h, d.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Give up messages that wait: their authors are told OTHER_ERROR, and nobody gets them.

    Examples:
        parley mailbox drop 12 13

        parley mailbox drop --to bob@alpha --older-than 3d

    """
    with located(config, data_dir, server_id) as (settings, directory):
        if bool(numbers) == bool(to) or (numbers and older_than):
            raise ConfigError(
                "name messages by their numbers, or a destination with --to, which --older-than limits"
            )
        wanted = wanted_by(to, directory.name, seconds(older_than) if older_than else None)
        wanted = replace(wanted, ids=tuple(dict.fromkeys(numbers or ())))
        with Inspection(directory) as inspection:
            count, size, last = inspection.total(wanted)
            if not count:
                fail(f"nothing of that waits at {directory.name}")
            question = f"Drop {messages_of(count)} ({size_of(size)})? Their authors are told OTHER_ERROR."
            confirm(question, yes=yes, unasked=" whether to drop them", refused="nothing was dropped")
            done = drop_all(directory, settings, _requests(_read(inspection, wanted, last)))
    missing = len(wanted.ids) - count if wanted.ids else 0
    print_dropped(done + Dropped(gone=missing), as_json=as_json)
    sys.exit(0 if done.dropped and not missing else 1)


# What is asked ----------------------------------------------------------------------------------------------


@contextmanager
def located(config_file: str | None, data_dir: str | None, server_id: str | None) -> Iterator[tuple[Config, Path]]:
    """The configuration and the directory of a server's mailbox; what goes wrong inside ends in one line."""
    try:
        config = load(config_file, data_dir=data_dir, server_id=server_id)
        yield config, _directory(config)
    except ConfigError as error:
        fail(str(error), EXIT_CONFIG)
    except (ParleyError, sqlite3.Error) as error:
        fail(str(error))


def _directory(config: Config) -> Path:
    """Where the mailbox is. ConfigError where there is none, or several and none is named."""
    data = Path(config.data_dir)
    found = servers(data)
    names = [config.server_id] if config.server_id else found
    if not found or names[0] not in found:
        whose = f" of {config.server_id}" if config.server_id else ""
        there = f"only those of {', '.join(found)}" if found else "nor any other server's" if whose else "at all"
        raise ConfigError(
            f"{data.absolute()} holds no mailbox{whose}, {there}: name the directory with --data-dir (or "
            "PARLEY_DATA_DIR), the server with --server-id"
        )
    if len(names) > 1:
        raise ConfigError(f"{data.absolute()} holds the mailboxes of {', '.join(names)}: name one with --server-id")
    return data / names[0]


def _read(inspection: Inspection, wanted: Wanted, last: int = LAST) -> Iterator[Entry]:
    """The messages that are wanted, a part after another; none that came after `last`."""
    after = 0
    while found := inspection.entries(wanted, MOST, after, last):
        yield from found
        after = found[-1].id


def _requests(entries: Iterable[Entry]) -> Iterator[Drop]:
    """To drop these, as they are read."""
    entries = iter(entries)
    while some := tuple((each.id, each.snowflake) for each in islice(entries, MOST)):
        yield Drop(some)


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), MOST):
        yield names[start : start + MOST]
