"""`parley user`: who owns which name of this server; its operator adds, approves, resets and revokes."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from parley.cli.operator.mailbox import DataDir, ServerId, located
from parley.cli.operator.mailbox_access import NotRunningError, Running
from parley.cli.options import ConfigFile, Json
from parley.cli.tables import show, table
from parley.cli.terminal import fail, line
from parley.services.chat.operator.user_commands import UserChange, UserChanged, apply, keys_of
from parley.shared.addresses import User
from parley.shared.errors import ConfigError
from parley.shared.names import fold, spell, unspell
from parley.shared.printable import harmless
from parley.shared.runtime.moments import moment
from parley.shared.service.passwords import hash_of
from parley.shared.service.user_admission import FOLDER
from parley.shared.trust.ages import passed
from parley.shared.trust.devices import How
from parley.shared.trust.keys import fingerprint
from parley.shared.trust.names import Name, state_of
from parley.shared.trust_storage.users_file import NAME, UsersFile

app = typer.Typer(
    help="Who owns which name of this server: see it, add, approve, reset, revoke.", no_args_is_help=True
)

Who = Annotated[str, typer.Argument(metavar="NAME", help="A user of this server: alice, or alice@alpha.")]
Which = Annotated[str, typer.Argument(metavar="KEY", help="A key as `list` shows it, or its beginning.")]
_HOWS: Final = {
    How.CLAIMED: "first",
    How.CONFIRMED: "confirmed",
    How.APPROVED: "approved",
    How.RESET: "first after a reset",
    How.PASSWORD: "password",
}


# Commands -------------------------------------------------------------------------------------------------


@app.command("list")
def list_(
    as_json: Json = False, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Print each name that is known: its state, and its keys with how they came.

    Examples:
        parley user list

    """
    with _users(config, data_dir, server_id) as (_, file):
        age = _age(file)
        names = sorted(file.news(-1).names, key=lambda name: name.user_id) if file is not None else []
        if as_json:
            for name in names:
                line(json.dumps(_fields(name, age)))
            return
        made = table("NAME", "STATE", "KEYS")
        for name in names:
            made.add_row(Text(harmless(spell(name.user_id))), _state(name, age), "\n".join(_keys(name)))
        show(made) if names else line("no user is known here")


@app.command()
def add(who: Who, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None) -> None:
    """Give a name a password, which is asked for, or read from standard input.

    Examples:
        parley user add erin

    """
    with _users(config, data_dir, server_id) as (directory, _):
        user_id = _user_id(who, directory.name)
        try:
            password = hash_of(_asked_password())
        except ValueError as error:
            raise ConfigError(str(error)) from None
        _change(directory, UserChange("add", user_id, password=password))


@app.command()
def approve(
    who: Who,
    key: Which = "",
    plain: Annotated[bool, typer.Option("--plain", help="Programs without a key, and no key.")] = False,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Give a name to the key that used it; where several did, name one.

    Examples:
        parley user approve bob

        parley user approve bob kq3h-zzye-2f7a-x5wd

    """
    with _users(config, data_dir, server_id) as (directory, file):
        user_id = _user_id(who, directory.name)
        found = _key(file, user_id, key) if key else b""
        _change(directory, UserChange("approve_plain" if plain else "approve", user_id, found))


@app.command("reset")
def reset_(who: Who, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None) -> None:
    """Take a name from its devices, claims and password: it is free, and contacts are told.

    Examples:
        parley user reset bob

    """
    with _users(config, data_dir, server_id) as (directory, _):
        _change(directory, UserChange("reset", _user_id(who, directory.name)))


@app.command("revoke")
def revoke_(
    who: Who, key: Which, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Refuse a device of a user for ever; its connections end at once.

    Examples:
        parley user revoke alice kq3h-zzye-2f7a-x5wd

    """
    with _users(config, data_dir, server_id) as (directory, file):
        user_id = _user_id(who, directory.name)
        _change(directory, UserChange("revoke", user_id, _key(file, user_id, key)))


# What is asked ----------------------------------------------------------------------------------------------


@contextmanager
def _users(
    config: str | None, data_dir: str | None, server_id: str | None
) -> Iterator[tuple[Path, UsersFile | None]]:
    """The server's directory and its users' file; None: there is none yet."""
    with located(config, data_dir, server_id) as (_, directory):
        if not (directory / FOLDER / NAME).exists():
            yield directory, None
            return
        try:
            with UsersFile(directory / FOLDER) as file:
                yield directory, file
        except (OSError, ValueError) as error:
            raise ConfigError(f"{directory / FOLDER / NAME} cannot be used: {error}") from None


def _change(directory: Path, request: UserChange) -> None:
    """Have it done by the chat process, or on the file where none runs."""
    try:
        done = Running(directory).change_user(request)
    except NotRunningError:
        done = _change_alone(directory, request)
    line(done.said)


def _change_alone(directory: Path, request: UserChange) -> UserChanged:
    try:
        with UsersFile(directory / FOLDER) as file:
            after, said = apply(file.name(request.user_id), request, _age(file), int(time.time()))
            file.put([after])
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"{directory / FOLDER / NAME} cannot be written: {error}") from None
    return UserChanged(said)


def _user_id(who: str, server_id: str) -> str:
    if "@" not in who:
        return unspell(who)
    user = User.parse(who)
    if fold(user.server_id) != fold(server_id):
        raise ConfigError(f"{user} is no user of {server_id}")
    return user.user_id


def _key(file: UsersFile | None, user_id: str, text: str) -> bytes:
    """The key of a name with that fingerprint, or the only one whose fingerprint begins so."""
    keys = keys_of(file.name(user_id)) if file is not None else []
    found = [key for key in keys if fingerprint(key).startswith(text.strip().lower())]
    if len(found) != 1:
        many = f"{len(found)} keys" if found else "no key"
        raise ConfigError(f"{harmless(spell(user_id))} has {many} {harmless(text)}: parley user list")
    return found[0]


def _asked_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not password:
        fail("nothing was changed")
    return password


# What is shown ----------------------------------------------------------------------------------------------


def _age(file: UsersFile | None) -> float:
    if file is None:
        return 0.0
    age, written = file.written
    return age + passed(written, moment())


def _state(name: Name, age: float) -> str:
    return state_of(name, age, mail_waits=False).name.lower().replace("_", "-")


def _keys(name: Name) -> list[str]:
    owned = [f"{fingerprint(o.key)} {_HOWS[o.device.how]} {harmless(o.device.name)}".rstrip() for o in name.owners]
    claimed = [f"{fingerprint(claim.key)} waits for approval" for claim in name.claims]
    return [*owned, *claimed, *(["a password"] if name.password else [])]


def _fields(name: Name, age: float) -> dict[str, object]:
    return {
        "user": name.user_id,
        "state": _state(name, age),
        "devices": [
            {"key": fingerprint(o.key), "how": _HOWS[o.device.how], "name": o.device.name} for o in name.owners
        ],
        "claims": [fingerprint(claim.key) for claim in name.claims],
        "revoked": [fingerprint(key) for key in name.revoked],
        "password": bool(name.password),
        "number": name.number,
    }
