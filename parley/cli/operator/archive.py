"""`parley archive`: the kept conversations of a server's users; its operator looks, prunes and erases."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from parley.cli.operator.mailbox import DataDir, ServerId, located
from parley.cli.operator.mailbox_access import NotRunningError, Running
from parley.cli.options import ConfigFile, Json
from parley.cli.terminal import line
from parley.services.chat.archive import alone, retention, storage
from parley.services.chat.archive.reader import Reader
from parley.services.chat.operator.archive_commands import Change, change_of
from parley.services.chat.storage import schema
from parley.shared.addresses import User
from parley.shared.errors import ConfigError

app = typer.Typer(help="What is kept of conversations: see it, check it, prune it, erase it.", no_args_is_help=True)
T = TypeVar("T")


@app.command()
def stats(
    as_json: Json = False, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Print how much is kept.

    Examples:
        parley archive stats

    """

    def read(path: Path) -> dict[str, float]:
        reader = Reader(path)
        try:
            return reader.figures()
        finally:
            reader.close()

    _print(_with(config, data_dir, server_id, read), as_json=as_json)


@app.command()
def verify(
    as_json: Json = False, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Read all of it and print what is broken; exit code 1 where something is.

    Examples:
        parley archive verify

    """

    def read(path: Path) -> dict[str, int]:
        db = storage.open_reader(path)
        try:
            return retention.verify(db)
        finally:
            db.close()

    found = _with(config, data_dir, server_id, read)
    _print(found, as_json=as_json)
    if found["broken_records"] or found["lost_lines"] or found["lost_files"]:
        raise typer.Exit(1)


@app.command()
def prune(
    days: Annotated[float, typer.Argument(min=0, help="Days that stay, before today.")],
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Remove the days that are older, now.

    Examples:
        parley archive prune 7

    """
    done = _change(config, data_dir, server_id, lambda _directory: Change("prune", days=days))
    line(f"{done} days were removed")


@app.command()
def erase(
    who: Annotated[str, typer.Argument(metavar="NAME", help="A user of this server: alice, or alice@alpha.")],
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Erase all that is kept for one user. What others here have of the same conversations is theirs, and stays.

    Examples:
        parley archive erase alice

    """

    def request(directory: Path) -> Change:
        user = User.parse(who) if "@" in who else User(who, directory.name)
        if user.server_id != directory.name:
            raise ConfigError(f"{user} is no user of {directory.name}: each server keeps its own users' side")
        return Change("erase", user_id=user.user_id)

    done = _change(config, data_dir, server_id, request)
    line(f"{done} messages were erased")


def _change(
    config: str | None, data_dir: str | None, server_id: str | None, request: Callable[[Path], Change]
) -> int:
    """Have it done by the chat process; on the file where none runs."""
    with located(config, data_dir, server_id) as (_, directory):
        try:
            return Running(directory).change_archive(request(directory)).count
        except NotRunningError:
            lock = schema.lock(directory)
            try:
                _path(directory)
                return alone.change(directory, change_of(request(directory)))
            finally:
                os.close(lock)


def _with(config: str | None, data_dir: str | None, server_id: str | None, read: Callable[[Path], T]) -> T:
    """Read the archive's file of a server. Ends the command where there is none, or it cannot be read."""
    with located(config, data_dir, server_id) as (_, directory):
        return read(_path(directory))


def _path(directory: Path) -> Path:
    path = directory / storage.NAME
    if not path.exists():
        raise ConfigError(f"{path}: nothing is kept there (history.keep is 0, or no chat process has run)")
    return path


def _print(found: dict[str, float] | dict[str, int], *, as_json: bool) -> None:
    if as_json:
        line(json.dumps(found))
        return
    for name, value in found.items():
        line(f"{name.replace('_', ' '):22} {value:,}")
